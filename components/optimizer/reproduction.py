"""Makes one variant of a report again, from the same inputs and settings, and says whether it came out the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from taxiway.components.errors import OptimizationError
from taxiway.components.optimizer.report import Variant, read_report
from taxiway.components.optimizer.techniques import REFERENCE, check_variant
from taxiway.components.processes import subprocesses

LOG_FILE = "reproduce.log"
SAME_BYTES = 64
"""Difference in size that is not reported: a SavedModel holds the names of traced functions, which get new numbers."""


@dataclass(frozen=True)
class Reproduction:
    """A variant made again.

    Attributes:
        folder: Folder of the variant: `Format-Serving/` and what else it has.
        before: Entry in the report.
        after: Entry of the variant made again.
    """

    folder: str
    before: Variant
    after: Variant

    @property
    def differences(self) -> list[str]:
        """What came out otherwise; empty where status, bytes and quality are the same. Times always differ."""
        differences = []
        if self.before.status != self.after.status:
            differences.append(f"status was {self.before.status}, is {self.after.status} {self.after.reason}".rstrip())
        sizes = [v.size.bytes for v in (self.before, self.after) if v.size]
        if len(sizes) == 2 and abs(sizes[0] - sizes[1]) > SAME_BYTES:
            differences.append(f"size was {sizes[0]} bytes, is {sizes[1]}")
        old, new = (v.quality.value.value if v.quality else None for v in (self.before, self.after))
        if old != new:
            differences.append(f"quality was {old}, is {new}")
        return differences


def reproduce(report: str | Path, variant: str, out: str | Path) -> Reproduction:
    """Makes a variant of a report again.

    Args:
        report: The report's file or folder.
        variant: A name in it.
        out: A folder that does not exist or is empty; the variant goes under `out/<variant>`, its own report beside it.

    Raises:
        OptimizationError: the report has no such variant, its inputs are gone, or it cannot be made any more.
    """
    original = read_report(report)
    before = original.find_variant(variant)
    check_variant(variant)
    for path in (original.job.model, original.job.examples):
        if not Path(path).exists():
            raise OptimizationError(
                f"An input of that report is gone: {path}.", "Reproduce from a report whose artifacts are still there."
            )
    wanted = () if variant == REFERENCE else (variant,)
    config = original.config.model_copy(update={"variants": wanted, "exports": (variant,), "combine": False})
    folders = {"chosen_uri": str(Path(out, "chosen")), "report_uri": str(out), "exports_uri": str(out)}
    job = original.job.model_copy(update={"config": config, **folders})
    Path(out).mkdir(parents=True, exist_ok=True)
    content, log = job.model_dump(mode="json"), Path(out, LOG_FILE)
    subprocesses.run_module_checked("taxiway.components.optimizer.search", content, log, OptimizationError)
    return Reproduction(str(Path(out, variant)), before, read_report(out).find_variant(variant))
