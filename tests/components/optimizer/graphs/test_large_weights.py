"""Large weights in a checkpoint beside a flat graph: loaders find them, converters get them back as constants."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from taxiway.components.optimizer.candidate import CandidateModel, link_core
from taxiway.components.optimizer.graphs import large_weights, nodes, saved_model
from taxiway.components.optimizer.variants import load_technique
from taxiway.components.saved_models.session import SavedModelSession
from taxiway.components.serving.safety import allowed_ops

ROWS = {"x": np.random.default_rng(2).integers(0, 50, (6, 4))}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model with a table, a matrix and an attention's kernel, and the same with other weights."""
    folder = tmp_path_factory.mktemp("large")
    return [save_model(folder / name, seed) for name, seed in (("first", 1), ("second", 2))]


def save_model(folder, seed):
    module, random = tf.Module(), np.random.default_rng(seed)
    shapes = ((50, 40), (40, 2, 30), (60, 40))
    module.weights = [tf.Variable(random.normal(size=shape).astype(np.float32)) for shape in shapes]
    words = tf.lookup.KeyValueTensorInitializer(tf.range(50, dtype=tf.int64), tf.range(50, dtype=tf.int64))
    module.table = tf.lookup.StaticHashTable(words, 0)

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.int64, "x")])
    def answer(x):
        table, heads, matrix = module.weights
        vectors = tf.reduce_mean(tf.gather(table, module.table.lookup(x)), 1)
        return {"y": tf.reshape(tf.einsum("ab,bcd->acd", vectors, heads), [-1, 60]) @ matrix}

    tf.saved_model.save(module, str(folder), signatures=answer)
    return folder


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Applies techniques one after the other, with the limits of a small model; the last SavedModel."""
    monkeypatch.setattr(large_weights, "LARGE_BYTES", 1500)
    monkeypatch.setattr(large_weights, "MOVED_BYTES", 1500)
    made = iter(range(100))

    def apply_techniques(model, *names):
        for name in names:
            source, target = (CandidateModel(str(tmp_path / f"{next(made)}")) for _ in range(2))
            shutil.copytree(model, source.servable)
            refusal = load_technique(name).transform(Context(), source, target)
            assert refusal is None, refusal
            model = Path(target.servable)
        return model

    return apply_techniques


class Context:
    """What these techniques read of one."""

    signature = "serving_default"
    given = True


def answer_rows(model):
    with SavedModelSession(model) as session:
        return session.run("serving_default", ROWS)["y"]


@pytest.mark.parametrize(
    ("techniques", "dtype", "error"),
    [
        (("frozen",), tf.float32, 1e-5),
        (("frozen", "float16"), tf.float16, 0.1),
        (("frozen", "int8_weights"), tf.int8, 1.0),
    ],
)
def test_sessions_and_tensorflow_2_load_them(models, make, techniques, dtype, error):
    first, second = (make(model, *techniques) for model in models)
    meta_graph = saved_model.read_meta_graph(str(first))
    assert large_weights.are_outside(meta_graph)
    assert (first / "variables" / "variables.index").is_file()
    assert nodes.find_constants(meta_graph.graph_def, dtype, 1000) == []
    assert len(nodes.find_constants(saved_model.read_flat(str(first)).graph, dtype, 1000)) == 3
    assert allowed_ops.check_saved_model(first) == []
    loaded = [tf.saved_model.load(str(model)) for model in (first, second)]  # of equal names in one process
    for original, model, again in zip(models, (first, second), loaded, strict=True):
        expected = answer_rows(original)
        np.testing.assert_allclose(answer_rows(model), expected, atol=error)
        values = again.signatures["serving_default"](x=tf.constant(ROWS["x"]))["y"].numpy()
        np.testing.assert_allclose(values, answer_rows(model), atol=1e-5)


def test_they_come_back_as_the_constants_they_were(models, make, tmp_path):
    frozen = make(models[0], "frozen")
    flat = saved_model.load_flat(str(frozen))
    assert nodes.count_ops(flat.graph).get("VarHandleOp", 0) == 0
    meta_graph, weights = large_weights.move_out(flat.meta_graph)
    assert len(weights) == 3 and meta_graph.ByteSize() < flat.meta_graph.ByteSize() / 2
    again = saved_model.load_flat(str(frozen)).graph
    assert {node.name: node for node in flat.graph.node} == {node.name: node for node in again.node}
    assert saved_model.load_flat(str(make(models[0], "frozen"))).meta_graph.saver_def.restore_op_name == ""


def test_what_is_stored_smaller_is_made_float32_when_it_is_restored(models, make):
    """No call pays for it: what a signature needs holds no cast."""
    model = make(models[0], "frozen", "float16")
    ops = saved_model.count_executed_ops(str(model), "serving_default")
    assert "Cast" not in ops and ops["ReadVariableOp"] == 3


@pytest.fixture
def moved_core(tmp_path, monkeypatch):
    """A candidate whose whole SavedModel is its core, a product with a large matrix that lies in a checkpoint."""
    module, candidate = tf.Module(), CandidateModel(str(tmp_path / "moved"))
    module.kernel = tf.Variable(np.random.default_rng(4).normal(size=(40, 40)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec([None, 40], tf.float32, "x")])
    def answer(x):
        return {"y": x @ module.kernel}

    tf.saved_model.save(module, str(tmp_path / "model"), signatures=answer)
    monkeypatch.setattr(large_weights, "LARGE_BYTES", 1500)
    monkeypatch.setattr(large_weights, "MOVED_BYTES", 1500)
    saved_model.write_flat(saved_model.load_flat(str(tmp_path / "model")), candidate.servable)
    link_core(candidate)
    assert large_weights.are_outside(saved_model.read_meta_graph(candidate.servable))
    return candidate, module.kernel.numpy()


def test_tflite_converts_them(moved_core, tmp_path):
    candidate, kernel = moved_core
    target = CandidateModel(str(tmp_path))
    assert load_technique("tflite_float32").transform(Context(), candidate, target) is None
    rows = np.ones((1, 40), np.float32)
    found = tf.lite.Interpreter(target.runtime_file).get_signature_runner("serving_default")(x=rows)["y"]
    np.testing.assert_allclose(found, rows @ kernel, atol=1e-4)


def test_tensorflow_quantizes_them(moved_core, tmp_path):
    candidate, kernel = moved_core
    target = CandidateModel(str(tmp_path))
    assert load_technique("int8_dynamic").transform(Context(), candidate, target) is None
    rows = np.ones((1, 40), np.float32)
    with SavedModelSession(target.servable) as session:
        np.testing.assert_allclose(session.run("serving_default", {"x": rows})["y"], rows @ kernel, atol=1.0)


def test_a_large_constant_of_a_loop_stays_in_it(tmp_path, monkeypatch):
    """It waits for something in the loop; a variable in its place would be outside, where nothing in a loop reads."""
    kernel = np.random.default_rng(5).normal(size=(40, 40)).astype(np.float32) / 10

    @tf.function(input_signature=[tf.TensorSpec([None, 40], tf.float32, "x")])
    def answer(x):
        step = tf.constant(0)
        while step < 3:
            x, step = tf.tanh(x @ tf.constant(kernel)), step + 1
        return {"y": x}

    model, frozen = str(tmp_path / "model"), str(tmp_path / "frozen")
    tf.saved_model.save(tf.Module(), model, signatures=answer)
    monkeypatch.setattr(large_weights, "LARGE_BYTES", 1500)
    monkeypatch.setattr(large_weights, "MOVED_BYTES", 1500)
    saved_model.write_flat(saved_model.load_flat(model), frozen)
    rows = {"x": np.ones((2, 40), np.float32)}
    with SavedModelSession(model) as first, SavedModelSession(frozen) as second:
        answers = [session.run("serving_default", rows)["y"] for session in (first, second)]
    np.testing.assert_allclose(answers[1], answers[0], rtol=1e-4, atol=1e-5)
