"""Intervals: known formulas, too few rows, no certainty where nothing spreads, and the coverage that they promise."""

import numpy as np
import pytest

from taxiway.components.metrics import auc_intervals, bootstrap, intervals, rate_intervals
from taxiway.components.metrics.intervals import ScorePair, compare_metrics, find_interval_refusal
from taxiway.components.refusal import Refusal
from tests.bench.coverage import CASES, cover


def table(rows=400, seed=1):
    random = np.random.default_rng(seed)
    labels = (random.random(rows) < 0.3).astype(float)
    scores = 1 / (1 + np.exp(1.5 - 2 * labels - random.normal(size=rows)))
    return labels, scores[:, None]


def test_wilson_as_published():
    assert rate_intervals.compute_wilson_interval(81, 263) == pytest.approx(
        (0.2553, 0.3662), abs=5e-5
    )  # Newcombe 1998, method 3
    assert rate_intervals.compute_wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=5e-5)


@pytest.mark.parametrize(("both", "gained", "lost", "neither"), [(43, 9, 1, 7), (5, 3, 3, 1), (90, 0, 4, 6)])
def test_tango_s_ends_lie_two_standard_errors_away_by_the_likelihood(both, gained, lost, neither):
    counts = [both, gained, lost, neither]
    first, second = np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)
    rows, known = sum(counts), np.linspace(1e-7, 1.0, 800_001)
    for end in rate_intervals.compute_tango_interval(first, second):
        shares = known[(known + end > 0) & (2 * known + end < 1)]  # of rows that only the second decides right
        likelihood = (
            gained * np.log(shares + end) + lost * np.log(shares) + (both + neither) * np.log1p(-2 * shares - end)
        )
        share = shares[likelihood.argmax()]
        error = (rows * (2 * share + end * (1 - end))) ** 0.5
        assert abs(gained - lost - rows * end) / error == pytest.approx(rate_intervals.Z, rel=2e-3)


def test_no_row_differs_among_few():
    right = np.ones(100, bool)
    assert rate_intervals.compute_tango_interval(right, right) == pytest.approx(
        (-(rate_intervals.Z**2) / (100 + rate_intervals.Z**2), rate_intervals.Z**2 / (100 + rate_intervals.Z**2))
    )


def test_delong_as_by_hand():
    positive, scores = np.array([0, 0, 1, 1, 1]) > 0, np.array([0.1, 0.4, 0.35, 0.8, 0.9])
    own, others = auc_intervals._compute_placements(positive, scores)
    assert own.tolist() == [0.5, 1.0, 1.0] and others == pytest.approx([1.0, 2 / 3])
    variance, _ = auc_intervals._compute_delong_variance(own, others)
    assert variance == pytest.approx(np.var(own, ddof=1) / 3 + np.var(others, ddof=1) / 2)


def test_the_interval_approaches_delongs_where_there_are_rows():
    random = np.random.default_rng(1)
    positive = np.arange(6000) < 2000
    scores = random.normal(size=6000) + 1.2 * positive
    low, high = auc_intervals.compute_auc_interval(positive, scores)
    own, others = auc_intervals._compute_placements(positive, scores)
    half = 1.96 * auc_intervals._compute_delong_variance(own, others)[0] ** 0.5
    assert (low, high) == pytest.approx((own.mean() - half, own.mean() + half), abs=0.1 * half)


@pytest.mark.parametrize("metric", ["auc", "accuracy", "pr_auc", "log_loss", "macro_f1"])
def test_a_perfect_model_is_not_certain(metric):
    labels = np.array([0, 1] * 20, float)
    scores = np.eye(2)[labels.astype(int)] if metric.startswith("macro") else labels[:, None]
    found = compare_metrics([metric], ScorePair(labels, scores, scores * 0.5 + 0.1), 200, 1)[metric]
    for each in (found.value, found.change):
        assert np.isnan(each.low) or each.low < each.high


def test_the_same_answers_do_not_differ():
    labels, scores = table()
    for found in compare_metrics(
        ["auc", "pr_auc", "accuracy", "log_loss", "calibration"], ScorePair(labels, scores, scores), 200, 1
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
    assert find_interval_refusal(metric, labels, scores, classes) == (Refusal(few) if few else None)
    found = compare_metrics([metric], ScorePair(labels, scores, scores, classes), 200, 1)[metric]
    assert found.few == (Refusal(few) if few else None)
    assert not few or (np.isnan(found.value.low) and np.isnan(found.change.high))


def three_classes():
    """35 rows of b or decided for it: 20 hits, 10 missed, 5 decided wrongly; 40 others right."""
    labels = np.repeat([1.0, 1.0, 0.0, 0.0, 2.0], [20, 10, 5, 20, 20])
    decided = np.repeat([1, 0, 1, 0, 2], [20, 10, 5, 20, 20])
    return labels, 0.1 + 0.8 * np.eye(3)[decided]


def test_recall_precision_and_f1_of_a_class_are_shares_of_its_rows():
    labels, scores = three_classes()
    names = ["recall[b]", "precision[b]", "f1[b]", "accuracy"]
    found = compare_metrics(names, ScorePair(labels, scores, scores[:, [1, 0, 2]], ("a", "b", "c")), 200, 1)
    ends = {name: (each.value.low, each.value.high) for name, each in found.items()}
    assert ends["recall[b]"] == rate_intervals.compute_wilson_interval(20, 30)
    assert ends["precision[b]"] == rate_intervals.compute_wilson_interval(20, 25)
    assert ends["accuracy"] == rate_intervals.compute_wilson_interval(60, 75)
    assert ends["f1[b]"] == pytest.approx([2 * s / (1 + s) for s in rate_intervals.compute_wilson_interval(20, 35)])
    assert found["f1[b]"].value.value == pytest.approx(40 / 55)
    assert np.isnan(found["recall[b]"].change.low) and found["recall[b]"].change.value != 0
    assert found["accuracy"].change.low < found["accuracy"].change.value < found["accuracy"].change.high


def test_the_area_of_a_class_is_that_of_its_own_scores():
    random = np.random.default_rng(5)
    labels = np.repeat([0.0, 1.0, 2.0], 40)
    first, second = (random.random((120, 3)) + 0.3 * np.eye(3)[labels.astype(int)] for _ in range(2))
    found = compare_metrics(["auc[c]"], ScorePair(labels, first, second, ("a", "b", "c")), 200, 1)["auc[c]"]
    own = labels == 2
    assert (found.value.low, found.value.high) == auc_intervals.compute_auc_interval(own, first[:, 2])
    change = auc_intervals.compute_change_interval(own, first[:, 2], second[:, 2])
    assert (found.change.low, found.change.high) == change


def test_of_two_columns_of_scores_the_last_is_the_positive_class_s():
    labels, scores = table()
    both = np.hstack([1 - scores, scores])
    found = compare_metrics(["auc"], ScorePair(labels, both, both**2, ("no", "yes")), 200, 1)["auc"]
    alone = compare_metrics(["auc"], ScorePair(labels, scores, scores**2, ("no", "yes")), 200, 1)["auc"]
    assert found == alone
    assert (found.value.low, found.value.high) == auc_intervals.compute_auc_interval(labels > 0, scores[:, 0])


def test_a_series_is_all_rows_then_each_group_left_out_then_the_draws():
    labels, _ = table(60)
    jackknife = bootstrap.leave_out_groups(60, intervals.split_strata(labels))
    groups = len(jackknife.stratum)
    value, draws, left_out = intervals._split_series(np.arange(1.0 + groups + 5), jackknife)
    assert value == 0.0
    np.testing.assert_array_equal(left_out, np.arange(1, groups + 1))
    np.testing.assert_array_equal(draws, np.arange(groups + 1, groups + 6))


def test_the_interval_of_a_mean_is_about_two_standard_errors_wide():
    labels, scores = table(400)
    found = compare_metrics(["log_loss"], ScorePair(labels, scores, scores), 1000, 1)["log_loss"].value
    losses = -np.log(np.where(labels > 0, scores[:, 0], 1 - scores[:, 0]))
    within = sum(losses[labels == each].var() * (labels == each).sum() for each in (0, 1)) ** 0.5 / 400
    assert found.value == pytest.approx(losses.mean())
    assert found.high - found.low == pytest.approx(2 * rate_intervals.Z * within, rel=0.1)


def test_a_change_of_a_loss_is_a_share_where_that_was_asked_for():
    labels, scores = table()
    worse = 0.5 * scores + 0.2
    share, plain = (
        compare_metrics(["log_loss", "auc"], ScorePair(labels, worse, scores, **asked), 200, 1)
        for asked in ({"share_of_loss": True}, {})
    )
    for each in (share["log_loss"].change, plain["log_loss"].change):
        assert (each.low + each.high) / 2 == pytest.approx(each.value)
    loss = plain["log_loss"]
    assert share["log_loss"].change.value == pytest.approx((loss.value.value - loss.other) / loss.other)
    assert loss.change.value == pytest.approx(loss.value.value - loss.other)
    assert share["auc"].change == plain["auc"].change
    perfect = ScorePair(labels, scores, scores, (), True).compute_change("mse", np.array([0.5]), np.array([0.0]))
    assert perfect == pytest.approx(0.5 / 1e-12)


def test_classes_of_few_rows_are_drawn_together():
    parts = intervals.split_strata(np.repeat([0.0, 1.0, 2.0, 3.0], [40, 9, 5, 10]))
    assert sorted(len(part) for part in parts) == [10, 14, 40]
    assert sorted(np.concatenate(parts)) == list(range(64))


def test_how_many_positives_there_happened_to_be_is_unsure_in_a_calibration_only():
    labels = np.repeat([0.0, 1.0], [150, 50])
    scores = np.full((200, 1), 0.25)
    other = np.full((200, 1), 0.3)
    found = compare_metrics(["calibration", "log_loss"], ScorePair(labels, scores, other), 200, 1)
    assert found["calibration"].value.low < 1 < found["calibration"].value.high
    assert not found["log_loss"].value.low < found["log_loss"].value.value


def test_rows_are_counted_by_name_where_every_class_has_one():
    labels, scores = three_classes()
    assert intervals.count_rows_by_class(labels, scores, ("a", "b", "c")) == {"a": 25, "b": 30, "c": 20}
    assert intervals.count_rows_by_class(labels, scores, ("a", "b")) == {"0": 25, "1": 30, "2": 20}
    binary = np.array([0.0, 0.0, 0.0])
    assert intervals.count_rows_by_class(binary, np.full((3, 1), 0.5)) == {"0": 3, "1": 0}


def test_too_few_values_are_said():
    values = np.arange(19.0)
    assert find_interval_refusal("rmse", values, values[:, None]) == Refusal("19 rows")
    assert find_interval_refusal("rmse", np.arange(20.0), np.arange(20.0)[:, None]) is None


def test_draws_keep_the_rows_of_each_class_and_chunks_do_not_matter():
    labels = np.repeat([0.0, 1.0], [40, 10])
    parts = intervals.split_strata(labels)
    whole = np.concatenate(list(bootstrap.draw_weights(50, parts, 20, 3)))
    assert whole.shape == (20, 50)
    assert (whole[:, :40].sum(axis=1) == 40).all() and (whole[:, 40:].sum(axis=1) == 10).all()
    assert {row.sum() for row in bootstrap.leave_out_groups(50, parts).weights} == {50.0}


def test_a_change_of_area_is_as_unsure_as_what_the_few_rows_do_not_show():
    random = np.random.default_rng(4)
    positive = np.arange(310) < 10
    scores = random.normal(size=310) + 3 * positive
    moved = scores + np.where(positive, 0.0, 0.5) * random.normal(size=310)  # no row of the rarer class moved
    low, high = auc_intervals.compute_change_interval(positive, scores, moved)
    sides = zip(
        auc_intervals._compute_placements(positive, scores),
        auc_intervals._compute_placements(positive, moved),
        strict=True,
    )
    own, others = (mine - other for mine, other in sides)
    assert high - low > 2 * rate_intervals.Z * auc_intervals._compute_delong_variance(own, others)[0] ** 0.5
    assert low < own.mean() < high


def test_the_change_against_a_model_that_ranks_nothing_is_as_unsure_as_the_area():
    random = np.random.default_rng(6)
    positive = np.arange(900) < 300
    scores = random.normal(size=900) + 1.2 * positive
    for naive in (np.zeros(900), np.full(900, 0.3)):
        low, high = auc_intervals.compute_auc_interval(positive, scores)
        assert auc_intervals.compute_change_interval(positive, scores, naive) == pytest.approx((low - 0.5, high - 0.5))
        assert auc_intervals.compute_change_interval(positive, naive, scores) == pytest.approx((0.5 - high, 0.5 - low))
    low, high = auc_intervals.compute_change_interval(positive, naive, np.zeros(900))
    assert low < 0 < high


def test_ranks_that_do_not_change_may_be_about_to():
    positive = np.arange(40) < 15
    scores = np.random.default_rng(7).normal(size=40)
    most = rate_intervals.Z**2 / (15 * 25 + rate_intervals.Z**2)
    assert auc_intervals.compute_change_interval(positive, scores, 2 * scores + 1) == pytest.approx((-most, most))


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
