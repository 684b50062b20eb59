"""The meta graph of a SavedModel: which node initializes its tables."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from taxiway.components.optimizer.building.tasks import apply_technique
from taxiway.components.optimizer.candidate import CandidateModel
from taxiway.components.optimizer.graphs import freezing, large_weights, nodes, saved_model
from taxiway.components.optimizer.graphs.saved_model import INIT_SIGNATURE, find_main_op
from taxiway.components.saved_models.session import SavedModelSession


@pytest.mark.parametrize("collection", ["saved_model_main_op", "legacy_init_op"])
def test_the_initializer_is_found_under_both_names_of_tensorflow_1(collection):
    meta_graph = meta_graph_pb2.MetaGraphDef()
    meta_graph.collection_def[collection].node_list.value.append("init:0")
    assert find_main_op(meta_graph) == "init"


def test_tensorflow_2_names_it_in_a_signature():
    meta_graph = meta_graph_pb2.MetaGraphDef()
    meta_graph.signature_def[INIT_SIGNATURE].outputs[INIT_SIGNATURE].name = "NoOp:0"
    assert find_main_op(meta_graph) == "NoOp"


def test_looking_for_it_leaves_a_model_without_one_as_it_was():
    """TensorFlow's loader refuses a model with an empty collection of that name."""
    meta_graph = meta_graph_pb2.MetaGraphDef()
    assert find_main_op(meta_graph) is None
    assert not meta_graph.collection_def


def test_weights_that_grappler_does_not_see_come_back(tmp_path, monkeypatch):
    """Grappler copies a graph with all its weights in every pass; of large models it gets placeholders for them."""
    module = tf.Module()
    random = np.random.default_rng(1)
    module.weights = [tf.Variable(random.normal(size=(40, 40)).astype(np.float32)) for _ in range(3)]
    module.weights.append(tf.Variable(module.weights[0]))

    @tf.function(input_signature=[tf.TensorSpec([None, 40], tf.float32, "x")])
    def answer(x):
        for weight in module.weights:
            x = tf.nn.relu(x @ tf.reshape(tf.transpose(weight), [40, 40])) + 1.0
        return {"y": x}

    tf.saved_model.save(module, str(tmp_path / "model"), signatures=answer)
    frozen = saved_model.load_frozen(str(tmp_path / "model"))
    seen = []
    rewrite = saved_model.rewrite_by_grappler
    monkeypatch.setattr(large_weights, "LARGE_BYTES", 1000)
    monkeypatch.setattr(large_weights, "MOVED_BYTES", 1000)
    monkeypatch.setattr(saved_model, "rewrite_by_grappler", lambda *given: seen.append(given[1]) or rewrite(*given))
    made = saved_model.run_grappler(frozen)
    assert seen[0].graph_def.ByteSize() < 10_000 < made.graph.ByteSize()
    assert len(nodes.find_constants(made.graph, tf.float32, 1600)) == 3  # the equal ones share one
    inputs = [{n.name for n in each.graph.node if n.op == "Placeholder"} for each in (frozen, made)]
    assert inputs[1] <= inputs[0]
    saved_model.write_flat(made, str(tmp_path / "made"))
    rows = {"x": random.normal(size=(5, 40)).astype(np.float32)}
    with SavedModelSession(tmp_path / "model") as first, SavedModelSession(tmp_path / "made") as second:
        answers = [session.run("serving_default", rows)["y"] for session in (first, second)]
    np.testing.assert_allclose(answers[1], answers[0], rtol=1e-5)


def test_variables_that_a_loop_reads_become_constants(tmp_path):
    """Their handles go into the loop, or round it: TensorFlow could not load what was frozen without those."""
    module = tf.Module()
    random = np.random.default_rng(3)
    module.first = tf.Variable(random.normal(size=(4, 3)).astype(np.float32))
    module.table = tf.Variable(random.normal(size=(5, 3)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, "x")])
    def answer(x):
        def compute(row):
            step, total = tf.constant(0), tf.zeros([3])
            while step < 3:
                total += tf.tanh(row[None] @ module.first)[0] + tf.gather(module.table, step)
                step += 1
            return total

        return {"y": tf.map_fn(compute, x), "z": tf.cond(x[0, 0] > 0, lambda: x @ module.first, lambda: x[:, :3])}

    tf.saved_model.save(module, str(tmp_path / "model"), signatures=answer)
    frozen = saved_model.run_grappler(saved_model.load_frozen(str(tmp_path / "model")))
    saved_model.write_flat(frozen, str(tmp_path / "frozen"))
    assert nodes.count_ops(frozen.graph).get("VarHandleOp", 0) == 0
    with SavedModelSession(tmp_path / "model") as first, SavedModelSession(tmp_path / "frozen") as second:
        for sign in (-1.0, 1.0):
            rows = {"x": sign * np.abs(random.normal(size=(6, 4))).astype(np.float32)}
            expected, found = (each.run("serving_default", rows) for each in (first, second))
            for name in ("y", "z"):
                np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6)


def test_readers_of_a_variable_become_readers_of_a_constant(tmp_path):
    module = tf.Module()
    module.table = tf.Variable(np.random.default_rng(3).normal(size=(5, 3)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.int64, "x")])
    def answer(x):
        shape = tf.raw_ops.VariableShape(input=module.table.handle, out_type=tf.int64)
        return {"y": tf.gather_nd(module.table, x), "z": x + shape[0]}

    tf.saved_model.save(module, str(tmp_path / "model"), signatures=answer)
    frozen = saved_model.load_frozen(str(tmp_path / "model"))
    assert nodes.count_ops(frozen.graph).get("VarHandleOp", 0) == 0
    saved_model.write_flat(saved_model.run_grappler(frozen), str(tmp_path / "frozen"))
    rows = {"x": np.array([[4], [0], [2]])}
    with SavedModelSession(tmp_path / "frozen") as session:
        found = session.run("serving_default", rows)
    np.testing.assert_array_equal(found["y"], module.table.numpy()[[4, 0, 2]])
    np.testing.assert_array_equal(found["z"], rows["x"] + 5)


def test_a_variable_that_is_written_to_is_refused_and_fails_nothing(tmp_path):
    module = tf.Module()
    module.weight = tf.Variable([1.0])

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, "x")])
    def answer(x):
        module.weight.assign_add([1.0])
        return {"y": x * module.weight}

    source, target = (CandidateModel(str(tmp_path / name)) for name in ("source", "target"))
    tf.saved_model.save(module, source.servable, signatures=answer)
    answered = apply_technique(SimpleNamespace(signature="serving_default"), "frozen", source, target)
    assert "is written to in the graph, by AssignAddVariableOp" in answered["refused"]


@pytest.mark.parametrize(
    ("op", "function", "said"),
    [
        ("StatefulPartitionedCall", "f", "into a function that cannot be inlined"),
        ("While", "body", "into a function that cannot be inlined"),
        ("AssignVariableOp", "", "is written to in the graph"),
        ("VarIsInitializedOp", "", "no counterpart"),
    ],
)
def test_why_a_variable_cannot_become_a_constant(op, function, said):
    graph = tf.compat.v1.GraphDef()
    graph.node.add(name="weight", op="VarHandleOp").attr["dtype"].type = tf.float32.as_datatype_enum
    user = graph.node.add(name="user", op=op, input=["weight"])
    if function:
        user.attr[function].func.name = "called"
    with pytest.raises(freezing.FreezingError, match=said):
        freezing.freeze_variables(graph, {"weight": np.zeros(2, np.float32)})
