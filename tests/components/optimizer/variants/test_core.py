"""The model core beside a rewritten whole path: it is there in every variant, with something to rewrite or without."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from taxiway.components.optimizer.candidate import CandidateModel
from taxiway.components.optimizer.graphs.saved_model import count_executed_ops
from taxiway.components.optimizer.variants import load_technique
from taxiway.components.saved_models.session import SavedModelSession


class Context:
    """What these techniques read of one."""

    signature = "serving_default"


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """A frozen model whose whole path looks words up and has large weights, and whose core does neither."""
    folder = tmp_path_factory.mktemp("core")
    given, made = (_make_candidate(folder / name) for name in ("given", "frozen"))
    _save_whole(given.servable)
    _save_core(given.core)
    assert load_technique("frozen").transform(Context(), given, made) is None
    return made


def _make_candidate(folder):
    folder.mkdir()
    return CandidateModel(str(folder))


def _save_whole(folder):
    module = tf.Module()
    module.kernel = tf.Variable(np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def answer(examples):
        numbers = tf.strings.to_number(tf.repeat(examples, 64))
        return {"y": tf.reshape(tf.reshape(numbers, [tf.shape(examples)[0], 64]) @ module.kernel, [-1, 4, 8])}

    tf.saved_model.save(module, folder, signatures=answer)


def _save_core(folder):
    module = tf.Module()
    module.kernel = tf.Variable(np.ones((4, 2), np.float32))

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, "x")])
    def answer(x):
        return {"y": x @ module.kernel}

    tf.saved_model.save(module, folder, signatures=answer)


@pytest.mark.parametrize("name", ["lean_inputs", "float16", "int8_weights"])
def test_a_core_with_nothing_to_rewrite_stays_as_it_is(frozen, tmp_path, name):
    made = _make_candidate(tmp_path / name)
    assert load_technique(name).transform(Context(), frozen, made) is None
    assert made.has_core and not made.is_all_core
    assert Path(made.core, "saved_model.pb").read_bytes() == Path(frozen.core, "saved_model.pb").read_bytes()
    with SavedModelSession(made.core) as core:
        np.testing.assert_allclose(core.run("serving_default", {"x": np.ones((3, 4), np.float32)})["y"], 4.0)


def test_a_refusal_of_frozen_says_what_the_nodes_would_become(tmp_path):
    """A loop is one operation of TensorFlow 2, and several in a flat graph."""
    given, made = (_make_candidate(tmp_path / name) for name in ("given", "made"))

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, "x")])
    def answer(x):
        step = tf.constant(0)
        while step < 3:
            x, step = tf.tanh(x), step + 1
        return {"y": x}

    tf.saved_model.save(tf.Module(), given.servable, signatures=answer)
    refusal = load_technique("frozen").transform(Context(), given, made)
    before, after = (sum(count_executed_ops(each.servable, "serving_default").values()) for each in (given, made))
    assert before < after
    assert f"{before} nodes would become {after}" in refusal.reason
