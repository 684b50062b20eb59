"""Private parts of TensorFlow and Keras work, and their absence is explained."""

from __future__ import annotations

import sys

import pytest
import tensorflow as tf
import tf_keras

from taxiway.components.errors import OptimizationError
from taxiway.components.optimizer import tensorflow_private
from taxiway.components.optimizer.graphs import inlining


@pytest.mark.parametrize(
    ("module", "call"),
    [
        ("tensorflow.python.grappler.tf_optimizer", lambda: tensorflow_private.rewrite_by_grappler(None, None)),
        (
            "tensorflow.python.framework.function_def_to_graph",
            lambda: tensorflow_private.flatten_function(None),
        ),
        ("tf_keras.src.saving.serialization_lib", tensorflow_private.allow_lambda_layers),
    ],
)
def test_a_part_that_is_gone_is_explained(monkeypatch, module, call):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(OptimizationError, match=rf"has no {module}\..*\n.*tensorflow_private\.py"):
        call()


def test_a_function_becomes_a_flat_graph():
    with tf.Graph().as_default() as graph:
        tf.function(lambda x: tf.add(x * 2.0, 1.0), autograph=False)(tf.compat.v1.placeholder(tf.float32, [None]))
    (function,) = graph.as_graph_def().library.function
    flat, names = tensorflow_private.flatten_function(function)
    assert [node.op for node in flat.node if node.op in ("Mul", "AddV2")] == ["Mul", "AddV2"]
    assert set(function.ret.values()) <= set(names)


def test_grappler_folds_constants_and_keeps_what_it_is_told():
    with tf.Graph().as_default():
        x = tf.compat.v1.placeholder(tf.float32, [None], "x")
        tf.add(x, tf.constant(1.0) + tf.constant(2.0), name="answer")
        tf.multiply(x, 2.0, name="unused")
        meta_graph = tf.compat.v1.train.export_meta_graph()
    meta_graph.collection_def["train_op"].node_list.value.append("answer")
    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.min_graph_nodes = -1
    ops = [node.op for node in tensorflow_private.rewrite_by_grappler(config, meta_graph).node]
    assert sorted(ops) == ["AddV2", "Const", "Placeholder"]


def test_layers_that_hold_code_are_copied_only_where_that_is_allowed():
    layer = tf_keras.layers.Lambda(lambda x: x + 1)
    config = tf_keras.utils.serialize_keras_object(layer)
    with pytest.raises(ValueError, match="safe_mode"):
        tf_keras.utils.deserialize_keras_object(config)
    with tensorflow_private.allow_lambda_layers():
        assert isinstance(tf_keras.utils.deserialize_keras_object(config), tf_keras.layers.Lambda)


def test_which_operations_have_a_state():
    assert not inlining._is_stateful("MatMul")
    assert inlining._is_stateful("LookupTableFindV2")
    assert inlining._is_stateful("NoSuchOperation")
