"""Training data and windows of requests to a model of taxi trips that is no model: rows, statistics and scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2

from taxiway.components.monitoring.config import MonitoringConfig
from taxiway.components.monitoring.judge import JudgedWindow, judge_window
from taxiway.components.monitoring.window import RequestWindow
from taxiway.components.saved_models.training_reference import ReferenceScores, TrainingReference
from taxiway.components.statistics.compute import compute_statistics
from taxiway.components.tables.examples.column_files import wrap_in_lists

Rows = dict[str, Any]
COMPANIES = np.array([f"company {number}" for number in range(60)], object)
CALLS = np.array(["cash", "card", "app"], object)
COLUMNS = ("miles", "hour", "company", "payment", "tract")


def make_rows(count: int, seed: int, payment: tuple[float, float, float] = (0.5, 0.45, 0.05)) -> Rows:
    """Rows: a skewed number with far values, a whole number, words that are seldom, words that are few, and a number
    that a third of the rows lack."""
    random = np.random.default_rng(seed)
    rank = np.minimum(random.zipf(1.6, count), len(COMPANIES)) - 1
    tract = random.integers(1, 78, count).astype(object)
    tract[random.random(count) < 0.35] = None
    return {
        "miles": random.lognormal(0.5, 1.1, count).astype(np.float32),
        "hour": random.integers(0, 24, count),
        "company": COMPANIES[rank],
        "payment": random.choice(CALLS, count, p=payment),
        "tract": tract,
    }


def make_batch(rows: Mapping[str, Any]) -> pa.RecordBatch:
    """As examples are decoded."""
    kinds = {"miles": pa.float32(), "hour": pa.int64(), "tract": pa.int64()}
    arrays = []
    for name, values in rows.items():
        encoded = [value.encode() if isinstance(value, str) else value for value in values]
        arrays.append(pa.array(encoded, kinds.get(name, pa.large_binary())))
    return wrap_in_lists(pa.RecordBatch.from_arrays(arrays, names=list(rows)))


def score_rows(rows: Rows) -> np.ndarray:
    """A probability that rises with the miles and with cards, `[rows, 1]`."""
    miles = np.array([0.0 if value is None else value for value in rows["miles"]])
    logits = np.minimum(miles, 10) / 3 - 1.5 + (np.asarray(rows["payment"]) == "card")
    return (1 / (1 + np.exp(-logits)))[:, None]


def compute(batches: Iterable[pa.RecordBatch]) -> Any:
    return compute_statistics(batches, tfdv.StatsOptions())


def make_reference(
    schema: schema_pb2.Schema | None = None, rows: int = 6000, seeds: tuple[int, int] = (1, 2)
) -> TrainingReference:
    trained, held = make_rows(rows, seeds[0]), make_rows(500, seeds[1])
    scores = ReferenceScores(
        label="tip",
        task="binary",
        classes=("no", "yes"),
        output="probabilities",
        split="eval",
        scores=tuple(map(tuple, score_rows(held).tolist())),
    )
    return TrainingReference(compute([make_batch(trained)]), schema or schema_pb2.Schema(), scores, "of a test")


def make_window(rows: Rows, scores: np.ndarray | None = None) -> RequestWindow:
    batch = make_batch(rows)
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    given = score_rows(rows) if scores is None else scores
    return RequestWindow(columns, given, batch.num_rows, 1)


def judge(reference: TrainingReference, window: RequestWindow, **settings: Any) -> JudgedWindow:
    return judge_window(window, reference, COLUMNS, MonitoringConfig(), compute, **settings)


def list_wrong(judged: JudgedWindow) -> set[tuple[str, str]]:
    return {(each.kind, each.column) for each in judged.differences if each.blocks}
