"""Scores rows with the live version, in a process of its own. `python -m components.serving.predict` is the child."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components import servables, subprocesses
from components.contract import SERVING_RAW
from components.errors import DataError, ServingError
from components.tables.row_source import RowSource, check_present

if TYPE_CHECKING:
    from components.tables.trained_rows import TrainedReader


@dataclass(frozen=True)
class Scored:
    """Answers to rows.

    Attributes:
        answers: One dictionary a row: `probabilities` (a number for a binary model, else a list) or `predictions`,
            and `classes` where the model knows them.
        version: Of the model that answered.
        signature: That was asked.
        ignored: Columns of the rows that the model does not take.
        notes: What must be said of the rows, a sentence each: inputs missing in all of them, unknown columns, words
            that training never saw.
    """

    answers: list[dict[str, Any]]
    version: int
    signature: str
    ignored: list[str]
    notes: tuple[str, ...] = ()


def predict(
    serving_directory: str | Path,
    rows: Sequence[Mapping[str, Any]] | RowSource,
    *,
    version: int | None = None,
    allowed_ops: Sequence[str] = (),
    timeout_seconds: float = 600,
) -> Scored:
    """Scores rows of raw columns with a version in a serving directory, read as its training read rows.

    Args:
        serving_directory: `<root>/serving/<model>`.
        rows: Values by column, or a file of rows. A missing column, None and an empty text mean a missing value.
        version: Its number; None: the live one.
        allowed_ops: TensorFlow ops allowed beside the list of `ops.ALLOWED`.
        timeout_seconds: For loading and scoring.

    Raises:
        ServingError: There is no such version, or it cannot be loaded.
        DataError: A value is not of its column's kind, a row has no column of the model, or the file cannot be read.
    """
    folders = servables.version_folders(serving_directory)
    if not folders:
        raise ServingError(f"{serving_directory} has no version.", "Push one first: taxiway run.")
    number = max(folders) if version is None else version
    if number not in folders:
        present = ", ".join(map(str, folders))
        raise ServingError(f"{serving_directory} has no version {number}.", f"Present: {present}.")
    source = as_source(rows)
    if not source.path and not source.given:
        return Scored([], number, "", [])
    with tempfile.NamedTemporaryFile(prefix="taxiway-predict-", suffix=".log", delete=False) as log:
        job = {"model": str(folders[number]), "version": number, "source": asdict(source), "ops": list(allowed_ops)}
    outcome = subprocesses.run("components.serving.predict", job, log.name, timeout_seconds=timeout_seconds)
    subprocesses.raise_again(outcome, ServingError)
    Path(log.name).unlink(missing_ok=True)  # kept only where it explains an error
    result = outcome.result or {}
    return Scored(result["answers"], number, result["signature"], result["ignored"], tuple(result["notes"]))


def as_source(rows: Sequence[Mapping[str, Any]] | RowSource) -> RowSource:
    """Rows as a source whose values JSON can hold.

    Raises:
        DataError: There is no such file.
    """
    source = rows if isinstance(rows, RowSource) else RowSource(given=rows)
    check_present(source)
    given = [{name: _plain(value) for name, value in row.items()} for row in source.given[: source.limit]]
    return replace(source, given=given)


def _plain(value: Any) -> Any:
    """A value of a data frame or a database as one of JSON."""
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Decimal):
        return float(value)
    return value.item() if hasattr(value, "item") and not isinstance(value, (list, tuple, dict)) else value


def score(job: dict[str, Any]) -> dict[str, Any]:
    """The child: loads the model as a server does and answers all rows."""
    from components.serving import requests
    from components.serving.checked import check_loadable
    from components.serving.rows import answers_by_row
    from components.serving.servable import Servable, disable_xla

    check_loadable(job["model"], job.get("ops", ()))
    disable_xla()
    inputs = requests.signature_inputs(job["model"])
    reader = trained_reader(job["model"], requests.column_dtypes(inputs))
    answers: list[dict[str, Any]] = []
    names: dict[str, None] = {}
    with Servable(job["model"]) as model:
        for batch in reader.batches(RowSource(**job["source"])):
            names.update(dict.fromkeys(batch.rows.schema.names))
            columns = {name: array.to_pylist() for name, array in reader.columns(batch).items()}
            answers += answers_by_row(model.run(SERVING_RAW, requests.tensors_from_columns(columns, inputs)))
    notes = reader.sentences(without_rules(job["version"]))
    return {"answers": answers, "signature": SERVING_RAW, "ignored": reader.ignored(names), "notes": notes}


def without_rules(version: int) -> str:
    """Why a version has no rules of reading."""
    return f"Version {version} carries no rules of reading (an earlier Taxiway read the rows of its training)"


def trained_reader(model: str, dtypes: Mapping[str, str]) -> TrainedReader:
    """The reader of rows for the model in a folder.

    Raises:
        DataError: The model's columns are not known.
    """
    from components.tables.rules import read_rules
    from components.tables.trained_rows import TrainedReader

    if not dtypes:
        raise DataError(
            f"The model in {model} has no signature {SERVING_RAW!r}, so its columns are not known.",
            "Send it serialized examples, or push a model that Taxiway trained.",
        )
    return TrainedReader(read_rules(model), dtypes)


if __name__ == "__main__":
    subprocesses.child_main(score)
