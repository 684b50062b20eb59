"""Scores files in bulk on Apache Beam.

`python -m taxiway.components.serving.requests.bulk_predict` is the process that runs the pipeline.

Beam keeps no order, so each output row is the input row with the model's answers beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxiway.components.errors import DataError, ServingError
from taxiway.components.processes import subprocesses
from taxiway.components.saved_models import model_versions
from taxiway.components.serving.requests.local_predict import explain_missing_rules


@dataclass(frozen=True)
class BulkResult:
    """What a bulk scoring wrote.

    Attributes:
        rows: Scored.
        files: Written.
        version: Number of the version that answered.
        notes: Sentences about the rows; see `local_predict.PredictResult`.
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
        version: Number of the version; None: the live one.
        beam_args: Beam's own, such as `--runner=FlinkRunner`.
        allowed_ops: TensorFlow ops allowed beside `allowed_ops.ALLOWED`.
        timeout_seconds: Time limit; None: none.

    Raises:
        ServingError: There is no such version, or it cannot be loaded.
        DataError: The files cannot be read, or a value is not of its column's type.
    """
    number, folder = model_versions.choose_version(serving_directory, version)
    if Path(target).suffix not in (".parquet", ".csv"):
        raise DataError(f"{target} ends in neither .parquet nor .csv.", "Name the output with one of them.")
    job = {
        "model": str(folder),
        "version": number,
        "source": source,
        "target": str(target),
        "beam_args": list(beam_args),
        "ops": list(allowed_ops),
    }
    result = subprocesses.run_module_checked(
        "taxiway.components.serving.requests.bulk_predict", job, None, ServingError, timeout_seconds=timeout_seconds
    )
    return BulkResult(result["rows"], result["files"], number, tuple(result["notes"]))


def main(job: dict[str, Any]) -> dict[str, Any]:
    """The child: builds and runs the Beam pipeline."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from taxiway.components.beam.options import IN_THIS_PROCESS
    from taxiway.components.serving.requests import bulk_beam as steps
    from taxiway.components.serving.safety.load_check import check_loadable

    check_loadable(job["model"], job.get("ops", ()))
    folder, target = job["model"], Path(job["target"])
    files = steps.find_files(folder, job["source"])
    target.parent.mkdir(parents=True, exist_ok=True)
    kinds = steps.find_output_kinds(files, folder)
    schema = steps.build_output_schema(files, kinds, folder)
    pipeline = beam.Pipeline(options=PipelineOptions([IN_THIS_PROCESS, *job["beam_args"]], save_main_session=False))
    tables = (
        pipeline
        | "Files" >> beam.Create(files)
        | "Read" >> beam.FlatMap(steps.read_batches, folder)
        | "Spread" >> beam.Reshuffle()
        | "Score" >> beam.ParDo(steps.ScoreRows(folder, kinds))
    )
    tables | "Write" >> steps.write_tables(target, schema)
    try:
        result = pipeline.run()
        result.wait_until_finish()
    except DataError as error:  # Beam makes one text of it, and adds the name of a step
        raise DataError(error.problem.partition(" [while running")[0], error.remedy) from error
    reader = steps.open_trained_reader(folder)
    reader.notes = steps.collect_notes(result.metrics().query(beam.metrics.MetricsFilter())["counters"])
    written = sorted(str(p) for p in target.parent.glob(f"{target.stem}-*{target.suffix}"))
    return {
        "rows": reader.notes.counts["rows", ""],
        "files": written,
        "notes": reader.describe_rows(explain_missing_rules(job["version"])),
    }


if __name__ == "__main__":
    subprocesses.run_child_main(main)
