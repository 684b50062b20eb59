"""The report of a run: one self-contained HTML page, for runs that pushed, were blocked or failed alike."""

from __future__ import annotations

from pathlib import Path

from pipeline.layout import Root


def write(root: Root | str | Path, run_id: str | None = None, out: Path | None = None) -> Path:
    """Writes the report of a run; see `pipeline.report.build.write`. TensorFlow is asked in a process of its own."""
    from pipeline.report import build

    return build.write(root if isinstance(root, Root) else Root.at(root), run_id, out)
