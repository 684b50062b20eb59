"""Batches looked up inside the graph are those that the iterator hands out, and XLA changes none of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from taxiway.components.training.data.input_pipeline import open_source
from taxiway.components.training.data.row_lookup import RowLookup
from taxiway.components.training.data.sources import BatchLayout, MemorySource
from taxiway.components.training.run import run_training
from tests.components.training.children import weights
from tests.components.training.synthetic import make_job


def memory(data: Path, **settings: Any) -> MemorySource:
    source = open_source(make_job(data, training={"input": {"mode": "memory"} | settings}), "train")
    assert isinstance(source, MemorySource)
    return source


@pytest.mark.parametrize("shuffle", ["rows", "batches", "none"])
@pytest.mark.parametrize("parts", [1, 3])
def test_the_graph_looks_up_what_the_iterator_hands_out(binary_data: Path, shuffle: str, parts: int) -> None:
    source, layout, first = memory(binary_data), BatchLayout(60, parts=parts), 5  # 11 steps an epoch, the last uneven
    rows = RowLookup(source.build_order(layout, 9, shuffle))
    plan = rows.plan_steps(tf.constant(first, tf.int64))
    elements = source.make_batches(layout, 9, first, shuffle).take(30 * parts).as_numpy_iterator()
    for step in range(30):
        for features, labels, valid in rows.look_up_batches(source.load_tensors(), plan, tf.constant(step, tf.int64)):
            expected = next(elements)
            np.testing.assert_array_equal(features["numeric"], expected[0]["numeric"])
            np.testing.assert_array_equal(labels, expected[1])
            np.testing.assert_array_equal(valid, expected[2])


def test_a_plan_of_large_batches_stays_small(binary_data: Path) -> None:
    source = memory(binary_data)
    assert RowLookup(source.build_order(BatchLayout(1 << 20), 1, "rows")).steps_per_plan == 1
    assert RowLookup(source.build_order(BatchLayout(8), 1, "rows")).steps_per_plan == 64


def test_cached_is_the_first_batch_again_and_again(binary_data: Path) -> None:
    source = memory(binary_data, mode="cached")
    rows = RowLookup(source.build_order(BatchLayout(8), 1, "rows"), source.repeat_one)
    only = rows.only_batch(source.load_tensors())
    assert only is not None
    first = next(iter(source.make_batches(BatchLayout(8), 1)))
    np.testing.assert_array_equal(only[0][0]["numeric"], first[0]["numeric"])
    assert RowLookup(rows.order).only_batch(source.load_tensors()) is None


SETTINGS: dict[str, Any] = {"epochs": 4, "global_batch_size": 60, "optimizer": {"name": "sgd", "learning_rate": 0.05}}
WAYS: dict[str, dict[str, Any]] = {
    "graph": {},
    "stream": {"input": {"mode": "stream", "shuffle": "none"}},
    "xla": {"xla": "on"},
    "xla on a stream": {"xla": "on", "input": {"mode": "stream", "shuffle": "none"}},
}


@pytest.fixture(scope="module")
def trained(one_file_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[np.ndarray]]:
    """The weights after the same rows in the same order, read and compiled in every way."""
    found = {}
    for name, more in WAYS.items():
        out = tmp_path_factory.mktemp("way")
        settings = SETTINGS | {"input": {"shuffle": "none"}} | more
        result = run_training(make_job(one_file_data, out, training=settings))
        assert result.rows == 4 * 617
        found[name] = weights(out)
    return found


@pytest.mark.parametrize("way", [way for way in WAYS if way != "graph"])
def test_neither_a_stream_nor_xla_changes_what_is_learned(trained: dict[str, list[np.ndarray]], way: str) -> None:
    for expected, actual in zip(trained["graph"], trained[way], strict=True):
        np.testing.assert_allclose(actual, expected, atol=2e-5, rtol=2e-4)
