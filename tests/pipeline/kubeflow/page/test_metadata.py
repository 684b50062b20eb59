"""Metadata by which Kubeflow's page draws, put to the frontend's own rules."""

from __future__ import annotations

import numpy as np
import pytest
from kfp.dsl import ClassificationMetrics

from taxiway.pipeline.kubeflow.page import metadata
from taxiway.pipeline.report import curves
from taxiway.pipeline.tracking.run_record import MetricValues, PushRecord, RunRecord, VariantRecord
from tests.pipeline.kubeflow.page import frontend_rules


@pytest.fixture(scope="module")
def binary():
    labels = np.random.default_rng(0).integers(0, 2, 500)
    return curves.summarize_binary(labels, np.clip(labels * 0.3 + np.random.default_rng(1).uniform(0, 0.7, 500), 0, 1))


def test_a_binary_model_has_a_curve_and_a_matrix(binary):
    drawn = frontend_rules.store("curves", metadata.make_curves(binary, ("no", "yes")))
    assert frontend_rules.is_shown_as_classification(drawn)
    points = frontend_rules.draw_roc(drawn)
    assert points[0][1:] == (0, 0) and points[-1][1:] == (1, 1)
    thresholds, xs, ys = zip(*points, strict=True)
    assert list(thresholds) == sorted(thresholds, reverse=True) and list(xs) == sorted(xs) and list(ys) == sorted(ys)
    labels, rows = frontend_rules.draw_matrix(drawn)
    at_half = next(each for each in binary["thresholds"] if each["threshold"] == 0.5)
    assert labels == ["no", "yes"] and sum(map(sum, rows)) == 500
    assert rows[1] == [at_half["false_negative"], at_half["true_positive"]]


def test_each_point_of_the_curve_is_what_its_threshold_gives():
    labels, scores = np.array([1, 0, 1, 0, 1]), np.array([0.9, 0.8, 0.8, 0.3, 0.2])
    scored = curves.summarize_binary(labels, scores)
    for threshold, x, y in zip(scored["roc_thresholds"], scored["roc"]["x"], scored["roc"]["y"], strict=True):
        said = scores >= threshold
        expected = ((said & (labels == 0)).sum() / 2, (said & (labels == 1)).sum() / 3)
        assert (x, y) == pytest.approx(expected, abs=1e-6)


def test_it_is_what_kfps_own_class_writes(binary):
    own = ClassificationMetrics(name="curves", uri="minio://b/x", metadata={})
    own.log_roc_curve(binary["roc"]["x"], binary["roc"]["y"], binary["roc_thresholds"])
    at_half = next(each for each in binary["thresholds"] if each["threshold"] == 0.5)
    names = ("true_negative", "false_positive", "false_negative", "true_positive")
    cells = [at_half[name] for name in names]
    own.log_confusion_matrix(["no", "yes"], [cells[:2], cells[2:]])
    assert metadata.make_curves(binary, ("no", "yes")) == own.metadata


def test_several_classes_have_a_matrix_alone():
    values = np.eye(3)[[0, 1, 2, 2]]
    drawn = frontend_rules.store(
        "curves", metadata.make_curves(curves.summarize_multiclass(np.array([0, 1, 2, 1]), values), ())
    )
    assert frontend_rules.draw_matrix(drawn) == (["0", "1", "2"], [[1, 0, 0], [0, 1, 1], [0, 0, 1]])
    assert "confidenceMetrics" not in drawn


def test_a_matrix_that_nobody_could_read_is_left_out():
    confusion = np.zeros((metadata.MOST_CLASSES + 1,) * 2, int).tolist()
    assert metadata.make_curves({"confusion": confusion}, ()) == {}


def test_metrics_are_finite_numbers_only():
    overall = MetricValues(slice="overall", rows=7, candidate={"auc": 0.9, "mae": None}, baseline={"auc": None})
    drawn = frontend_rules.draw_metrics(frontend_rules.store("metrics", metadata.make_evaluation_metrics(overall)))
    assert drawn == {"auc": 0.9, "rows": 7}
    assert metadata.make_evaluation_metrics(None) == {}
    assert metadata.make_metrics({"a": float("inf"), "b": True, "c": "1", "d": 2}) == {"d": 2.0}


def test_a_run_is_compared_by_its_main_metric():
    run = RunRecord(
        run_id="r",
        state="live",
        started=1.0,
        ended=3.0,
        main_metric="auc",
        metrics={"Evaluator": (MetricValues(slice="overall", candidate={"auc": 0.8}),)},
        variants=(VariantRecord(variant="frozen", status="measured", chosen=True, size_bytes=10.0),),
        push=PushRecord(pushed=True, version=4),
    )
    drawn = frontend_rules.draw_metrics(frontend_rules.store("metrics", metadata.make_run_metrics(run)))
    assert drawn == {"auc": 0.8, "size in bytes": 10, "version": 4, "seconds": 2}
