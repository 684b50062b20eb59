"""Scores rows with the live version, in a process of its own.

`python -m taxiway.components.serving.requests.local_predict` is the child.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxiway.components.contract import SERVING_RAW
from taxiway.components.errors import DataError, ServingError
from taxiway.components.processes import subprocesses
from taxiway.components.saved_models import model_versions
from taxiway.components.tables.prediction.row_source import RowSource, check_file_exists

if TYPE_CHECKING:
    from taxiway.components.tables.prediction.trained_rows import TrainedReader


@dataclass(frozen=True)
class PredictResult:
    """Answers to rows.

    Attributes:
        answers: One dictionary a row: `probabilities` (a number for a binary model, else a list) or `predictions`,
            and `classes` where the model knows them.
        version: Number of the version that answered.
        signature: Signature that was asked.
        ignored: Columns of the rows that the model does not take.
        notes: Sentences about the rows, one each: inputs missing in all of them, unknown columns, words
            that training never saw.
    """

    answers: list[dict[str, Any]]
    version: int
    signature: str
    ignored: list[str]
    notes: tuple[str, ...] = ()


def predict_locally(
    serving_directory: str | Path,
    rows: Sequence[Mapping[str, Any]] | RowSource,
    *,
    version: int | None = None,
    allowed_ops: Sequence[str] = (),
    timeout_seconds: float = 600,
) -> PredictResult:
    """Scores rows of raw columns with a version in a serving directory, read as its training read rows.

    Args:
        serving_directory: `<root>/serving/<model>`.
        rows: Values by column, or a file of rows. A missing column, None and an empty text mean a missing value.
        version: Number of the version; None: the live one.
        allowed_ops: TensorFlow ops allowed beside `allowed_ops.ALLOWED`.
        timeout_seconds: Time limit of loading and scoring.

    Raises:
        ServingError: There is no such version, or it cannot be loaded.
        DataError: A value is not of its column's kind, a row has no column of the model, or the file cannot be read.
    """
    number, folder = model_versions.choose_version(serving_directory, version)
    source = make_row_source(rows)
    if not source.path and not source.given:
        return PredictResult([], number, "", [])
    job = {"model": str(folder), "version": number, "source": asdict(source), "ops": list(allowed_ops)}
    result = subprocesses.run_module_checked(
        "taxiway.components.serving.requests.local_predict", job, None, ServingError, timeout_seconds=timeout_seconds
    )
    return PredictResult(result["answers"], number, result["signature"], result["ignored"], tuple(result["notes"]))


def make_row_source(rows: Sequence[Mapping[str, Any]] | RowSource) -> RowSource:
    """Rows as a source whose values JSON can hold.

    Raises:
        DataError: There is no such file.
    """
    source = rows if isinstance(rows, RowSource) else RowSource(given=rows)
    check_file_exists(source)
    given = [{name: _to_json_value(value) for name, value in row.items()} for row in source.given[: source.limit]]
    return replace(source, given=given)


def _to_json_value(value: Any) -> Any:
    """A value of a data frame or a database as one of JSON."""
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Decimal):
        return float(value)
    return value.item() if hasattr(value, "item") and not isinstance(value, (list, tuple, dict)) else value


def score_rows(job: dict[str, Any]) -> dict[str, Any]:
    """The child: loads the model as a server does and answers all rows."""
    from taxiway.components.saved_models.session import SavedModelSession
    from taxiway.components.saved_models.signature_inputs import map_column_dtypes
    from taxiway.components.saved_models.tensorflow_private import disable_xla
    from taxiway.components.serving.requests import from_examples
    from taxiway.components.serving.requests.answer_values import split_answers
    from taxiway.components.serving.safety.load_check import check_loadable

    check_loadable(job["model"], job.get("ops", ()))
    disable_xla()
    inputs = from_examples.read_model_inputs(job["model"])
    reader = make_trained_reader(job["model"], map_column_dtypes(inputs))
    answers: list[dict[str, Any]] = []
    names: dict[str, None] = {}
    with SavedModelSession(job["model"]) as model:
        for batch in reader.read_batches(RowSource(**job["source"])):
            names.update(dict.fromkeys(batch.rows.schema.names))
            columns = {name: array.to_pylist() for name, array in reader.convert_columns(batch).items()}
            answers += split_answers(model.run(SERVING_RAW, from_examples.build_column_tensors(columns, inputs)))
    notes = reader.describe_rows(explain_missing_rules(job["version"]))
    return {"answers": answers, "signature": SERVING_RAW, "ignored": reader.list_ignored(names), "notes": notes}


def explain_missing_rules(version: int) -> str:
    """Why a version has no rules of reading."""
    return f"Version {version} carries no rules of reading (an earlier Taxiway read the rows of its training)"


def make_trained_reader(model: str, dtypes: Mapping[str, str]) -> TrainedReader:
    """The reader of rows for the model in a folder.

    Raises:
        DataError: The model's columns are not known.
    """
    from taxiway.components.tables.prediction.trained_rows import TrainedReader
    from taxiway.components.tables.reading_rules import read_rules

    if not dtypes:
        raise DataError(
            f"The model in {model} has no signature {SERVING_RAW!r}, so its columns are not known.",
            "Send it serialized examples, or push a model that Taxiway trained.",
        )
    return TrainedReader(read_rules(model), dtypes)


if __name__ == "__main__":
    subprocesses.run_child_main(score_rows)
