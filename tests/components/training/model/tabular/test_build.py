"""`kind: tabular` on features of the built-in preprocessing: against numpy, in training and in inference."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from taxiway.components.contract import COLUMNS_FILE, Task
from taxiway.components.training.config import ModelConfig
from taxiway.components.training.data.features import TransformedFeature
from taxiway.components.training.job import LabelScale
from taxiway.components.training.model.losses import build_row_loss
from taxiway.components.training.model.tabular.build import build_tabular_model
from taxiway.components.training.model.tabular.columns import BuiltInColumns, Words, read_builtin_columns
from taxiway.components.training.model.tabular.layers import compute_mish

VIEWS = ("position", "rank", "robust", "missing")
FEATURES = [TransformedFeature(name, "float32", (2,)) for name in VIEWS]
FEATURES.append(TransformedFeature("categories", "int64", (3,), 3 + 16))
WORDS = Words("categories", 3, (0, 1, 0, 2, *[1] * 10, 2, 2))  # two words of column 0, eleven of 1, three of 2
COLUMNS = BuiltInColumns({view: view for view in VIEWS}, 6, WORDS)


def make_model(task: Task, units: int, **settings: object) -> tf_keras.Model:
    tf_keras.utils.set_random_seed(5)
    config = ModelConfig.model_validate({"kind": "tabular", "hidden_units": (16, 8), "members": 4, **settings})
    scale = LabelScale(mean=10, scale=3) if task == "regression" else None
    model = build_tabular_model(config, FEATURES, COLUMNS, task, units, scale)
    generator = np.random.default_rng(0)
    model.set_weights([w + generator.normal(scale=0.3, size=w.shape) for w in model.get_weights()])
    return model


def make_rows(count: int = 9) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(1)
    missing = generator.random((count, 2)) < 0.3
    ids = np.stack([generator.choice([0, 3, 5], count), generator.choice([1, 4, 7, 16], count),
                    generator.choice([2, 6, 17, 18], count)], axis=1)  # fmt: skip
    views = {name: generator.normal(size=(count, 2)) * ~missing for name in ("rank", "robust")}
    views |= {"position": generator.random((count, 2)), "missing": missing}
    return {name: values.astype(np.float32) for name, values in views.items()} | {"categories": ids}


def mish(x: np.ndarray) -> np.ndarray:
    return x * np.tanh(np.logaddexp(0, x))


def compute_member_logits(model: tf_keras.Model, rows: dict[str, np.ndarray]) -> np.ndarray:
    """`[batch, members, units]` by the weights alone."""
    w = {layer.name: [np.asarray(a, np.float64) for a in layer.get_weights()] for layer in model.layers}
    edges = np.arange(6)
    steps = np.clip(rows["position"][:, :, None] * 6.0 - edges, 0, 1)
    projection, absent, bias = w["piecewise"]
    piecewise = np.einsum("bnj,jnd->bnd", steps, projection)
    piecewise += rows["missing"][:, :, None] * absent + bias
    ids = rows["categories"]
    one_hot = np.zeros((len(ids), 2, 3))
    for column, places in ((0, {3: 0, 5: 1}), (2, {6: 0, 17: 1, 18: 2})):
        for row, word in enumerate(ids[:, column]):
            if word in places:
                one_hot[row, column // 2, places[word]] = 1
    embedded = w["embedding"][0][ids[:, 1]] * (ids[:, 1] >= 3)[:, None]
    parts = [rows["rank"], rows["robust"], rows["missing"], np.maximum(piecewise, 0), one_hot, embedded]
    x = np.concatenate([part.reshape(len(ids), -1) for part in parts], axis=1) * w["input_scale"][0]
    hidden = mish((x @ w["hidden_0"][0])[:, None, :] * w["members_0"][0] + w["members_0"][1])
    hidden = hidden * w["members_into_1"][0] @ w["hidden_1"][0]
    hidden = mish(hidden * w["members_1"][0] + w["members_1"][1])
    return np.einsum("bkh,khu->bku", hidden, w["logits"][0]) + w["logits"][1]


@pytest.mark.parametrize(("task", "units"), [("binary", 1), ("multiclass", 3), ("regression", 1)])
def test_the_answer_is_the_mean_of_the_members_answers(task: Task, units: int) -> None:
    model, rows = make_model(task, units), make_rows()
    expected = compute_member_logits(model, rows)
    if task == "regression":
        expected = expected * 3 + 10
    answer = np.asarray(model(rows, training=False), np.float64)
    assert answer.shape == (9, units)
    if task == "binary":
        np.testing.assert_allclose(1 / (1 + np.exp(-answer)), (1 / (1 + np.exp(-expected))).mean(axis=1), atol=1e-6)
    elif task == "multiclass":
        shares = np.exp(expected) / np.exp(expected).sum(axis=2, keepdims=True)
        np.testing.assert_allclose(np.exp(answer), shares.mean(axis=1), atol=1e-6)
    else:
        np.testing.assert_allclose(answer, expected.mean(axis=1), rtol=1e-5)


def test_positions_out_of_range_are_clipped_alike_in_training_and_in_inference() -> None:
    layer = make_model("binary", 1).get_layer("piecewise")
    position = tf.constant([[-2.0, 1.7], [0.0, 1.0], [1 / 6, 0.5]])
    missing = tf.zeros([3, 2])
    product, look_up = (layer([position, missing], training=training) for training in (True, False))
    np.testing.assert_allclose(product, look_up, atol=1e-5)
    np.testing.assert_allclose(look_up[0], look_up[1], atol=1e-6)


def test_training_gives_each_member_its_own_loss() -> None:
    model, rows = make_model("binary", 1, dropout=0.0), make_rows()
    members = compute_member_logits(model, rows)
    np.testing.assert_allclose(model(rows, training=True), members, atol=1e-4)
    labels = np.arange(9) % 2
    losses = np.logaddexp(0, members[:, :, 0]) - labels[:, None] * members[:, :, 0]
    answer = build_row_loss("binary")(tf.constant(members, tf.float32), tf.constant(labels))
    np.testing.assert_allclose(answer, losses.mean(axis=1), atol=1e-5)
    single = build_row_loss("binary")(tf.constant(members[:, 0], tf.float32), tf.constant(labels))
    np.testing.assert_allclose(single, losses[:, 0], atol=1e-5)


def test_members_differ_from_the_start_and_probabilities_near_one_keep_their_logit() -> None:
    model = make_model("binary", 1, dropout=0.0)
    signs = make_fresh_signs()
    assert set(np.unique(signs)) == {-1.0, 1.0}
    assert len(np.unique(signs, axis=0)) == 4
    mean = model.get_layer("members_mean")
    logits = tf.constant([[[40.0], [60.0]], [[-40.0], [-60.0]], [[200.0], [200.0]]])
    answer = np.asarray(mean(logits, training=False))[:, 0]
    assert answer[0] == pytest.approx(40 + np.log(2), rel=1e-4)
    assert answer[1] == pytest.approx(-40 - np.log(2), rel=1e-4)
    assert np.isfinite(answer).all()


def make_fresh_signs() -> np.ndarray:
    config = ModelConfig.model_validate({"kind": "tabular", "hidden_units": (16,), "members": 4})
    model = build_tabular_model(config, FEATURES, COLUMNS, "binary", 1)
    return np.asarray(model.get_layer("members_0").get_weights()[0])


def test_an_unseen_word_is_zeros_whatever_its_column() -> None:
    model, rows = make_model("binary", 1, dropout=0.0), make_rows(4)
    rows["categories"][:] = [0, 1, 2]
    before = np.asarray(model(rows))
    table = model.get_layer("embedding")
    table.set_weights([table.get_weights()[0] + 5.0])
    np.testing.assert_array_equal(model(rows), before)


@settings(max_examples=30, deadline=None)
@example(np.linspace(-80, 80, 20001).astype(np.float32))  # both tails, where a difference would lose every digit
@given(arrays.arrays(np.float32, 6, elements=st.floats(-80, 80, width=32)))
def test_mish_and_its_gradient(values: np.ndarray) -> None:
    x = tf.constant(values)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ours, textbook = compute_mish(x), x * tf.tanh(tf.math.softplus(x))
    np.testing.assert_allclose(ours, mish(values.astype(np.float64)), rtol=1e-5, atol=1e-35)
    np.testing.assert_allclose(tape.gradient(ours, x), tape.gradient(textbook, x), rtol=1e-4, atol=1e-5)


def test_mish_in_half_precision_stays_finite() -> None:
    x = tf.constant([-60000.0, -1.0, 0.0, 4.0, 12.0, 60000.0], tf.float16)
    np.testing.assert_allclose(compute_mish(x), mish(np.asarray(x, np.float64)), rtol=5e-3, atol=1e-3)


def test_the_words_of_each_column_come_from_the_vocabulary(tmp_path: Path) -> None:
    lines = ["0:a", "1:10", "0:b:c", "1:11", "a line of TFT's own"]
    (tmp_path / "transform_fn" / "assets").mkdir(parents=True)
    (tmp_path / "transform_fn" / "assets" / "categories").write_text("\n".join(lines))
    content = {"vocabulary": "categories", "categories": "taxiway_categories", "unseen_ids": 4, "quantile_bins": 48,
               "views": {"position": "taxiway_position"}}  # fmt: skip
    (tmp_path / COLUMNS_FILE).write_text(json.dumps(content))
    found = read_builtin_columns(str(tmp_path))
    assert (found.bins, found.views) == (48, {"position": "taxiway_position"})
    assert found.words == Words("taxiway_categories", 4, (0, 1, 0, 1))
    assert found.words.list_places() == [-1, -1, -1, -1, 0, 0, 1, 1]
    assert read_builtin_columns(str(tmp_path / "none")) == BuiltInColumns({})
