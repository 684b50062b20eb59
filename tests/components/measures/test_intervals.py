"""Intervals: known formulas, too few rows, no certainty where nothing spreads, and the coverage that they promise."""

import numpy as np
import pytest

from components.measures import intervals, ranks, rates, resampling
from components.measures.intervals import Pair, compare, few_rows
from tests.bench.coverage import CASES, cover


def table(rows=400, seed=1):
    random = np.random.default_rng(seed)
    labels = (random.random(rows) < 0.3).astype(float)
    scores = 1 / (1 + np.exp(1.5 - 2 * labels - random.normal(size=rows)))
    return labels, scores[:, None]


def test_wilson_as_published():
    assert rates.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)  # Newcombe 1998, method 3
    assert rates.wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=5e-5)


@pytest.mark.parametrize(("both", "gained", "lost", "neither"), [(43, 9, 1, 7), (5, 3, 3, 1), (90, 0, 4, 6)])
def test_tango_s_ends_lie_two_standard_errors_away_by_the_likelihood(both, gained, lost, neither):
    counts = [both, gained, lost, neither]
    first, second = np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)
    rows, known = sum(counts), np.linspace(1e-7, 1.0, 800_001)
    for end in rates.tango(first, second):
        shares = known[(known + end > 0) & (2 * known + end < 1)]  # of rows that only the second decides right
        likelihood = (
            gained * np.log(shares + end) + lost * np.log(shares) + (both + neither) * np.log1p(-2 * shares - end)
        )
        share = shares[likelihood.argmax()]
        error = (rows * (2 * share + end * (1 - end))) ** 0.5
        assert abs(gained - lost - rows * end) / error == pytest.approx(rates.Z, rel=2e-3)


def test_no_row_differs_among_few():
    right = np.ones(100, bool)
    assert rates.tango(right, right) == pytest.approx(
        (-(rates.Z**2) / (100 + rates.Z**2), rates.Z**2 / (100 + rates.Z**2))
    )


def test_delong_as_by_hand():
    positive, scores = np.array([0, 0, 1, 1, 1]) > 0, np.array([0.1, 0.4, 0.35, 0.8, 0.9])
    own, others = ranks._placements(positive, scores)
    assert own.tolist() == [0.5, 1.0, 1.0] and others == pytest.approx([1.0, 2 / 3])
    variance, _ = ranks._variance(own, others)
    assert variance == pytest.approx(np.var(own, ddof=1) / 3 + np.var(others, ddof=1) / 2)


def test_the_interval_approaches_delongs_where_there_are_rows():
    random = np.random.default_rng(1)
    positive = np.arange(6000) < 2000
    scores = random.normal(size=6000) + 1.2 * positive
    low, high = ranks.auc_interval(positive, scores)
    own, others = ranks._placements(positive, scores)
    half = 1.96 * ranks._variance(own, others)[0] ** 0.5
    assert (low, high) == pytest.approx((own.mean() - half, own.mean() + half), abs=0.1 * half)


@pytest.mark.parametrize("metric", ["auc", "accuracy", "pr_auc", "log_loss", "macro_f1"])
def test_a_perfect_model_is_not_certain(metric):
    labels = np.array([0, 1] * 20, float)
    scores = np.eye(2)[labels.astype(int)] if metric.startswith("macro") else labels[:, None]
    found = compare([metric], Pair(labels, scores, scores * 0.5 + 0.1), 200, 1)[metric]
    for each in (found.value, found.change):
        assert np.isnan(each.low) or each.low < each.high


def test_the_same_answers_do_not_differ():
    labels, scores = table()
    for found in compare(
        ["auc", "pr_auc", "accuracy", "log_loss", "calibration"], Pair(labels, scores, scores), 200, 1
    ).values():
        assert (found.change.low, found.change.high) == (0.0, 0.0)
        assert found.value.low < found.value.value < found.value.high


@pytest.mark.parametrize(
    ("metric", "counts", "few"),
    [
        ("auc", (500, 9), "9 rows of class yes"),
        ("auc", (1, 500), "1 row of class no"),
        ("log_loss", (10, 10), ""),
        ("accuracy", (300, 5, 6), ""),
        ("accuracy", (300, 5, 4), "9 rows of class other than a"),
        ("macro_auc", (300, 50, 9), "9 rows of class c"),
        ("macro_auc", (300, 50, 0), ""),
        ("recall[b]", (300, 9, 300), "9 rows of class b"),
        ("recall[a]", (300, 4, 5), "9 rows of class other than a"),
    ],
)
def test_too_few_rows_are_said(metric, counts, few):
    labels = np.repeat(np.arange(len(counts)), counts).astype(float)
    scores = np.full((len(labels), 1 if len(counts) == 2 else len(counts)), 0.5)
    classes = ("no", "yes") if len(counts) == 2 else ("a", "b", "c")
    assert few_rows(metric, labels, scores, classes) == few
    found = compare([metric], Pair(labels, scores, scores, classes), 200, 1)[metric]
    assert found.few == few
    assert not few or (np.isnan(found.value.low) and np.isnan(found.change.high))


def test_too_few_values_are_said():
    values = np.arange(19.0)
    assert few_rows("rmse", values, values[:, None]) == "19 rows"
    assert few_rows("rmse", np.arange(20.0), np.arange(20.0)[:, None]) == ""


def test_draws_keep_the_rows_of_each_class_and_chunks_do_not_matter():
    labels = np.repeat([0.0, 1.0], [40, 10])
    parts = intervals.strata(labels)
    whole = np.concatenate(list(resampling.draw_weights(50, parts, 20, 3)))
    assert whole.shape == (20, 50)
    assert (whole[:, :40].sum(axis=1) == 40).all() and (whole[:, 40:].sum(axis=1) == 10).all()
    assert {row.sum() for row in resampling.leave_out(50, parts).weights} == {50.0}


def test_a_change_of_area_is_as_unsure_as_what_the_few_rows_do_not_show():
    random = np.random.default_rng(4)
    positive = np.arange(310) < 10
    scores = random.normal(size=310) + 3 * positive
    moved = scores + np.where(positive, 0.0, 0.5) * random.normal(size=310)  # no row of the rarer class moved
    low, high = ranks.auc_change_interval(positive, scores, moved)
    sides = zip(ranks._placements(positive, scores), ranks._placements(positive, moved), strict=True)
    own, others = (mine - other for mine, other in sides)
    assert high - low > 2 * rates.Z * ranks._variance(own, others)[0] ** 0.5
    assert low < own.mean() < high


def test_the_change_against_a_model_that_ranks_nothing_is_as_unsure_as_the_area():
    random = np.random.default_rng(6)
    positive = np.arange(900) < 300
    scores = random.normal(size=900) + 1.2 * positive
    for naive in (np.zeros(900), np.full(900, 0.3)):
        low, high = ranks.auc_interval(positive, scores)
        assert ranks.auc_change_interval(positive, scores, naive) == pytest.approx((low - 0.5, high - 0.5))
        assert ranks.auc_change_interval(positive, naive, scores) == pytest.approx((0.5 - high, 0.5 - low))
    low, high = ranks.auc_change_interval(positive, naive, np.zeros(900))
    assert low < 0 < high


def test_ranks_that_do_not_change_may_be_about_to():
    positive = np.arange(40) < 15
    scores = np.random.default_rng(7).normal(size=40)
    most = rates.Z**2 / (15 * 25 + rates.Z**2)
    assert ranks.auc_change_interval(positive, scores, 2 * scores + 1) == pytest.approx((-most, most))


# Few tables, so that it takes seconds: the bounds are .95 with four standard errors; `python -m tests.bench.coverage`
# draws as many as are wanted.
@pytest.mark.parametrize(
    "case", [CASES[1], CASES[4], CASES[7], CASES[10], CASES[14], *CASES[17:20]], ids=lambda case: case.name
)
def test_the_intervals_hold_what_they_promise(case):
    tables = 120
    allowed = 4 * (0.95 * 0.05 / tables) ** 0.5
    for name, held in cover(case, tables).items():
        assert held.value >= 0.95 - allowed, (name, held)
        assert np.isnan(held.change) or held.change >= 0.95 - allowed, (name, held)
