"""A whole run on one device: what it learns, writes and exports, and how it resumes."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from taxiway.components import contract, training
from taxiway.components.errors import DataError, TrainingError
from taxiway.components.saved_models.decision_rule import read_decision_rule
from taxiway.components.training import evaluate, finetune, load_trained
from taxiway.components.training.loop.history import SPEED_KEYS
from taxiway.components.training.model.export import calibrate_logits
from taxiway.components.training.run import run_training
from tests.components.training.synthetic import make_job


@pytest.fixture(scope="module")
def exported(binary_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `Model` artifact's folder."""
    out = tmp_path_factory.mktemp("model")
    settings = {"decision": {"goal": "f1"}, "class_weights": "balanced"}
    job = make_job(
        binary_data, out, export_dir=str(out / "Format-Serving"), class_labels=("no", "yes"), training=settings
    )
    result = run_training(job)
    assert result.metrics["auc"] > 0.85
    return out


def test_multiclass_learns(multiclass_data: Path) -> None:
    result = run_training(make_job(multiclass_data, task="multiclass", training={"epochs": 8}))
    assert result.metrics["accuracy"] > 0.6
    assert result.steps == 80


def test_regression_answers_in_the_labels_own_unit(regression_data: Path, tmp_path: Path) -> None:
    job = make_job(regression_data, tmp_path, "regression", training={"epochs": 20})
    job = job.model_copy(update={"export_dir": str(tmp_path / "Format-Serving")})
    result = run_training(job)
    assert result.metrics["r2"] > 0.7
    assert 40 < result.metrics["mae"] < 100, "the noise alone is 40"
    signature = tf.saved_model.load(job.export_dir).signatures[contract.SERVING_RAW]
    answer = signature(km=[0.0], fare_usd__acd7e4e779=[0.0], kind=["taxi"])
    assert list(answer) == ["predictions"]
    assert 300 < float(answer["predictions"][0, 0]) < 700


@pytest.mark.parametrize("kind", ["tabular", "mlp", "linear"])
def test_every_kind_learns_from_a_users_own_features(binary_data: Path, tmp_path: Path, kind: str) -> None:
    """Without `columns.json`: floats are numbers, and every categorical feature has a table."""
    job = make_job(binary_data, tmp_path, training={"epochs": 8}, model={"kind": kind, "members": 3})
    job = job.model_copy(update={"export_dir": str(tmp_path / "Format-Serving")})
    assert run_training(job).metrics["auc"] > 0.85
    answer = tf.saved_model.load(job.export_dir).signatures[contract.SERVING_RAW](
        km=tf.constant([0.1]), fare_usd__acd7e4e779=tf.constant([0.5]), kind=tf.constant(["bus"])
    )
    trained = load_trained(str(tmp_path))
    ids, values = np.array([[3, 2]]), np.array([[0.5, 0.1]], np.float32)
    logits = trained.keras_model(
        {"numeric": values, "missing": np.zeros((1, 2), np.float32), "buckets": ids, "category_000": np.array([0])}
    )
    np.testing.assert_allclose(answer["probabilities"], tf.sigmoid(calibrate_logits(logits, trained.job)), atol=1e-6)
    told = json.loads((tmp_path / "training" / "history.json").read_text()).get("linear_weights")
    assert (told is not None) == (kind == "linear")
    if told:
        row = {("numeric", 0): 0.5, ("numeric", 1): 0.1, ("buckets", 3): 1, ("buckets", 2): 1, ("category_000", 0): 1}
        terms = {(each["column"], each.get("value")): each["weights"][0] for each in told["weights"]}
        log_odds = told["bias"][0] + sum(number * terms[term] for term, number in row.items())
        assert 1 / (1 + np.exp(-log_odds)) == pytest.approx(float(answer["probabilities"][0, 0]), abs=1e-5)


def test_history_says_what_happened(exported: Path) -> None:
    history = json.loads((exported / "training" / "history.json").read_text())
    assert history["version"] == 1
    assert history["rows"] == 3 * 617
    steps = [evaluation["step"] for evaluation in history["evaluations"]]
    assert steps == [10, 20, 30]
    for evaluation in history["evaluations"]:
        assert {"loss", "learning_rate", "gradient_norm", "metrics", *SPEED_KEYS} <= set(evaluation)
    best = min(history["evaluations"], key=lambda e: e["metrics"]["loss"])
    assert history["best_step"] == best["step"]


def test_both_signatures_answer_alike_and_as_the_keras_model_does(exported: Path) -> None:
    loaded = tf.saved_model.load(str(exported / "Format-Serving"))
    fares, kms, kinds = [0.5, -1.0, None], [0.1, 0.2, -0.7], ["bus", "taxi", None]
    examples = [_example(*row) for row in zip(fares, kms, kinds, strict=True)]
    served = loaded.signatures[contract.SERVING_DEFAULT](examples=tf.constant(examples))
    missing = np.float32(-3.4028234663852886e38)
    raw = loaded.signatures[contract.SERVING_RAW](
        fare_usd__acd7e4e779=tf.constant([0.5, -1.0, missing]),
        km=tf.constant(kms),
        kind=tf.constant(["bus", "taxi", ""]),
    )
    np.testing.assert_array_equal(served["probabilities"], raw["probabilities"])
    again = tf_keras.models.load_model(str(exported / "Format-Serving"))
    np.testing.assert_array_equal(again(tf.constant(examples))["probabilities"], raw["probabilities"])
    trained = load_trained(str(exported))
    values = np.array([[0.5, 0.1], [-1.0, 0.2], [0.0, -0.7]], np.float32)
    logits = trained.keras_model(
        {
            "numeric": values,
            "missing": np.array([[0, 0], [0, 0], [1, 0]], np.float32),
            "buckets": np.clip(np.floor(values * 2) + 2, 0, 4).astype(np.int64),
            "category_000": np.array([0, 1, 3]),
        }
    )
    np.testing.assert_allclose(served["probabilities"], tf.sigmoid(calibrate_logits(logits, trained.job)), atol=1e-6)
    rule = read_decision_rule(exported / "Format-Serving")
    assert rule == trained.job.decision_rule and rule.goal == "f1" and rule.threshold != 0.5 and len(rule.offsets) == 2
    decided = np.where(np.asarray(served["probabilities"])[:, 0] > rule.threshold, b"yes", b"no")
    np.testing.assert_array_equal(served["predicted_label"], decided)
    history = json.loads((exported / "training" / "history.json").read_text())
    assert history["decision_rule"] == rule.model_dump(mode="json")


def _example(fare: float | None, km: float, kind: str | None) -> bytes:
    feature = {"km": tf.train.Feature(float_list=tf.train.FloatList(value=[km]))}
    if fare is not None:
        feature["Fare (USD)"] = tf.train.Feature(float_list=tf.train.FloatList(value=[fare]))
    if kind is not None:
        feature["kind"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[kind.encode()]))
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def test_inputs_left_out_of_a_request_take_the_signatures_default(exported: Path) -> None:
    folder = str(exported / "Format-Serving")
    names = json.loads(Path(folder, contract.SIGNATURE_INPUTS_FILE).read_text())["inputs"]
    assert {name: entry["column"] for name, entry in names.items()} == {
        "fare_usd__acd7e4e779": "Fare (USD)",
        "km": "km",
        "kind": "kind",
    }
    assert names["km"]["default"] is None, "km is required"
    with tf.compat.v1.Session(graph=tf.Graph()) as session:  # as TensorFlow Serving calls it
        meta = tf.compat.v1.saved_model.loader.load(session, ["serve"], folder)
        signature = meta.signature_def[contract.SERVING_RAW]
        assert set(signature.defaults) == {"fare_usd__acd7e4e779", "kind"}
        output, km = signature.outputs["probabilities"].name, signature.inputs["km"].name
        assert session.run(output, {km: [0.1, 0.2]}).shape == (2, 1)


def test_export_holds_no_optimizer_and_no_xla(exported: Path) -> None:
    names = [name for name, _ in tf.train.list_variables(str(exported / "Format-Serving" / "variables" / "variables"))]
    assert not [name for name in names if "optimizer" in name.lower() or "/m/" in name]
    assert b"_XlaMustCompile" not in (exported / "Format-Serving" / "saved_model.pb").read_bytes()


def test_the_example_of_the_package_runs_as_it_is_written(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = training.__doc__ or ""
    block = text.split("on a `Model` artifact of the trainer::\n\n")[1].split("\n\nAn `Action`")[0]
    names = {"model_uri": str(exported), "folder": str(tmp_path / "servable")}
    exec(textwrap.dedent(block), names)
    assert names["result"].steps == 20 and capsys.readouterr().out.split() == ["10", "20"]  # type: ignore[attr-defined]
    assert names["metrics"]["auc"] > 0.85  # type: ignore[index]
    assert set(tf.saved_model.load(names["folder"]).signatures) == {contract.SERVING_DEFAULT, contract.SERVING_RAW}


def test_finetune_is_the_same_loop(exported: Path) -> None:
    trained = load_trained(str(exported))
    before = evaluate(trained.keras_model, trained.job)
    result = finetune(trained.keras_model, trained.job, epochs=4, learning_rate=0.01)
    assert result.steps == 40
    assert result.metrics["loss"] < before["loss"]
    assert evaluate(trained.keras_model, trained.job) == result.metrics


@pytest.mark.parametrize("kind", ["wide_and_deep", "tabular"])
def test_a_killed_run_resumes_bit_for_bit(binary_data: Path, tmp_path: Path, kind: str) -> None:
    settings = {"epochs": 4, "deterministic": False, "evaluate_every_steps": 7, "ema_decay": 0.9}
    model = {"kind": kind, "dropout": 0.3}
    run_training(make_job(binary_data, tmp_path / "whole", training=settings, model=model))
    job = make_job(
        binary_data, tmp_path / "broken", training=settings | {"checkpoint": {"every_steps": 5}}, model=model
    )
    calls = iter([False, False, True] + [False] * 100)
    with pytest.raises(TrainingError, match="SIGTERM"):
        run_training(job, lambda: next(calls))
    result = run_training(job)
    assert result.steps == 40
    whole, broken = _outcome(tmp_path / "whole"), _outcome(tmp_path / "broken")
    assert [e["kind"] for e in broken["events"]] == ["resumed"]
    assert 0 < broken["events"][0]["step"] < 40
    assert whole["evaluations"] == broken["evaluations"], "history and metrics, bit for bit"
    _assert_same_weights(tmp_path / "whole", tmp_path / "broken")


def _outcome(out: Path) -> dict:
    history = json.loads((out / "training" / "history.json").read_text())
    for evaluation in history["evaluations"]:
        for key in SPEED_KEYS:
            evaluation.pop(key)
    return history


def _assert_same_weights(one: Path, other: Path) -> None:
    for a, b in zip(_weights(one), _weights(other), strict=True):
        np.testing.assert_array_equal(a, b)


def _weights(out: Path) -> list[np.ndarray]:
    return load_trained(str(out)).keras_model.get_weights()


@pytest.mark.parametrize("damage", ["truncate", "flip"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(
    binary_data: Path, tmp_path: Path, damage: str
) -> None:
    job = make_job(binary_data, tmp_path, training={"checkpoint": {"keep": 3}})
    run_training(job)
    (tmp_path / "checkpoints" / "finished").unlink()  # as if it had been killed in the export
    newest = tmp_path / "checkpoints" / "step-000000030"
    file = next(newest.glob("variables.data*"))
    content = bytearray(file.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    file.write_bytes(content[: len(content) // 2] if damage == "truncate" else content)
    before = _weights(tmp_path)
    run_training(job)
    history = _outcome(tmp_path)
    assert [e["kind"] for e in history["events"]] == ["resumed", "checkpoint_refused"]
    assert history["events"][0]["step"] == 20
    assert "damaged" in history["events"][1]["reason"]
    for a, b in zip(before, _weights(tmp_path), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_checkpoint_of_other_data_is_not_used(binary_data: Path, tmp_path: Path) -> None:
    job = make_job(binary_data, tmp_path, fingerprint="one")
    run_training(job)
    (tmp_path / "checkpoints" / "finished").unlink()
    run_training(job.model_copy(update={"fingerprint": "other"}))
    events = _outcome(tmp_path)["events"]
    assert {event["kind"] for event in events} == {"checkpoint_refused"}
    assert all("is not used: it was made from other data, configuration or code." in e["reason"] for e in events)


def test_retention_keeps_the_newest_and_the_best(binary_data: Path, tmp_path: Path) -> None:
    settings = {"epochs": 6, "best_metric": "calibration", "checkpoint": {"keep": 1}}
    run_training(make_job(binary_data, tmp_path, training=settings))
    history = _outcome(tmp_path)
    kept = {p.name for p in (tmp_path / "checkpoints").glob("step-*")}
    assert kept == {f"step-{60:09d}", f"step-{history['best_step']:09d}"}


def test_a_label_out_of_range_is_said(multiclass_data: Path) -> None:
    with pytest.raises(DataError, match="0 to 2"):
        run_training(make_job(multiclass_data, task="binary"))


def test_early_stop_and_time_budget(binary_data: Path) -> None:
    early = {"epochs": 50, "early_stop": {"patience": 2, "min_delta": 0.05}}
    result = run_training(make_job(binary_data, training=early))
    assert result.stopped == "early_stop"
    assert result.steps < 500
    result = run_training(make_job(binary_data, training={"epochs": 100_000, "time_budget_seconds": 1.0}))
    assert result.stopped == "time_budget"
    assert result.best_step > 0
