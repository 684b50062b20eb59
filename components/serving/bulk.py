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
from components.serving.predict import without_rules


@dataclass(frozen=True)
class BulkResult:
    """What a bulk scoring wrote.

    Attributes:
        rows: Scored.
        files: Written.
        version: Of the model.
        notes: What must be said of the rows; see `predict.Scored`.
    """

    rows: int
    files: list[str]
    version: int
    notes: tuple[str, ...] = ()


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
        source: A file, a folder or a glob, in any format that trains; read as the model's training read its rows.
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
    job = {
        "model": str(folders[number]),
        "version": number,
        "source": source,
        "target": str(target),
        "beam_args": list(beam_args),
        "ops": list(allowed_ops),
    }
    with tempfile.NamedTemporaryFile(prefix="taxiway-bulk-", suffix=".log", delete=False) as log:
        pass
    outcome = subprocesses.run("components.serving.bulk", job, log.name, timeout_seconds=timeout_seconds)
    subprocesses.raise_again(outcome, ServingError)
    Path(log.name).unlink(missing_ok=True)
    result = outcome.result or {}
    return BulkResult(result["rows"], result["files"], number, tuple(result["notes"]))


def main(job: dict[str, Any]) -> dict[str, Any]:
    """The child: builds and runs the Beam pipeline."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from components.serving import bulk_steps as steps
    from components.serving.checked import check_loadable

    check_loadable(job["model"], job.get("ops", ()))
    folder, target = job["model"], Path(job["target"])
    found = steps.find_files(folder, job["source"])
    target.parent.mkdir(parents=True, exist_ok=True)
    kinds = steps.output_kinds(found, folder)
    schema = steps.output_schema(found, kinds, folder)
    pipeline = beam.Pipeline(options=PipelineOptions(job["beam_args"], save_main_session=False))
    tables = (
        pipeline
        | "Files" >> beam.Create(found)
        | "Read" >> beam.FlatMap(steps.read_batches, folder)
        | "Spread" >> beam.Reshuffle()
        | "Score" >> beam.ParDo(steps.Score(folder, kinds))
    )
    tables | "Write" >> steps.write(target, schema)
    try:
        result = pipeline.run()
        result.wait_until_finish()
    except DataError as error:  # Beam makes one text of it, and adds the name of a step
        raise DataError(error.problem.partition(" [while running")[0], error.remedy) from error
    reader = steps.reader_of(folder)
    reader.notes = steps.collected_notes(result.metrics().query(beam.metrics.MetricsFilter())["counters"])
    written = sorted(str(p) for p in target.parent.glob(f"{target.stem}-*{target.suffix}"))
    return {
        "rows": reader.notes.counts["rows", ""],
        "files": written,
        "notes": reader.sentences(without_rules(job["version"])),
    }


if __name__ == "__main__":
    subprocesses.child_main(main)
