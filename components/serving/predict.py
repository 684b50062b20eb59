"""Scores rows with the live version, in a process of its own. `python -m components.serving.predict` is the child."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import servables, subprocesses
from components.errors import DataError, ServingError

BATCH_ROWS = 1024


@dataclass(frozen=True)
class Scored:
    """Answers to rows.

    Attributes:
        answers: One dictionary a row: `probabilities` (a number for a binary model, else a list) or `predictions`,
            and `classes` where the model knows them.
        version: Of the model that answered.
        signature: That was asked.
        ignored: Columns of the rows that the model does not take.
    """

    answers: list[dict[str, Any]]
    version: int
    signature: str
    ignored: list[str]


def predict(
    serving_directory: str | Path,
    rows: Sequence[Mapping[str, Any]],
    *,
    version: int | None = None,
    allowed_ops: Sequence[str] = (),
    timeout_seconds: float = 600,
) -> Scored:
    """Scores rows of raw columns with a version in a serving directory.

    Args:
        serving_directory: `<root>/serving/<model>`.
        rows: JSON values by column. A missing column, None and an empty text mean a missing value.
        version: Its number; None: the live one.
        allowed_ops: TensorFlow ops allowed beside the list of `ops.ALLOWED`.
        timeout_seconds: For loading and scoring.

    Raises:
        ServingError: There is no such version, or it cannot be loaded.
        DataError: A value is not of its column's type, or a row has no column of the model.
    """
    folders = servables.version_folders(serving_directory)
    if not folders:
        raise ServingError(f"{serving_directory} has no version.", "Push one first: taxiway run.")
    number = max(folders) if version is None else version
    if number not in folders:
        present = ", ".join(map(str, folders))
        raise ServingError(f"{serving_directory} has no version {number}.", f"Present: {present}.")
    if not rows:
        return Scored([], number, "", [])
    with tempfile.NamedTemporaryFile(prefix="taxiway-predict-", suffix=".log", delete=False) as log:
        job = {"model": str(folders[number]), "rows": [dict(row) for row in rows], "ops": list(allowed_ops)}
    outcome = subprocesses.run("components.serving.predict", job, log.name, timeout_seconds=timeout_seconds)
    subprocesses.raise_again(outcome, ServingError)
    Path(log.name).unlink(missing_ok=True)  # kept only where it explains an error
    result = outcome.result or {}
    return Scored(result["answers"], number, result["signature"], result["ignored"])


def score(job: dict[str, Any]) -> dict[str, Any]:
    """The child: loads the model as a server does and answers all rows."""
    from components.serving.checked import check_loadable
    from components.serving.rows import answers_by_row
    from components.serving.servable import Servable, disable_xla

    check_loadable(job["model"], job.get("ops", ()))
    disable_xla()
    rows: list[dict[str, Any]] = job["rows"]
    signature, feeds, ignored = _feeds(job["model"], rows)
    answers: list[dict[str, Any]] = []
    with Servable(job["model"]) as model:
        for start in range(0, len(rows), BATCH_ROWS):
            batch = {name: values[start : start + BATCH_ROWS] for name, values in feeds.items()}
            answers += answers_by_row(model.run(signature, batch))
    return {"answers": answers, "signature": signature, "ignored": ignored}


def _feeds(model: str, rows: list[dict[str, Any]]) -> tuple[str, dict[str, Any], list[str]]:
    from components.contract import SERVING_RAW
    from components.serving import requests
    from components.serving.rows import check_any_known, convert, unknown_columns

    inputs = requests.signature_inputs(model)
    if not inputs:
        raise DataError(
            f"The model in {model} has no signature {SERVING_RAW!r}, so its columns are not known.",
            "Send it serialized examples, or push a model that Taxiway trained.",
        )
    dtypes = {entry.column: entry.dtype for entry in inputs.values()}
    check_any_known(rows, dtypes)
    converted = [{c: convert(row[c], dtype, c) for c, dtype in dtypes.items() if c in row} for row in rows]
    return SERVING_RAW, requests.tensors_from_rows(converted, inputs), unknown_columns(rows, dtypes)


if __name__ == "__main__":
    subprocesses.child_main(score)
