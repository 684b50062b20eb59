"""Temperature and threshold: direct optima in NumPy, scikit-learn's measures, and what few rows leave as it is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import optimize, special
from sklearn import metrics, model_selection

from taxiway.components.errors import ServingError
from taxiway.components.saved_models.decision_rule import DecisionRule, read_decision_rule, write_decision_rule
from taxiway.components.training.config import DecisionConfig, TrainingConfig
from taxiway.components.training.decision import (
    JudgedRows,
    choose_threshold,
    compute_scores,
    fit_decision_rule,
    fit_temperature,
)


def draw_binary(seed, rows=3000, sharpness=2.5, level=-1.0):
    """Logits that are too sure of themselves by `sharpness`, and labels of the true law."""
    random = np.random.default_rng(seed)
    truth = random.normal(level, 1.5, rows)
    labels = (random.random(rows) < special.expit(truth)).astype(np.int64)
    return JudgedRows(truth[:, None] * sharpness, labels, np.ones(rows))


def draw_multiclass(seed, rows=4000, sharpness=2.0):
    random = np.random.default_rng(seed)
    truth = random.normal(0, 1.5, (rows, 4))
    labels = (special.softmax(truth, axis=1).cumsum(axis=1) < random.random((rows, 1))).sum(axis=1)
    return JudgedRows(truth * sharpness, labels, np.ones(rows))


@pytest.mark.parametrize(
    ("judged", "sharpness"), [(draw_binary(1), 2.5), (draw_binary(2, sharpness=0.4), 0.4), (draw_multiclass(3), 2.0)]
)
def test_the_temperature_is_the_direct_optimum_of_scikit_learns_log_loss(judged, sharpness):
    found = fit_temperature(judged.logits, judged.labels, judged.weights)
    assert found == pytest.approx(sharpness, rel=0.12)

    def compute_loss(temperature):
        return metrics.log_loss(judged.labels, compute_scores(judged.logits / temperature))

    grid = found * np.linspace(0.9, 1.1, 41)
    assert compute_loss(found) <= min(map(compute_loss, grid)) + 1e-9
    direct = optimize.minimize(lambda t: compute_loss(np.exp(t[0])), [0.0], method="BFGS")
    assert found == pytest.approx(np.exp(direct.x[0]), rel=1e-2)


def test_rows_count_by_their_weights():
    judged, random = draw_binary(4, rows=900), np.random.default_rng(4)
    counts = random.integers(0, 4, 900)
    repeated = np.repeat(np.arange(900), counts)
    weighted = fit_temperature(judged.logits, judged.labels, counts.astype(float))
    copied = fit_temperature(judged.logits[repeated], judged.labels[repeated], np.ones(len(repeated)))
    assert weighted == pytest.approx(copied, rel=1e-5)


@pytest.mark.parametrize("draw", [draw_binary, draw_multiclass])
def test_a_temperature_mends_the_calibration_and_keeps_the_order(draw):
    judged = draw(5)
    rule = fit_decision_rule(judged, "binary" if draw is draw_binary else "multiclass", TrainingConfig())
    assert rule.measured["ece_after"] < 0.5 * rule.measured["ece_before"] and rule.measured["ece_after"] < 0.03
    assert rule.measured["log_loss_after"] < rule.measured["log_loss_before"]
    before, after = compute_scores(judged.logits), compute_scores(judged.logits / rule.temperature)
    assert (before.argmax(axis=1) == after.argmax(axis=1)).all()
    assert rule.measured["log_loss_after"] == pytest.approx(metrics.log_loss(judged.labels, after), rel=1e-6)


def test_class_weights_are_taken_off_so_that_probabilities_are_those_of_the_data():
    """A logistic regression that was trained with class weights, on rows that it has not seen."""
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(6)
    x = random.normal(0, 1, (60_000, 3))
    labels = (random.random(60_000) < special.expit(x @ [1.5, -1, 0.5] - 4)).astype(np.int64)
    trained, rest, own, others = model_selection.train_test_split(x, labels, random_state=6)
    weights = [0.5, 12.0]
    model = LogisticRegression(class_weight=dict(enumerate(weights))).fit(trained, own)
    judged = JudgedRows(model.decision_function(rest)[:, None], others, np.ones(len(others)))
    rule = fit_decision_rule(judged, "binary", TrainingConfig(), weights)
    assert rule.offsets == pytest.approx(np.log(weights)) and rule.temperature == pytest.approx(1, rel=0.1)
    assert rule.measured["ece_before"] > 0.1 and rule.measured["ece_after"] < 0.01
    scores = compute_scores((judged.logits - (rule.offsets[1] - rule.offsets[0])) / rule.temperature)
    assert scores.mean() == pytest.approx(others.mean(), rel=0.1)
    as_trained = fit_decision_rule(judged, "binary", TrainingConfig(calibration="none"), weights)
    assert as_trained.offsets == () and as_trained.temperature == 1


GOALS = [
    DecisionConfig(goal="f1"),
    DecisionConfig(goal="cost", false_positive_cost=1, false_negative_cost=7),
    DecisionConfig(goal="recall", precision=0.7),
]


def value_of(goal, labels, decided, weights):
    """What a goal maximizes, by scikit-learn."""
    if goal.goal == "f1":
        return metrics.f1_score(labels, decided, sample_weight=weights, zero_division=0)
    (_, false), (missed, _) = metrics.confusion_matrix(labels, decided, labels=[0, 1], sample_weight=weights)
    if goal.goal == "cost":
        return -(false * goal.false_positive_cost + missed * goal.false_negative_cost)
    precision = metrics.precision_score(labels, decided, sample_weight=weights, zero_division=0)
    recall = metrics.recall_score(labels, decided, sample_weight=weights, zero_division=0)
    return recall if precision >= goal.precision - 1e-12 else -1


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.goal)
@given(st.integers(0, 2**32), st.sampled_from([3, 40, 10_000]))
@settings(max_examples=15, deadline=None)
def test_no_threshold_is_better(goal, seed, values):
    random = np.random.default_rng(seed)
    scores = np.round(random.beta(1, 2, 250) * values) / values
    labels, weights = (random.random(250) < scores).astype(np.int64), random.integers(1, 4, 250).astype(float)
    if min(labels.sum(), 250 - labels.sum()) < 10:
        return
    found, note = choose_threshold(labels, scores, weights, goal)
    best = max(value_of(goal, labels, scores > edge, weights) for edge in [-1.0, *np.unique(scores)])
    if note:
        assert goal.goal == "recall" and best == -1
        return
    served = scores.astype(np.float32) > np.float32(found.threshold)  # as the graph compares
    assert value_of(goal, labels, served, weights) == pytest.approx(best, abs=1e-9)
    said = found.measure_costs(goal)
    assert said["f1"] == pytest.approx(metrics.f1_score(labels, served, sample_weight=weights, zero_division=0))
    assert said["recall"] == pytest.approx(metrics.recall_score(labels, served, sample_weight=weights))


def test_a_precision_that_no_threshold_reaches_is_said():
    random = np.random.default_rng(7)
    labels = (random.random(500) < 0.3).astype(np.int64)
    config = TrainingConfig(decision=DecisionConfig(goal="recall", precision=1.0))
    logits = special.logit(np.round(random.random(500) * 4) / 8 + 0.2)[:, None]
    rule = fit_decision_rule(JudgedRows(logits, labels, np.ones(500)), "binary", config)
    assert any("no threshold has a precision of 1 on eval; the best" in note for note in rule.notes)


def test_few_rows_fit_nothing_and_say_so():
    judged = draw_binary(8, rows=60)
    config = TrainingConfig(decision=DecisionConfig(goal="f1", threshold=0.3))
    rule = fit_decision_rule(judged, "binary", config)
    assert (rule.temperature, rule.threshold) == (1, 0.3)
    assert "eval has 60 rows, at least 200" in rule.notes[0] and "0.3 stands" in rule.notes[1]


def test_more_classes_than_two_have_no_threshold():
    rule = fit_decision_rule(draw_multiclass(9), "multiclass", TrainingConfig(decision=DecisionConfig(goal="f1")))
    assert (rule.goal, rule.threshold) == ("likeliest", 0.5) and "f1" not in rule.measured


def test_settings_that_decide_nothing_are_refused():
    with pytest.raises(ValidationError, match="decides nothing"):
        DecisionConfig(goal="cost", false_positive_cost=0, false_negative_cost=0)


def test_the_file_of_a_rule(tmp_path):
    assert read_decision_rule(tmp_path) is None
    rule = DecisionRule(temperature=1.5, offsets=(0.0, 1.0), threshold=0.25, measured={"f1": 0.5})
    write_decision_rule(rule, tmp_path)
    assert read_decision_rule(tmp_path) == rule
    (tmp_path / "assets.extra" / "decision_rule.json").write_text('{"temperature": 0}')
    with pytest.raises(ServingError, match="cannot be read"):
        read_decision_rule(tmp_path)
