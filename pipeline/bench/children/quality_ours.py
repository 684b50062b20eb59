"""Scores a split's test rows with the model that the pipeline trained, in a process of its own.

`python -m taxiway.pipeline.bench.children.quality_ours` is the child. Rows are read and sent as `taxiway predict` does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from taxiway.components.contract import SERVING_RAW, score_output
from taxiway.components.processes import subprocesses
from taxiway.components.tables.prediction.row_source import RowSource
from taxiway.components.tables.prediction.trained_rows import TrainedReader
from taxiway.components.tables.reading_rules import ReadingRules
from taxiway.pipeline.bench.children.quality_scores import compute_error, measure_latency

BATCH_ROWS = 1024


def score_model(job: dict[str, Any]) -> dict[str, Any]:
    """Scores and times the model.

    Args:
        job: `model` (a SavedModel), `rules` (the examples' reading rules), `test` (a Parquet file), `task`, `label`,
            `classes` (labels by class index; empty for a regression).

    Returns:
        `error` and `latency_ms`, by rows of a batch.
    """
    from taxiway.components.saved_models.session import SavedModelSession
    from taxiway.components.saved_models.signature_inputs import map_column_dtypes
    from taxiway.components.serving.requests import from_examples

    inputs = from_examples.read_model_inputs(job["model"])
    rules = ReadingRules.model_validate_json(Path(job["rules"]).read_text(encoding="utf-8"))
    columns = _read_columns(TrainedReader(rules, map_column_dtypes(inputs)), job["test"])
    output = score_output(job["task"])

    def cut_batch(first: int, rows: int) -> dict[str, list[Any]]:
        return {name: values[first : first + rows] for name, values in columns.items()}

    with SavedModelSession(job["model"], threads=1) as session:

        def predict(batch: dict[str, list[Any]]) -> np.ndarray:
            return session.run(SERVING_RAW, from_examples.build_column_tensors(batch, inputs), [output])[output]

        count = len(next(iter(columns.values())))
        scores = np.concatenate([predict(cut_batch(first, BATCH_ROWS)) for first in range(0, count, BATCH_ROWS)])
        latency = measure_latency(predict, cut_batch)
    truth = _read_truth(job)
    return {
        "error": compute_error(job["task"], truth, scores if job["task"] == "multiclass" else scores[:, 0]),
        "latency_ms": latency,
    }


def _read_columns(reader: TrainedReader, file: str) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {}
    for batch in reader.read_batches(RowSource(path=file)):
        for name, array in reader.convert_columns(batch).items():
            columns.setdefault(name, []).extend(array.to_pylist())
    return columns


def _read_truth(job: dict[str, Any]) -> np.ndarray:
    import pandas

    label = pandas.read_parquet(job["test"], columns=[job["label"]])[job["label"]]
    if job["task"] == "regression":
        return label.to_numpy(np.float64)
    places = {name: i for i, name in enumerate(job["classes"])}
    return label.astype(str).map(places).to_numpy()


if __name__ == "__main__":
    subprocesses.run_child_main(score_model)
