"""Scores files in bulk on Apache Beam. `python -m components.serving.bulk` is the process that runs the pipeline.

Beam keeps no order, so each output row is the input row with the model's answers beside it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import servables, subprocesses
from components.errors import DataError, ServingError

BATCH_ROWS = 4096


@dataclass(frozen=True)
class BulkResult:
    """What a bulk scoring wrote.

    Attributes:
        rows: Scored.
        files: Written.
        version: Of the model.
    """

    rows: int
    files: list[str]
    version: int


def score_files(
    serving_directory: str | Path,
    source: str,
    target: str | Path,
    *,
    version: int | None = None,
    beam_args: Sequence[str] = (),
    allowed_ops: Sequence[str] = (),
    timeout_seconds: float | None = None,
) -> BulkResult:
    """Scores every row of the files with one version, in a process of its own.

    Args:
        serving_directory: `<root>/serving/<model>`.
        source: A file or a glob: csv (with a header), JSON lines or parquet.
        target: Beginning of the output files' names; its suffix, `.parquet` or `.csv`, says their form.
        version: None: the live one.
        beam_args: Beam's own, such as `--runner=FlinkRunner`.
        allowed_ops: TensorFlow ops allowed beside the list of `ops.ALLOWED`.
        timeout_seconds: None: as long as it takes.

    Raises:
        ServingError: There is no such version, or it cannot be loaded.
        DataError: The files cannot be read, or a value is not of its column's type.
    """
    folders = servables.version_folders(serving_directory)
    number = max(folders, default=None) if version is None else version
    if number is None or number not in folders:
        present = ", ".join(map(str, folders)) or "none"
        asked = "no version" if version is None else f"no version {version}"
        raise ServingError(f"{serving_directory} has {asked}.", f"Present: {present}.")
    if Path(target).suffix not in (".parquet", ".csv"):
        raise DataError(f"{target} ends in neither .parquet nor .csv.", "Name the output with one of them.")
    job: dict[str, Any] = {
        "model": str(folders[number]),
        "source": source,
        "target": str(target),
        "beam_args": list(beam_args),
    }
    job["ops"] = list(allowed_ops)
    with tempfile.NamedTemporaryFile(prefix="taxiway-bulk-", suffix=".log", delete=False) as log:
        pass
    outcome = subprocesses.run("components.serving.bulk", job, log.name, timeout_seconds=timeout_seconds)
    subprocesses.raise_again(outcome, ServingError)
    Path(log.name).unlink(missing_ok=True)
    result = outcome.result or {}
    return BulkResult(result["rows"], result["files"], number)


def main(job: dict[str, Any]) -> dict[str, Any]:
    """The child: builds and runs the Beam pipeline."""
    import apache_beam as beam
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    from components.serving.bulk_steps import Score, output_schema, read_tables, write
    from components.serving.checked import check_loadable

    check_loadable(job["model"], job.get("ops", ()))
    matched = [file.path for file in FileSystems.match([job["source"]])[0].metadata_list]
    if not matched:
        raise DataError(f"No file matches {job['source']}.", "Give a file or a glob, such as 'rows/*.csv'.")
    target = Path(job["target"])
    target.parent.mkdir(parents=True, exist_ok=True)
    pipeline = beam.Pipeline(options=PipelineOptions(job["beam_args"], save_main_session=False))
    tables = (
        pipeline
        | "Files" >> beam.Create(sorted(matched))
        | "Read" >> beam.FlatMap(read_tables, BATCH_ROWS)
        | "Spread" >> beam.Reshuffle()
        | "Score" >> beam.ParDo(Score(job["model"]))
    )
    tables | "Write" >> write(target, output_schema(sorted(matched)[0], job["model"]))
    result = pipeline.run()
    result.wait_until_finish()
    counted = result.metrics().query(beam.metrics.MetricsFilter().with_name("rows"))["counters"]
    written = sorted(str(p) for p in target.parent.glob(f"{target.stem}-*{target.suffix}"))
    return {"rows": sum(counter.committed or 0 for counter in counted), "files": written}


if __name__ == "__main__":
    subprocesses.child_main(main)
