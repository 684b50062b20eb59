"""The settings under `training:`: each test sees one take effect."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from taxiway.components.errors import ConfigError, TrainingError
from taxiway.components.processes import progress
from taxiway.components.training import ModelConfig, TrainingConfig
from taxiway.components.training.config import ScheduleConfig
from taxiway.components.training.data.features import TransformedFeature
from taxiway.components.training.data.input_pipeline import open_source
from taxiway.components.training.data.sources import BatchLayout, MemorySource
from taxiway.components.training.distribution.strategies import Replicas, build_replicas
from taxiway.components.training.loop import xla_choice
from taxiway.components.training.loop.gradients import densify_gradient
from taxiway.components.training.loop.steps import FIRST_LOSS_SCALE, Stepper
from taxiway.components.training.model.build import build_builtin_model
from taxiway.components.training.model.losses import build_row_loss, compute_class_weights
from taxiway.components.training.model.metrics import compute_areas
from taxiway.components.training.model.optimizers import build_optimizer, build_schedule, scale_learning_rate
from taxiway.components.training.run import apply_class_weights, run_training
from tests.components.training.synthetic import make_job


def small_stepper(data: Path, width: int = 1, **settings: Any) -> Stepper:
    """A linear model of `numeric` `[width]`, all weights 0."""
    job = make_job(data, training={"global_batch_size": 4, "schedule": {"name": "constant"}, **settings})
    model = build_builtin_model(
        ModelConfig(hidden_units=(), dropout=0), [TransformedFeature("numeric", "float32", (width,))], 1
    )
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    return Stepper(job, model, build_optimizer(job.training, 100), Replicas(tf.distribute.get_strategy()))


def source_of(values: list[float], labels: list[int]) -> MemorySource:
    columns = {"numeric": np.array(values, np.float32)[:, None], "label": np.array(labels)}
    return MemorySource(columns, "label", None)


def take(stepper: Stepper, source: MemorySource, steps: int) -> dict[str, Any]:
    data = stepper.open_data(source, int(stepper.step.numpy()))
    return stepper.run_steps(data, tf.constant(steps, tf.int64), tf.zeros([2], tf.float64))


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "adagrad", "ftrl", "lamb"])
def test_every_optimizer_lowers_the_loss(binary_data: Path, name: str) -> None:
    rate = {"adagrad": 0.3, "ftrl": 0.3, "lamb": 0.1}.get(name, 0.05)
    decay = 0.0 if name == "ftrl" else 0.001
    stepper = small_stepper(binary_data, optimizer={"name": name, "learning_rate": rate, "weight_decay": decay})
    source = source_of([-1, -2, 1, 2, -1, 1, 3], [0, 0, 1, 1, 0, 1, 1])
    before = stepper.evaluate_split(source)["loss"]
    take(stepper, source, 40)
    assert stepper.evaluate_split(source)["loss"] < 0.7 * before


def test_one_trace_for_any_number_of_steps(binary_data: Path) -> None:
    stepper, source = small_stepper(binary_data), source_of([1, 2, 3, 4, 5], [0, 1, 0, 1, 0])
    data = stepper.open_data(source, 0)
    for steps in (1, 2, 7):
        stepper.run_steps(data, tf.constant(steps, tf.int64), tf.zeros([2], tf.float64))
    assert stepper.traces == 1
    assert int(stepper.step.numpy()) == 10


def test_sgd_step_is_the_mean_gradient_times_the_rate(binary_data: Path) -> None:
    sgd = {"name": "sgd", "learning_rate": 0.5, "momentum": 0.0}
    stepper = small_stepper(binary_data, optimizer=sgd, input={"shuffle": "none"}, clip={"by": "none"})
    take(stepper, source_of([1, 2, 3], [1, 0, 1]), 1)  # three rows in a batch of four
    bias = next(v for v in stepper.variables if "bias" in v.name)
    np.testing.assert_allclose(bias.numpy(), [-0.5 * (0.5 * 3 - 2) / 3], rtol=1e-6)


def bias_after_one_step(data: Path, source: MemorySource) -> float:
    """The bias of a model that began at 0, after one step of SGD with rate 1: minus the mean gradient."""
    sgd = {"name": "sgd", "learning_rate": 1.0, "momentum": 0.0}
    stepper = small_stepper(data, optimizer=sgd, clip={"by": "none"})
    take(stepper, source, 1)
    return float(next(v for v in stepper.variables if "bias" in v.name).numpy()[0])


def test_a_sample_weight_of_three_counts_as_three_rows(binary_data: Path) -> None:
    columns = {"numeric": np.zeros((2, 1), np.float32), "label": np.array([1, 0])}
    weighted = bias_after_one_step(binary_data, MemorySource(columns, "label", np.array([3, 1], np.float32)))
    assert weighted == pytest.approx(bias_after_one_step(binary_data, source_of([0, 0, 0, 0], [1, 1, 1, 0])), abs=1e-6)
    assert weighted == pytest.approx((3 - 1) * 0.5 / 4, abs=1e-6)


def test_a_class_weight_of_three_counts_as_three_rows(binary_data: Path) -> None:
    source = source_of([0, 0], [1, 0])
    source.weigh_rows([1.0, 3.0])
    assert bias_after_one_step(binary_data, source) == pytest.approx((3 - 1) * 0.5 / 4, abs=1e-6)


@pytest.mark.parametrize("mode", ["memory", "stream"])
def test_both_weights_reach_the_rows_of_every_mode(binary_data: Path, mode: str) -> None:
    """`category_000`, 0 to 3, weighs the rows; the positive class counts twice."""
    settings = {"sample_weight": "category_000", "class_weights": {"1": 2.0}, "input": {"mode": mode}}
    job = make_job(binary_data, training=settings, classes=2)
    source, plain = open_source(job, "train"), open_source(make_job(binary_data), "train")
    apply_class_weights(source, job)
    found, features = 0.0, set()
    for columns, _, weights in source.make_batches(BatchLayout(617), None).take(1):
        found, features = float(tf.reduce_sum(weights)), set(columns)
    assert isinstance(plain, MemorySource)
    kinds, labels = plain.features["category_000"], plain.own_labels
    assert found == pytest.approx(float((kinds * (1 + labels)).sum()))
    assert "category_000" not in features, "a weight is no input of the model"


def test_decay_shrinks_kernels_and_spares_what_is_excluded(binary_data: Path) -> None:
    optimizer = {"name": "adamw", "learning_rate": 0.1, "weight_decay": 0.5}
    stepper = small_stepper(binary_data, optimizer=optimizer, class_weights="none")
    for variable in stepper.variables:
        variable.assign(tf.ones_like(variable))
    gradients = [tf.zeros_like(v) for v in stepper.variables]  # nothing but decay moves the weights
    stepper._apply_in_replica(gradients)
    for variable in stepper.variables:
        expected = 1.0 if "bias" in variable.name else 1 - 0.1 * 0.5
        np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-6, err_msg=variable.name)


@pytest.mark.parametrize(("scaling", "rate"), [("none", 0.1), ("linear", 0.4), ("sqrt", 0.2)])
def test_the_rate_follows_the_batch(scaling: str, rate: float) -> None:
    optimizer = {"learning_rate": 0.1, "scale_with_batch": scaling, "base_batch_size": 128}
    assert scale_learning_rate(TrainingConfig(global_batch_size=512, optimizer=optimizer)) == pytest.approx(rate)


@pytest.mark.parametrize("by", ["norm", "global_norm", "value"])
def test_clipping_limits_the_step(binary_data: Path, by: str) -> None:
    sgd = {"name": "sgd", "learning_rate": 1.0, "momentum": 0.0}
    stepper = small_stepper(binary_data, optimizer=sgd, clip={"by": by, "limit": 0.01})
    take(stepper, source_of([8, 8, 8, 8], [1, 1, 1, 1]), 1)
    values = np.concatenate([v.numpy().ravel() for v in stepper.variables])
    reached = {"norm": np.abs(values).max(), "global_norm": np.linalg.norm(values), "value": np.abs(values).max()}[by]
    assert reached == pytest.approx(0.01, rel=1e-4)


def test_moving_average_is_exported_and_evaluated(binary_data: Path) -> None:
    stepper, source = small_stepper(binary_data, ema_decay=0.5), source_of([1, 2], [1, 0])
    first = [v.numpy() for v in stepper.variables]
    take(stepper, source, 1)
    own = [v.numpy() for v in stepper.variables]
    with stepper.exported_weights():
        for start, now, exported in zip(first, own, stepper.variables, strict=True):
            np.testing.assert_allclose(exported.numpy(), 0.1 * start + 0.9 * now, rtol=1e-5, atol=1e-8)
    for now, after in zip(own, stepper.variables, strict=True):
        np.testing.assert_array_equal(now, after.numpy())


def test_moving_average_begins_as_the_plain_one_and_ends_at_its_decay(binary_data: Path) -> None:
    stepper, source = small_stepper(binary_data, ema_decay=0.5), source_of([1, 2], [1, 0])
    expected = [v.numpy() for v in stepper.variables]
    for step in range(12):
        take(stepper, source, 1)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = [decay * e + (1 - decay) * v.numpy() for e, v in zip(expected, stepper.variables, strict=True)]
    for average, wanted in zip(stepper.average, expected, strict=True):
        np.testing.assert_allclose(average.numpy(), wanted, rtol=1e-4, atol=1e-7)


SCHEDULES: dict[str, tuple[dict[str, Any], dict[int, float]]] = {
    "constant": ({}, {0: 1.0, 99: 1.0}),
    "cosine": ({"end_fraction": 0.0}, {0: 1.0, 50: 0.5, 100: 0.0}),
    "polynomial": ({"end_fraction": 0.5, "power": 1.0}, {0: 1.0, 50: 0.75, 100: 0.5}),
    "exponential": ({"decay_rate": 0.5, "decay_steps": 10}, {0: 1.0, 10: 0.5, 20: 0.25}),
    "piecewise": ({"boundaries": (10, 20), "factors": (1.0, 0.1, 0.01)}, {0: 1.0, 10: 0.1, 25: 0.01}),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name: str) -> None:
    settings, expected = SCHEDULES[name]
    rate = build_schedule(ScheduleConfig(name=name, **settings), 2.0, 100)  # type: ignore[arg-type]
    warm = build_schedule(ScheduleConfig(name=name, warmup_steps=4, **settings), 2.0, 104)  # type: ignore[arg-type]
    for step, factor in expected.items():
        assert float(rate(step)) == pytest.approx(2 * factor, abs=1e-6)
        assert float(warm(step + 4)) == pytest.approx(2 * factor, abs=1e-6)
    assert float(warm(0)) == pytest.approx(0.5)


def test_overflow_halves_the_scale_and_skips_the_step(binary_data: Path) -> None:
    stepper = small_stepper(binary_data, precision="mixed_float16", on_nan="skip")
    source = source_of([8, 8, 8, 8], [1, 1, 1, 1])
    stepper.loss_scale.assign(3e38)  # times the gradient: infinite
    before = [v.numpy() for v in stepper.variables]
    assert take(stepper, source, 1)["finite"], "an overflow goes on"
    for start, now in zip(before, stepper.variables, strict=True):
        np.testing.assert_array_equal(start, now.numpy())
    assert float(stepper.loss_scale.numpy()) == pytest.approx(1.5e38)
    stepper.loss_scale.assign(FIRST_LOSS_SCALE)
    take(stepper, source, 1)
    assert any((a != b.numpy()).any() for a, b in zip(before, stepper.variables, strict=True))


@pytest.mark.parametrize(
    ("precision", "kind"),
    [("mixed_float16", "wide_and_deep"), ("mixed_bfloat16", "wide_and_deep"), ("mixed_float16", "tabular")],
)
def test_low_precision_learns_and_exports_float32(binary_data: Path, tmp_path: Path, precision: str, kind: str) -> None:
    settings = {"epochs": 6, "precision": precision}
    result = run_training(make_job(binary_data, tmp_path, training=settings, model={"kind": kind}))
    assert result.metrics["auc"] > 0.85


def with_nan(data: Path, folder: Path) -> Path:
    """The train files of `data` with one row that is not a number."""
    from tests.components.training.synthetic import make_rows, write_examples

    rows = make_rows(np.random.default_rng(1), 64, "binary")
    rows["numeric"][40, 1] = np.nan
    write_examples(folder / "nan.gz", rows)
    return folder / "nan.gz"


def test_a_nan_stops_before_it_is_applied_and_names_the_feature(binary_data: Path, tmp_path: Path) -> None:
    job = make_job(binary_data, tmp_path, train_files=(str(with_nan(binary_data, tmp_path)),))
    job = job.model_copy(update={"export_dir": str(tmp_path / "Format-Serving")})
    with pytest.raises(TrainingError, match=r"not finite at step 0.*numeric: 1 values not finite"):
        run_training(job)
    assert not (tmp_path / "Format-Serving").exists()


def test_on_nan_skip_goes_on_up_to_a_limit(binary_data: Path, tmp_path: Path) -> None:
    files = (str(binary_data / "train-*.gz"), str(with_nan(binary_data, tmp_path)))
    settings = {"on_nan": "skip", "max_skipped_steps": 3, "epochs": 3}
    run_training(make_job(binary_data, tmp_path, train_files=files, training=settings))
    history = json.loads((tmp_path / "training" / "history.json").read_text())
    assert [e["skipped_steps"] for e in history["evaluations"]] == [1, 2, 3]
    with pytest.raises(TrainingError, match="not finite"):
        settings["max_skipped_steps"] = 1
        run_training(make_job(binary_data, train_files=files, training=settings))


def test_warm_start_begins_where_the_earlier_run_ended(binary_data: Path, tmp_path: Path) -> None:
    first = run_training(make_job(binary_data, tmp_path / "first", training={"epochs": 10}))
    for source in (tmp_path / "first", tmp_path / "first" / "checkpoints"):
        warm = {"epochs": 0.1, "optimizer": {"learning_rate": 1e-6}, "warm_start_from": str(source)}
        result = run_training(make_job(binary_data, training=warm))
        assert result.metrics["loss"] == pytest.approx(first.metrics["loss"], rel=0.05)
    with pytest.raises(ConfigError, match="holds no weights"):
        run_training(make_job(binary_data, training={"warm_start_from": str(tmp_path)}))


def events_of(out: Path) -> list[dict[str, Any]]:
    return json.loads((out / "training" / "history.json").read_text())["events"]


def test_xla_auto_measures_both_and_says_what_it_chose(
    binary_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"xla": "auto", "epochs": 10, "steps_per_loop": 5}
    monkeypatch.setattr(xla_choice, "LEAST_SECONDS", 0.0)
    run_training(make_job(binary_data, tmp_path, training=settings))
    (event,) = events_of(tmp_path)
    assert event["kind"] == "xla"
    assert event["chosen"] == (event["xla_rows_per_second"] > event["plain_rows_per_second"])


def test_xla_auto_leaves_a_short_run_alone(binary_data: Path, tmp_path: Path) -> None:
    run_training(make_job(binary_data, tmp_path, training={"xla": "auto", "steps_per_loop": 5}))
    assert events_of(tmp_path) == []


@pytest.mark.parametrize("mode", ["memory", "stream"])
def test_a_model_that_xla_cannot_compile_is_trained_without(
    binary_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    model = {"function": "tests.components.training.users_model.build_with_text"}
    settings = {"xla": "auto", "epochs": 8, "steps_per_loop": 5, "input": {"mode": mode}}
    job = make_job(binary_data, tmp_path, training=settings)
    monkeypatch.setattr(xla_choice, "LEAST_SECONDS", 0.0)
    result = run_training(job.model_copy(update={"model": ModelConfig.model_validate(model)}))
    (event,) = events_of(tmp_path)
    assert (event["kind"], event["chosen"], result.steps) == ("xla", False, 80)
    assert "AsString (No registered 'AsString' OpKernel for XLA" in event["reason"]
    if mode == "memory":
        settings["xla"] = "on"
        job = make_job(binary_data, training=settings, model={**model})
        with pytest.raises(TrainingError, match=r"(?s)training\.xla.*nsupported"):
            run_training(job)


def test_tensorboard_gets_scalars_the_graph_and_a_profile(binary_data: Path, tmp_path: Path) -> None:
    run_training(make_job(binary_data, training={"profile_steps": (3, 5)}, log_dir=str(tmp_path / "logs")))
    (file,) = (tmp_path / "logs").glob("events.out.tfevents.*")
    tags, graphs = set(), 0
    for event in tf.compat.v1.train.summary_iterator(str(file)):
        tags |= {value.tag for value in event.summary.value}
        graphs += bool(event.graph_def)
    assert {"train/loss", "train/learning_rate", "train/gradient_norm", "eval/auc"} <= tags
    assert graphs
    assert list((tmp_path / "logs").rglob("*.xplane.pb"))


def test_the_progress_line_tells_speed_loss_and_what_is_left(
    binary_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(progress.ENVIRONMENT_VARIABLE, str(tmp_path / "progress"))
    run_training(make_job(binary_data, training={"epochs": 1, "steps_per_loop": 3}))
    lines = [json.loads(line)["message"] for line in (tmp_path / "progress").read_text().splitlines()]
    assert re.fullmatch(r"step 3/10  loss 0\.\d+  \d+k rows/s  ETA \d+ s", lines[0])
    assert lines[-1].startswith("step 10/10")


def test_no_tpu_is_a_plain_error() -> None:
    with pytest.raises(ConfigError, match="no TPU"):
        build_replicas(TrainingConfig(strategy="tpu"))


def test_label_smoothing_and_class_weights() -> None:
    logits, labels = tf.constant([[2.0, 0.0, -1.0]]), tf.constant([0])
    plain, smooth = build_row_loss("multiclass")(logits, labels), build_row_loss("multiclass", 0.3)(logits, labels)
    log_p = tf.nn.log_softmax(logits)[0].numpy()
    assert float(plain[0]) == pytest.approx(-log_p[0], rel=1e-5)
    assert float(smooth[0]) == pytest.approx(-(0.8 * log_p[0] + 0.1 * log_p[1] + 0.1 * log_p[2]), rel=1e-5)
    assert compute_class_weights("balanced", [30, 10], ()) == pytest.approx([40 / 60, 2.0])
    with pytest.raises(ConfigError, match="'maybe'"):
        compute_class_weights({"maybe": 2.0}, [1, 1], ("no", "yes"))


def test_huber_s_loss_is_squared_within_a_deviation_and_linear_beyond() -> None:
    logits, labels = tf.constant([[1.0], [2.0], [9.0], [-9.0]]), tf.constant([0.0, 0.0, 0.0, 0.0])
    squared = build_row_loss("regression", label_scale=2.0)(logits, labels)
    huber = build_row_loss("regression", 0.0, 2.0, "huber")(logits, labels)
    assert squared.numpy() == pytest.approx([0.25, 1.0, 20.25, 20.25])
    assert huber.numpy() == pytest.approx([0.25, 1.0, 8.0, 8.0])
    keras = tf.keras.losses.huber(tf.zeros([4, 1]), logits / 2.0)  # half of ours, as Huber wrote it
    assert huber.numpy() == pytest.approx(2 * keras.numpy())


def test_areas_are_those_of_sklearn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(0)
    labels, scores = generator.integers(0, 2, 500), generator.integers(0, 50, 500)
    roc, precision_recall = compute_areas(
        np.bincount(scores[labels == 1], minlength=50), np.bincount(scores[labels == 0], minlength=50)
    )
    assert roc == pytest.approx(metrics.roc_auc_score(labels, scores))
    assert precision_recall == pytest.approx(metrics.average_precision_score(labels, scores))
    assert math.isclose(compute_areas(np.array([1.0]), np.array([0.0]))[0], 0.5)


def test_gradients_of_small_tables_are_dense_and_of_large_ones_rows() -> None:
    def gradient(rows: int) -> Any:
        table = tf.Variable(tf.zeros([rows, 16]))

        @tf.function(autograph=False)
        def trace() -> None:
            with tf.GradientTape() as tape:
                total = tf.reduce_sum(tf.nn.embedding_lookup(table, tf.constant([1, 2])))
            kinds.append(type(densify_gradient(tape.gradient(total, table))))

        kinds: list[type] = []
        trace.get_concrete_function()
        return kinds[0]

    assert not issubclass(gradient(100), tf.IndexedSlices)
    assert issubclass(gradient(100_000), tf.IndexedSlices)
