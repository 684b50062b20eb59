"""Intervals around metrics: right where a formula is known, paired, and asked of real models in the child."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics as sklearn

from taxiway.components.metrics.intervals import ScorePair
from taxiway.components.metrics.weighted import build_metric
from taxiway.components.saved_models.decision_rule import DecisionRule, write_decision_rule
from taxiway.pipeline.report import intervals, scoring

ROWS = 2_000


@pytest.fixture(scope="module")
def binary():
    random = np.random.default_rng(3)
    labels = random.integers(0, 2, ROWS)
    good = np.clip(labels * 0.3 + random.uniform(0, 0.7, ROWS), 0, 1)[:, None]
    return labels, good, np.full((ROWS, 1), 0.5)


def overall(labels, mine, other, metrics, classes=()):
    pair = ScorePair(labels.astype(float), mine, other, classes)
    return intervals.compute_slice_intervals({"overall": np.ones(len(labels), bool)}, pair, metrics)["overall"]


def test_the_interval_of_a_mean_is_the_normal_one(binary):
    labels, good, even = binary
    right = ((good[:, 0] > 0.5) == labels).astype(float)
    low, high = overall(labels, good, even, ["accuracy"])["accuracy"]["value"]
    error = 1.96 * right.std() / np.sqrt(ROWS)
    assert low == pytest.approx(right.mean() - error, abs=error / 3)
    assert high == pytest.approx(right.mean() + error, abs=error / 3)


@pytest.mark.parametrize("metric", ["auc", "pr_auc", "log_loss", "accuracy", "calibration"])
def test_values_lie_within_and_equal_models_do_not_differ(binary, metric):
    labels, good, _ = binary
    found = overall(labels, good, good, [metric])[metric]
    value = float(build_metric(metric, labels, good, ())(np.ones((1, ROWS)))[0])
    assert found["value"][0] < value < found["value"][1]
    assert found["change"] == [0.0, 0.0]


def test_the_paired_change_is_tighter_than_the_values(binary):
    labels, good, _ = binary
    nearly = np.clip(good + np.random.default_rng(4).normal(0, 0.01, good.shape), 0, 1)
    found = overall(labels, good, nearly, ["auc"])["auc"]
    assert np.ptp(found["change"]) < 0.3 * np.ptp(found["value"])


def test_classes_and_values():
    random = np.random.default_rng(5)
    labels = random.integers(0, 3, 900)
    scores = random.dirichlet([1, 1, 1], 900) + 0.5 * np.eye(3)[labels]
    once = np.ones((1, 900))
    classes = ["a", "b", "c"]

    def value(name):
        return float(build_metric(name, labels, scores, classes)(once)[0])

    decided = scores.argmax(axis=1)
    assert value("macro_f1") == pytest.approx(sklearn.f1_score(labels, decided, average="macro"))
    assert value("recall[b]") == pytest.approx(sklearn.recall_score(labels, decided, average=None)[1])
    assert value("precision[c]") == pytest.approx(sklearn.precision_score(labels, decided, average=None)[2])
    assert value("auc[a]") == pytest.approx(sklearn.roc_auc_score(labels == 0, scores[:, 0]))
    numbers = random.normal(5, 2, 900)
    said = (numbers + random.normal(0, 1, 900))[:, None]
    r2 = float(build_metric("r2", numbers, said, ())(once)[0])
    assert r2 == pytest.approx(sklearn.r2_score(numbers, said))


def test_what_cannot_be_said_is_left_out(binary):
    labels, good, even = binary
    few = np.zeros(ROWS, bool)
    few[:3] = True
    one_class = labels == 1
    pair = ScorePair(labels.astype(float), good, even)
    found = intervals.compute_slice_intervals({"few": few, "one": one_class}, pair, ["auc", "top_9", "recall[x]"])
    assert found["one"] == {"auc": {"few": "0 rows of class 0"}}
    assert "of class" in found["few"]["auc"]["few"] and set(found["few"]) == {"auc"}


def test_the_models_are_asked_in_a_child_once(tmp_path, monkeypatch):
    job = made_job(tmp_path)
    found = scoring.load_scores(tmp_path / "run", job)
    assert "error" not in found, found
    assert found["rows"] == 200
    limits = found["intervals"]["Evaluator"]
    assert set(limits) == {"overall", "pay=Ü", "day=1", "pay=Ü, half=0.5"}
    low, high = limits["overall"]["accuracy"]["value"]  # 200 of 200 rows are right: that is no certainty
    assert high == 1.0 and 0.97 < low < 0.99
    low, high = limits["overall"]["auc"]["change"]
    assert 0.47 < low < 0.49 and high == 0.5  # all pairs of rows are in order: no certainty either
    assert found["threshold"] == 0.25 and 0.25 in [each["threshold"] for each in found["thresholds"]]
    low, high = found["intervals"]["Turned"]["overall"]["recall"]["value"]  # 0.5 for every row, above its own 0.4
    assert low > 0.9 and high == 1
    before = (tmp_path / "run" / scoring.SCORES_FILE).stat().st_mtime_ns
    assert scoring.load_scores(tmp_path / "run", job) == found
    assert (tmp_path / "run" / scoring.SCORES_FILE).stat().st_mtime_ns == before
    _check_scores_of_another_run(tmp_path, job, found, monkeypatch)
    json.dumps(found, allow_nan=False)


def _check_scores_of_another_run(runs, job, found, monkeypatch):
    """The same models, rows and metrics are not scored again for the next run; anything else is."""
    monkeypatch.setattr(scoring, "_run_child", lambda made_from: {"asked": made_from["metrics"]})
    assert scoring.load_scores(runs / "next", job) == found == scoring.read_scores(runs / "next")
    other = dataclasses.replace(job, metrics=("auc",))
    assert scoring.load_scores(runs / "other", other)["asked"] == ["auc"]


def test_rows_of_a_larger_split_come_from_all_of_it(tmp_path, monkeypatch):
    job = made_job(tmp_path)
    with tf.io.TFRecordWriter(str(tmp_path / "rows" / "rows")) as out:  # sorted by class, the rare one last
        for row in [*range(0, 320, 2), *range(1, 81, 2)]:
            out.write(example(row).SerializeToString())
    monkeypatch.setattr(scoring, "MOST_ROWS", 60)
    found = scoring.score_models(job)
    assert (found["rows"], found["available"]) == (60, 200)
    assert found["confusion"] == [[48, 0], [0, 12]] and found["positive_share"] == 0.2  # that of all 200 rows
    limits = found["intervals"]["Evaluator"]
    assert limits["overall"]["auc"]["value"][1] == 1.0  # the area over all rows lies in the interval
    assert limits["pay=Ü, half=0.5"]["auc"]["few"].endswith(" among those drawn")
    assert scoring.score_models(job) == found  # every report draws the same rows


def made_job(folder):
    """200 rows, a model that knows the label, one that does not."""
    (folder / "rows").mkdir()
    with tf.io.TFRecordWriter(str(folder / "rows" / "rows")) as out:
        for row in range(200):
            out.write(example(row).SerializeToString())
    for name, knows, threshold in (("good", 1.0, 0.25), ("even", 0.0, 0.4)):
        tf.saved_model.save(module := Model(knows), str(folder / name), signatures={"serving_default": module.serve})
        write_decision_rule(DecisionRule(threshold=threshold), folder / name)
    pay, half = ("pay", "bytes_value", "Ü"), ("half", "float_value", 0.5)
    return scoring.ScoringJob(
        served=str(folder / "good"),
        examples=str(folder / "rows"),
        label="y",
        task="binary",
        evaluators={
            "Evaluator": (str(folder / "good"), str(folder / "even")),
            "Turned": (str(folder / "even"), str(folder / "good")),
        },
        metrics=("auc", "accuracy", "recall"),
        slices={
            "overall": (),
            "pay=Ü": (pay,),
            "day=1": (("day", "int64_value", 1),),
            "pay=Ü, half=0.5": (pay, half),
            "none": (("day", "int64_value", 9),),
        },
    )


def example(row):
    made = tf.train.Example()
    made.features.feature["y"].int64_list.value.append(row % 2)
    made.features.feature["day"].int64_list.value.append(row % 3)
    if row % 4 < 2:
        made.features.feature["pay"].bytes_list.value.append("Ü".encode())
    made.features.feature["half"].float_list.value.append(row % 5 / 2)
    return made


class Model(tf.Module):
    def __init__(self, knows):
        super().__init__()
        self.knows = knows

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serve(self, examples):
        label = tf.io.parse_example(examples, {"y": tf.io.FixedLenFeature([], tf.int64)})["y"]
        return {"probabilities": (0.5 + self.knows * 0.4 * (2 * tf.cast(label, tf.float32) - 1))[:, None]}
