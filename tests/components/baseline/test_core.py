"""The baseline is the live model, or the naive one where no model is live."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import statistics_pb2

from taxiway.components.baseline import core, naive
from taxiway.components.errors import DataError


def statistics(values: list[float], kind: str = "num", buckets: int = 10) -> Any:
    """Statistics of a label column as TFDV writes them."""
    found = statistics_pb2.DatasetFeatureStatisticsList()
    feature = found.datasets.add().features.add()
    feature.path.step.append("label")
    if kind == "string":
        for value in sorted(set(values)):
            feature.string_stats.rank_histogram.buckets.add(label=str(int(value)), sample_count=values.count(value))
        return found
    feature.num_stats.mean, feature.num_stats.max = float(np.mean(values)), max(values)
    counts, edges = np.histogram(values, buckets)
    histogram = feature.num_stats.histograms.add()
    for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
        histogram.buckets.add(low_value=low, high_value=high, sample_count=count)
    return found


def test_binary_answers_the_positive_share() -> None:
    np.testing.assert_allclose(naive.compute_scores(statistics([0, 0, 0, 1]), "label", "binary"), [0.25])
    np.testing.assert_allclose(naive.compute_scores(statistics([0, 0, 0, 1], "string"), "label", "binary"), [0.25])


def test_regression_answers_the_mean() -> None:
    np.testing.assert_allclose(naive.compute_scores(statistics([1.5, 2.5, 5.0]), "label", "regression"), [3.0])
    with pytest.raises(DataError, match="holds no numbers"):
        naive.compute_scores(statistics([1, 2], "string"), "label", "regression")


@pytest.mark.parametrize("kind", ["num", "string"])
def test_multiclass_answers_the_shares(kind: str) -> None:
    shares = naive.compute_scores(statistics([0, 0, 1, 2, 2, 2, 4, 4], kind), "label", "multiclass")
    np.testing.assert_allclose(shares, [0.25, 0.125, 0.375, 0, 0.25])


def test_more_classes_than_buckets_still_sum_to_one() -> None:
    shares = naive.compute_scores(statistics([float(i % 37) for i in range(1000)]), "label", "multiclass")
    assert shares.shape == (37,) and abs(shares.sum() - 1) < 1e-5


def test_an_unknown_label_is_said() -> None:
    with pytest.raises(DataError, match="no column 'tip'"):
        naive.compute_scores(statistics([1, 0]), "tip", "binary")


def test_the_naive_model_has_the_signature_of_a_trained_one(tmp_path: Path) -> None:
    baseline = core.provide_baseline(
        tmp_path / "serving", statistics([0, 0, 0, 1]), "label", "binary", tmp_path / "model"
    )
    assert baseline.kind == "naive" and "nothing is live" in baseline.reason
    signature = tf.saved_model.load(str(tmp_path / "model" / "Format-Serving")).signatures["serving_default"]
    answer = signature(examples=tf.constant([b"", b"anything", b"x"]))
    np.testing.assert_allclose(answer["probabilities"].numpy(), [[0.25]] * 3)


def test_the_live_version_is_handed_on(tmp_path: Path) -> None:
    naive.save_model(np.array([0.75], np.float32), "binary", tmp_path / "serving" / "3")
    shutil.copytree(tmp_path / "serving" / "3", tmp_path / "serving" / "12")
    baseline = core.provide_baseline(tmp_path / "serving", statistics([0, 1]), "label", "binary", tmp_path / "model")
    assert (baseline.kind, baseline.version) == ("live", 12)
    copied = tmp_path / "model" / "Format-Serving" / "saved_model.pb"
    assert copied.read_bytes() == (tmp_path / "serving" / "12" / "saved_model.pb").read_bytes()


def test_a_live_version_of_another_task_or_none_at_all_gives_way(tmp_path: Path) -> None:
    naive.save_model(np.array([0.75], np.float32), "regression", tmp_path / "serving" / "3")
    baseline = core.provide_baseline(tmp_path / "serving", statistics([0, 1]), "label", "binary", tmp_path / "a")
    assert baseline.kind == "naive" and "no serving_default of a binary model" in baseline.reason
    (tmp_path / "serving" / "4").mkdir()
    baseline = core.provide_baseline(tmp_path / "serving", statistics([0, 1]), "label", "binary", tmp_path / "b")
    assert baseline.kind == "naive" and "cannot be read" in baseline.reason
