"""Makes one variant of a report again, from the same inputs and settings, and says whether it came out the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from components import subprocesses
from components.errors import OptimizationError
from components.optimizer import report as reports
from components.optimizer.config import REFERENCE, check_variant
from components.optimizer.report import Variant

LOG_FILE = "reproduce.log"
SAME_BYTES = 64
"""Difference in size that means nothing: a SavedModel holds the names of traced functions, which are numbered anew."""


@dataclass(frozen=True)
class Reproduction:
    """A variant made again.

    Attributes:
        folder: Where it is: `Format-Serving/` and what else the variant has.
        before: Its entry in the report.
        after: Its entry now.
    """

    folder: str
    before: Variant
    after: Variant

    @property
    def differences(self) -> list[str]:
        """What came out otherwise; empty where status, bytes and quality are the same. Times always differ."""
        found = []
        if self.before.status != self.after.status:
            found.append(f"status was {self.before.status}, is {self.after.status} {self.after.reason}".rstrip())
        sizes = [v.size.bytes for v in (self.before, self.after) if v.size]
        if len(sizes) == 2 and abs(sizes[0] - sizes[1]) > SAME_BYTES:
            found.append(f"size was {sizes[0]} bytes, is {sizes[1]}")
        old, new = (v.quality.value.value if v.quality else None for v in (self.before, self.after))
        if old != new:
            found.append(f"quality was {old}, is {new}")
        return found


def reproduce(report: str | Path, variant: str, out: str | Path) -> Reproduction:
    """Makes a variant of a report again.

    Args:
        report: The report's file or folder.
        variant: A name in it.
        out: A folder that does not exist or is empty; the variant goes under `out/<variant>`, its own report beside it.

    Raises:
        OptimizationError: the report has no such variant, its inputs are gone, or it cannot be made any more.
    """
    asked = reports.read(report)
    before = asked.variant(variant)
    check_variant(variant)
    for path in (asked.job.model, asked.job.examples):
        if not Path(path).exists():
            raise OptimizationError(
                f"An input of that report is gone: {path}.", "Reproduce from a report whose artifacts are still there."
            )
    wanted = () if variant == REFERENCE else (variant,)
    config = asked.config.model_copy(update={"variants": wanted, "exports": (variant,), "combine": False})
    folders = {"chosen_uri": str(Path(out, "chosen")), "report_uri": str(out), "exports_uri": str(out)}
    job = asked.job.model_copy(update={"config": config, **folders})
    Path(out).mkdir(parents=True, exist_ok=True)
    outcome = subprocesses.run("components.optimizer.search", job.model_dump(mode="json"), Path(out, LOG_FILE))
    subprocesses.raise_again(outcome, OptimizationError)
    return Reproduction(str(Path(out, variant)), before, reports.read(out).variant(variant))
