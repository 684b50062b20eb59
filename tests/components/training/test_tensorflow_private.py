"""The private parts of TensorFlow, Keras and TFT that training takes are there and do what is expected of them.

A release that moves one fails here, with the sentence that a user would read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tf_keras
from tensorflow.core.protobuf import saved_model_pb2

from taxiway.components.errors import TrainingError
from taxiway.components.stack_seam import name_lock
from taxiway.components.training import tensorflow_private as private
from taxiway.components.training.config import TrainingConfig
from taxiway.components.training.distribution.strategies import number_worker
from taxiway.components.training.model.optimizers import build_optimizer


def test_transforms_function_answers_without_the_label_and_its_resources_can_be_held(binary_data: Path) -> None:
    output = tft.TFTransformOutput(str(binary_data / "transform_graph"))
    held, transform = private.load_transform(output.transform_savedmodel_dir)
    sparse = {name: tf.sparse.from_dense([[value]]) for name, value in (("Fare (USD)", 2.0), ("kind", "taxi"))}
    features = transform({**sparse, "km": tf.constant([3.0])})
    assert features["numeric"].numpy().tolist() == [[2.0, 3.0]] and "label" not in features
    module = tf.Module()
    module.held = held  # a `tf.Module` takes trackable objects alone into its export
    assert "held" in module._trackable_children()


def test_a_fingerprint_follows_the_graph(tmp_path: Path) -> None:
    module = tf.Module()
    module.f = tf.function(lambda x: x + 1, input_signature=[tf.TensorSpec([1])])
    tf.saved_model.save(module, str(tmp_path))
    before = tf.saved_model.experimental.read_fingerprint(str(tmp_path)).saved_model_checksum
    model = saved_model_pb2.SavedModel.FromString((tmp_path / "saved_model.pb").read_bytes())
    model.meta_graphs[0].meta_info_def.tags.append("another")
    (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString(deterministic=True))
    private.write_fingerprint(str(tmp_path))
    assert tf.saved_model.experimental.read_fingerprint(str(tmp_path)).saved_model_checksum != before


def test_names_are_chosen_within_the_context_only() -> None:
    with private.replace_unique_name(lambda graph, name, mark, original: f"mine_{original(graph, name, mark)}"):
        graph = tf.Graph()
        with graph.as_default():
            assert tf.constant(1, name="one").op.name == "mine_one"
    with tf.Graph().as_default():
        assert tf.constant(1, name="one").op.name == "one"


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "adagrad", "ftrl", "lamb"])
def test_an_optimizers_variables_are_there_before_its_first_step(name: str) -> None:
    variable = tf.Variable([1.0, 2.0])
    optimizer = build_optimizer(TrainingConfig.model_validate({"optimizer": {"name": name}}), 10)
    private.create_optimizer_variables(optimizer, [variable])
    before = len(optimizer.variables())
    optimizer.apply_gradients([(tf.constant([0.1, 0.1]), variable)])
    assert len(optimizer.variables()) == before > 0
    assert variable.numpy().tolist() != [1.0, 2.0]


class Noted(private.UpdateHooks, tf_keras.optimizers.legacy.SGD):
    """Notes which hook was called."""

    def __init__(self) -> None:
        super().__init__(0.5, momentum=0.25)
        self.called: list[Any] = []

    def update_dense(self, gradient: Any, variable: Any, apply_state: Any) -> Any:
        self.called.append(("dense", float(self.read_rate(variable)), float(self.read_setting("momentum", variable))))
        return super().update_dense(gradient, variable, apply_state)

    def update_sparse(self, gradient: Any, variable: Any, indices: Any, apply_state: Any) -> Any:
        self.called.append(("sparse", indices.numpy().tolist()))
        return super().update_sparse(gradient, variable, indices, apply_state)


def test_keras_calls_the_hooks_and_the_hooks_call_keras() -> None:
    optimizer, variable = Noted(), tf.Variable([[1.0], [1.0]])
    optimizer.apply_gradients([(tf.constant([[1.0], [0.0]]), variable)])
    optimizer.apply_gradients([(tf.IndexedSlices(tf.constant([[1.0]]), tf.constant([1])), variable)])
    assert optimizer.called == [("dense", 0.5, 0.25), ("sparse", [1])]
    np.testing.assert_allclose(variable.numpy(), [[0.5], [0.5]])


def test_weight_decay_takes_its_share_off_and_spares_biases() -> None:
    settings = {"optimizer": {"name": "sgd", "learning_rate": 0.5, "momentum": 0.0, "weight_decay": 0.2}}
    config = TrainingConfig.model_validate({**settings, "schedule": {"name": "constant"}})
    for name, expected in (("kernel", 2.0 - 0.5 * 0.2 * 2.0 - 0.5), ("bias", 2.0 - 0.5)):
        variable = tf.Variable([2.0], name=name)
        build_optimizer(config, 10).apply_gradients([(tf.constant([1.0]), variable)])
        np.testing.assert_allclose(variable.numpy(), [expected], rtol=1e-6)


def test_lamb_takes_the_step_of_its_paper_dense_and_sparse() -> None:
    """First step: m and v cancel, so that the step is sign(gradient); the trust ratio is |w| / |step|."""
    settings = {"optimizer": {"name": "lamb", "learning_rate": 0.1}, "schedule": {"name": "constant"}}
    dense, sparse = tf.Variable([[3.0], [4.0]], name="kernel"), tf.Variable([[3.0], [4.0]], name="kernel")
    gradient = tf.constant([[0.5], [-0.25]])
    config = TrainingConfig.model_validate(settings)
    build_optimizer(config, 10).apply_gradients([(gradient, dense)])
    slices = tf.IndexedSlices(gradient, tf.constant([0, 1]), tf.constant([2, 1]))
    build_optimizer(config, 10).apply_gradients([(slices, sparse)])
    step = 0.1 * 5.0 / np.sqrt(2.0)
    np.testing.assert_allclose(dense.numpy(), [[3.0 - step], [4.0 + step]], rtol=1e-4)
    np.testing.assert_allclose(sparse.numpy(), dense.numpy(), rtol=1e-6)


def test_workers_are_numbered_as_the_strategy_numbers_them() -> None:
    from tensorflow.python.distribute.multi_worker_util import id_in_cluster

    for jobs in ({"worker": ["a:1", "b:1"]}, {"chief": ["a:1"], "worker": ["b:1", "c:1"]}):
        for kind, addresses in jobs.items():
            for index in range(len(addresses)):
                assert number_worker(kind, index, jobs) == id_in_cluster(jobs, kind, index)


@pytest.mark.parametrize("owner", ["tensorflow.no_such_module", tf.Graph])
def test_a_part_that_is_gone_is_named_with_what_to_do(owner: Any) -> None:
    with pytest.raises(TrainingError, match=r"has no .*\._gone") as raised:
        private._require_attribute(owner, "_gone")
    assert name_lock() in raised.value.remedy and "tensorflow_private.py" in raised.value.remedy
