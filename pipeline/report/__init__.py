"""The report of a run: one self-contained HTML page, for runs that pushed, were blocked or failed alike."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from taxiway.components.errors import TaxiwayError
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking.store import execution_record


def write_report(
    root: Root | str | Path, run_id: str | None = None, out: Path | None = None, without_scores: str = ""
) -> Path:
    """Writes the report of a run; see `taxiway.pipeline.report.build.write_run_report`.

    TensorFlow runs in a process of its own.
    """
    from taxiway.pipeline.report import build

    return build.write_run_report(root if isinstance(root, Root) else Root.at(root), run_id, out, without_scores)


def list_recorded_runs(root: str | Path) -> frozenset[str]:
    """Ids of the emulated and Kubeflow runs that left records under a root."""
    folder = Root.at(root).path / execution_record.FOLDER
    return frozenset(path.name for path in folder.glob("*") if path.is_dir())


def write_new_reports(root: str | Path, before: Collection[str]) -> list[str]:
    """Writes a report for each recorded run that is new.

    Args:
        root: Folder of the runs.
        before: Ids of the runs that were there before.

    Returns:
        One sentence a run: the path of its report, or why there is none.
    """
    return [f"report: {_try_write_report(root, run)}" for run in sorted(list_recorded_runs(root) - set(before))]


def _try_write_report(root: str | Path, run: str) -> str:
    """The report's path, or why there is none: a report that fails changes no exit code."""
    try:
        return str(write_report(root, run))
    except (TaxiwayError, OSError, ValueError) as error:
        return f"not written: {error}"
