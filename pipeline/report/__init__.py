"""The report of a run: one self-contained HTML page, for runs that pushed, were blocked or failed alike."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from components.errors import TaxiwayError
from pipeline.layout import Root


def write(root: Root | str | Path, run_id: str | None = None, out: Path | None = None) -> Path:
    """Writes the report of a run; see `pipeline.report.build.write`. TensorFlow is asked in a process of its own."""
    from pipeline.report import build

    return build.write(root if isinstance(root, Root) else Root.at(root), run_id, out)


def recorded_runs(root: str | Path) -> frozenset[str]:
    """Ids of the emulated and Kubeflow runs that left records under a root."""
    folder = Root.at(root).path / "executions"
    return frozenset(path.name for path in folder.glob("*") if path.is_dir())


def of_new_runs(root: str | Path, before: Collection[str]) -> list[str]:
    """Writes the reports of the recorded runs that are new, and says where they are or why there is none.

    Args:
        root: Where they ran.
        before: Those that were there before.
    """
    return [f"report: {_written(root, run)}" for run in sorted(recorded_runs(root) - set(before))]


def _written(root: str | Path, run: str) -> str:
    """The page, or why there is none: how the run ended stays as it is."""
    try:
        return str(write(root, run))
    except (TaxiwayError, OSError, ValueError) as error:
        return f"not written: {error}"
