"""Labels that came later: honest ones raise no alarm, in all three tasks; shifted ones and worse models do."""

from __future__ import annotations

import numpy as np
import pytest

from taxiway.components.metrics.auc_intervals import compute_auc_interval
from taxiway.components.metrics.curve_areas import compute_roc_auc
from taxiway.components.metrics.rate_intervals import compute_wilson_interval
from taxiway.components.metrics.score_counts import ScoreCounts
from taxiway.components.monitoring.config import MonitoringConfig
from taxiway.components.monitoring.findings import Difference
from taxiway.components.monitoring.performance import (
    EXACT,
    LabelledRows,
    check_classes,
    check_main_metric,
    check_values,
    measure_metrics,
)
from taxiway.components.monitoring.promise import compare_with_promise, subtract_estimates

RATE = 0.001 / 20
CONFIG = MonitoringConfig()


def draw_binary(rows: int, seed: int) -> LabelledRows:
    random = np.random.default_rng(seed)
    scores = random.beta(1, 3, rows)
    return LabelledRows((random.random(rows) < scores).astype(float), scores[:, None], "binary", ("no", "yes"))


def draw_multiclass(rows: int, seed: int) -> LabelledRows:
    random = np.random.default_rng(seed)
    scores = random.dirichlet((4, 2, 1), rows)
    labels = (random.random(rows)[:, None] > scores.cumsum(axis=1)).sum(axis=1)
    return LabelledRows(labels.astype(float), scores, "multiclass", ("a", "b", "c"))


def list_wrong(differences: list[Difference]) -> set[tuple[str, str]]:
    return {(each.kind, each.column) for each in differences if each.blocks}


def judge(rows: LabelledRows, shares: dict[int, float], promised: dict[str, float]) -> set[tuple[str, str]]:
    measured = measure_metrics(rows, promised)
    checks = [*check_main_metric(measured, CONFIG, RATE), *check_classes(rows, shares, 10_000, CONFIG, RATE)]
    return list_wrong(checks)


def test_honest_labels_raise_no_alarm() -> None:
    shares, promised = {0: 0.75, 1: 0.25}, {"auc": 0.73}
    assert [found for seed in range(40) if (found := judge(draw_binary(400, seed), shares, promised))] == []
    multi, promised = {0: 4 / 7, 1: 2 / 7, 2: 1 / 7}, {"accuracy": 0.62}
    assert [found for seed in range(15) if (found := judge(draw_multiclass(400, seed), multi, promised))] == []


def test_a_label_shift_is_found_in_both_ways() -> None:
    rows = draw_binary(1000, 1)
    shifted = LabelledRows(np.maximum(rows.labels, np.arange(1000) % 4 == 0), rows.scores, "binary", rows.classes)
    assert judge(shifted, {0: 0.75, 1: 0.25}, {}) == {("label_shift", "yes"), ("calibration", "yes")}
    rows = draw_multiclass(1000, 1)
    labels = np.where(np.arange(1000) % 3 == 0, 2.0, rows.labels)
    found = judge(LabelledRows(labels, rows.scores, "multiclass", rows.classes), {0: 4 / 7, 1: 2 / 7, 2: 1 / 7}, {})
    assert {("label_shift", "c"), ("calibration", "c")} <= found


def test_a_worse_model_is_found_and_a_better_one_is_not() -> None:
    rows = draw_binary(2000, 2)
    assert judge(rows, {}, {"auc": 0.95}) == {("metric", "auc")}
    assert judge(rows, {}, {"auc": 0.55}) == set()
    measured = measure_metrics(rows, {"auc": 0.95, "no metric": 1.0})
    assert measured[0].name == "auc" and measured[0].promise and measured[0].promise.value == 0.95
    assert {each.name for each in measured} == {"auc", "log_loss", "brier", "ece"}
    assert all(low <= each.live <= high for each in measured if each.interval for low, high in [each.interval])


def test_a_promise_of_few_rows_is_no_exact_value() -> None:
    """Of 200 pairs of samples of one distribution, the interval of the difference leaves about one in twenty out."""
    promised, live = (
        [measure_auc(draw_binary(400, seed)) for seed in range(start, start + 200)] for start in (1000, 5000)
    )
    outside = {"difference": 0, "live alone": 0}
    for (value, _, counts), (now, ends, own) in zip(promised, live, strict=True):
        judged = {"auc": value, "example_count": counts[0], "positives": counts[1]}
        promise = compare_with_promise("auc", now, ends, own, judged)
        assert promise and promise.change_interval and promise.rows == 400
        outside["difference"] += not promise.change_interval[0] <= 0 <= promise.change_interval[1]
        outside["live alone"] += not ends[0] <= value <= ends[1]
    assert outside["difference"] <= 20 < outside["live alone"]


def measure_auc(rows: LabelledRows) -> tuple[float, tuple[float, float], tuple[float, float]]:
    positive = rows.labels > 0.5
    ends = compute_auc_interval(positive, rows.scores[:, 0])
    counts = float((~positive).sum()), float(positive.sum())
    return float(compute_roc_auc(*count_scores(rows))), ends, (sum(counts), counts[1])


def count_scores(rows: LabelledRows) -> tuple[np.ndarray, np.ndarray]:
    counts = ScoreCounts()
    counts.add_rows(rows.scores[:, 0], rows.labels, 1 - rows.labels)
    return counts.own, counts.others


def test_the_interval_of_a_difference_is_zou_and_donners() -> None:
    # Newcombe's method 10 of two shares, 56 of 70 and 48 of 80: .0524 to .3339 (Statistics in Medicine 17, 873-890).
    shares = [(hits / rows, compute_wilson_interval(hits, rows)) for hits, rows in ((56, 70), (48, 80))]
    low, high = subtract_estimates(*shares)
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


def test_a_promise_without_its_rows_is_exact_and_without_a_live_interval_is_not_judged() -> None:
    exact = compare_with_promise("auc", 0.8, (0.75, 0.84), (400, 100), {"auc": 0.9})
    assert exact and exact.interval is None and exact.change_interval == pytest.approx((-0.15, -0.06))
    few = compare_with_promise("auc", 0.8, None, (400, 100), {"auc": 0.9, "example_count": 50})
    assert few and few.change == pytest.approx(-0.1) and few.change_interval is None
    for name, live, ends, value, expected in (
        ("ece", 0.04, (0.0, 0.06), 0.01, (0.0, 0.03)),
        ("auc[a]", 0.9, (0.8, 0.99), 0.95, (0.85, 1.0)),
        ("r2", 0.1, (-0.3, 0.5), 0.2, (-0.2, 0.6)),
    ):
        found = compare_with_promise(name, live, ends, (400, 0), {name: value, "example_count": 400})
        assert found and found.interval == pytest.approx(expected)
    assert compare_with_promise("brier", 0.8, None, (400, 100), {"auc": 0.9}) is None
    measured = measure_metrics(draw_binary(400, 3), {"auc": 0.7})
    assert measured[0].note == EXACT


def test_a_worse_metric_on_a_promise_of_thirty_rows_is_chance() -> None:
    rows, promised = draw_binary(2000, 2), {"auc": 0.95, "example_count": 30, "positives": 8}
    (found,) = check_main_metric(measure_metrics(rows, promised), CONFIG, RATE)
    assert found.exceeds and not found.blocks
    (found,) = check_main_metric(
        measure_metrics(rows, {**promised, "example_count": 3000, "positives": 800}), CONFIG, RATE
    )
    assert found.blocks and "promised were 0.95 (0.9" in found.text


def test_few_rows_of_a_class_have_no_interval_and_no_verdict() -> None:
    rows = draw_binary(300, 3)
    few = LabelledRows((np.arange(300) < 4).astype(float), rows.scores, "binary", rows.classes)
    main = measure_metrics(few, {"auc": 0.95})[0]
    assert main.interval is None and main.note == "4 rows of class yes: too few for an interval"
    assert list(check_main_metric([main], CONFIG, RATE)) == []


def test_a_regressions_labels_and_errors() -> None:
    random = np.random.default_rng(5)
    trained, labels = random.gamma(2, 10, 20_000), random.gamma(2, 10, 800)
    shares = np.arange(1, 10) / 10
    quantiles = np.quantile(trained, shares), shares
    rows = LabelledRows(labels, (labels + random.normal(0, 3, 800))[:, None], "regression")
    measured = measure_metrics(rows, {"rmse": 3.1, "auc": 0.9})
    assert measured[0].name == "rmse" and "auc" not in {each.name for each in measured}
    assert measured[0].live == pytest.approx(3, rel=0.1)
    assert list_wrong(list(check_main_metric(measured, CONFIG, RATE))) == set()
    assert list_wrong(list(check_main_metric(measure_metrics(rows, {"rmse": 1.5}), CONFIG, RATE))) == {
        ("metric", "rmse")
    }
    assert list_wrong(list(check_values(labels, quantiles, 20_000, 0.1, RATE))) == set()
    assert list_wrong(list(check_values(labels * 1.6, quantiles, 20_000, 0.1, RATE))) == {("label_shift", "label")}
    assert list(check_values(labels, (np.array([]), np.array([])), 0, 0.1, RATE)) == []
