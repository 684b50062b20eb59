"""Trains weights of a given model on, in its flat graph: no Keras layers are needed, so any SavedModel can be pruned.

With labels the loss is theirs; without, the outputs are to stay the original's (distillation). Rows are those that no
variant is judged by.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from taxiway.components.errors import OptimizationError
from taxiway.components.optimizer.candidate import CandidateModel, TechniqueContext, link_core
from taxiway.components.optimizer.given_model.rows import load_labels, load_rows
from taxiway.components.optimizer.graphs import nodes, saved_model
from taxiway.components.optimizer.graphs.index import GraphIndex
from taxiway.components.optimizer.graphs.saved_model import FlatModel
from taxiway.components.optimizer.graphs.weights import is_kernel
from taxiway.components.optimizer.measurement.agreement import find_kind
from taxiway.components.optimizer.measurement.batches import count_rows, take_rows

Masks = Callable[[Mapping[str, NDArray[Any]], float], dict[str, NDArray[Any]]]
"""From weights and the share of the way, 0 to 1, to what stays of each: 1 or 0."""
_LEARNING_RATE = 5e-4
_MASK_UPDATES = 20
_TIME_SHARE = 0.25
"""Of the budget, that the training of one variant may take."""
_DEFAULT_BATCH = 32
_TINY = 1e-7


def list_kernels(graph_def: Any, min_weights: int) -> dict[str, NDArray[Any]]:
    """The constant kernels of products and convolutions that are worth pruning, by name; those of one output decide the
    scores and are left alone."""
    index = GraphIndex(graph_def)
    constants = nodes.find_constants(graph_def, tf.float32, min_weights)
    kernels = {
        node.name: tf.make_ndarray(node.attr["value"].tensor) for node in constants if is_kernel(index, node.name)
    }
    return {name: kernel for name, kernel in kernels.items() if kernel.ndim in (2, 4) and kernel.shape[-1] > 1}


def tune_constants(
    context: TechniqueContext, candidate: CandidateModel, target: CandidateModel, names: list[str], masks: Masks
) -> None:
    """Trains named constants under masks that grow, and writes the model with what came out."""
    model = saved_model.load_flat(candidate.servable)
    weights = {name: value for name, value in list_kernels(model.graph, 1).items() if name in names}
    if not weights:
        raise OptimizationError("No kernel of the model can be pruned.")
    trained = _Training(context, model, weights, masks).run()
    graph, _ = nodes.rewrite_constants(model.graph, tf.float32, 1, lambda node: _replace_constant(node, trained))
    saved_model.write_flat(model.with_graph(graph), target.servable)
    if candidate.is_all_core:
        link_core(target)


def _replace_constant(node: Any, values: Mapping[str, NDArray[Any]]) -> list[Any] | None:
    return [nodes.make_const_node(node.name, values[node.name], tf.float32)] if node.name in values else None


class _Training:
    """One training: the graph as a function of rows and weights, its loss, and the loop."""

    def __init__(
        self, context: TechniqueContext, model: FlatModel, weights: Mapping[str, NDArray[Any]], masks: Masks
    ) -> None:
        assert context.given is not None
        self.context, self.given, self.masks = context, context.given, masks
        self.rows = load_rows(context.folder, tuning=True)
        self.labels = load_labels(context.folder, tuning=True)
        self.weights = {name: tf.Variable(value) for name, value in weights.items()}
        self.call = _wrap_graph(model, context.signature, list(weights))
        self.original = dict(weights)
        self.batch = self.given.fixed_rows or context.config.fine_tuning.batch_size or _DEFAULT_BATCH
        teacher = self._answer(take_rows(self.rows, slice(self.batch)), self.original)
        self.kinds = {name: find_kind(value.numpy()) for name, value in teacher.items()}
        if all(kind == "labels" for kind in self.kinds.values()):
            raise OptimizationError("No output holds numbers that a loss could be made of.")
        self.scales = {n: max(float(np.std(v.numpy())), _TINY) for n, v in teacher.items() if self.kinds[n] == "values"}

    def run(self) -> dict[str, NDArray[Any]]:
        """Trains, and returns the weights with the last masks on."""
        settings = self.context.config.fine_tuning
        steps = self._fit_steps(settings.max_steps)
        rate = settings.learning_rate or _LEARNING_RATE
        optimizer = tf_keras.optimizers.legacy.Adam(tf_keras.optimizers.schedules.CosineDecay(rate, steps))
        random, kept = np.random.default_rng(self.context.config.seed), self._compute_masks(0.0)
        end = max(int(steps * self.context.config.pruning.end_fraction), 1)
        for step in range(steps):
            if step % max(end // _MASK_UPDATES, 1) == 0 and step <= end:
                kept = self._compute_masks(step / end)
            self._train_step(optimizer, random)
            self._apply_masks(kept)
        self._apply_masks(self._compute_masks(1.0))
        return {name: weight.numpy() for name, weight in self.weights.items()}

    def _fit_steps(self, wanted: int) -> int:
        """The steps that fit into the time, by two that are made and taken back."""
        optimizer, random = tf_keras.optimizers.legacy.Adam(0.0), np.random.default_rng(0)
        self._train_step(optimizer, random)
        began = time.perf_counter()
        self._train_step(optimizer, random)
        seconds = time.perf_counter() - began
        return max(min(wanted, int(_TIME_SHARE * self.context.config.budget_seconds / seconds)), 1)

    def _train_step(self, optimizer: Any, random: np.random.Generator) -> None:
        chosen = random.integers(0, count_rows(self.rows), self.batch)
        batch = take_rows(self.rows, chosen)
        labels = None if self.labels is None else self.labels[chosen]
        teacher = {} if labels is not None else self._answer(batch, self.original)
        weights = list(self.weights.values())
        with tf.GradientTape() as tape:
            outputs = self._answer(batch, self.weights)
            loss = self._compute_label_loss(outputs, labels) if labels is not None else self._distill(outputs, teacher)
        gradients = tape.gradient(loss, weights)
        optimizer.apply_gradients((g, w) for g, w in zip(gradients, weights, strict=True) if g is not None)

    def _answer(self, rows: Mapping[str, NDArray[Any]], weights: Mapping[str, Any]) -> dict[str, Any]:
        inputs = [tf.constant(rows[name]) for name in sorted(rows)]
        return dict(self.call(*inputs, *(tf.convert_to_tensor(weight) for weight in weights.values())))

    def _compute_masks(self, progress: float) -> dict[str, Any]:
        return self.masks({name: weight.numpy() for name, weight in self.weights.items()}, progress)

    def _apply_masks(self, kept: Mapping[str, Any]) -> None:
        for name, weight in self.weights.items():
            weight.assign(weight * kept[name])

    def _distill(self, outputs: Mapping[str, Any], teacher: Mapping[str, Any]) -> Any:
        """Cross-entropy to the original's probabilities, squared difference of other numbers by their deviation."""
        losses = []
        for name, kind in ((name, kind) for name, kind in self.kinds.items() if kind != "labels"):
            value, wanted = (tf.cast(each[name], tf.float32) for each in (outputs, teacher))
            if kind == "values":
                losses.append(tf.reduce_mean(tf.square((value - wanted) / self.scales[name])))
            else:
                losses.append(_compute_cross_entropy(value, wanted))
        return tf.add_n(losses)

    def _compute_label_loss(self, outputs: Mapping[str, Any], labels: NDArray[Any]) -> Any:
        name = self.given.output
        value = tf.reshape(tf.cast(outputs[name], tf.float32), [len(labels), -1])
        if self.context.task == "regression":
            return tf.reduce_mean(tf.square(value[:, 0] - labels.astype(np.float32)))
        wide = value.shape[1] is None or value.shape[1] > 1
        if self.kinds[name] == "values":
            logits = value if wide else tf.concat([tf.zeros_like(value), value], 1)
            return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels.astype(np.int64), logits))
        wanted = tf.one_hot(labels.astype(np.int64), value.shape[1]) if wide else labels.astype(np.float32)[:, None]
        return _compute_cross_entropy(value, wanted)


def _compute_cross_entropy(value: Any, wanted: Any) -> Any:
    """Of classes where a row has several numbers that sum to 1, else of each number."""
    value = tf.clip_by_value(value, _TINY, 1.0 - _TINY)
    if len(value.shape) > 1 and (value.shape[-1] or 0) > 1:
        return -tf.reduce_mean(tf.reduce_sum(wanted * tf.math.log(value), -1))
    return -tf.reduce_mean(wanted * tf.math.log(value) + (1.0 - wanted) * tf.math.log(1.0 - value))


def _wrap_graph(model: FlatModel, signature: str, names: list[str]) -> Any:
    """The flat graph as a function of a signature's inputs, by name, and of the named constants."""
    definition = model.meta_graph.signature_def[signature]
    inputs = sorted(definition.inputs)
    graph_def, by_name = _name_assets(model), {node.name: node for node in model.graph.node}
    specs = [_make_spec(definition.inputs[name]) for name in inputs]
    specs += [tf.TensorSpec([d.size for d in by_name[n].attr["value"].tensor.tensor_shape.dim]) for n in names]
    prepared: list[Any] = []

    def call(*arguments: Any) -> dict[str, Any]:
        given = {definition.inputs[name].name: value for name, value in zip(inputs, arguments, strict=False)}
        given |= {f"{name}:0": value for name, value in zip(names, arguments[len(inputs) :], strict=True)}
        outputs = sorted(definition.outputs)
        wanted = [definition.outputs[name].name for name in outputs]
        main_op = saved_model.find_main_op(model.meta_graph)
        found = tf.graph_util.import_graph_def(
            graph_def, input_map=given, return_elements=[*wanted, *([main_op] if main_op else [])], name=""
        )
        prepared.extend(found[len(wanted) :])
        return dict(zip(outputs, found, strict=False))

    wrapped = tf.compat.v1.wrap_function(call, specs)
    for initializer in prepared:
        wrapped.prune([], initializer)()
    return wrapped


def _make_spec(info: Any) -> tf.TensorSpec:
    return tf.TensorSpec(tf.TensorShape(info.tensor_shape), tf.dtypes.as_dtype(info.dtype))


def _name_assets(model: FlatModel) -> Any:
    """The graph with the paths of the model's files, which a loader would put in."""
    paths = {asset.tensor_info.name.split(":")[0]: asset.filename for asset in model.meta_graph.asset_file_def}
    result = tf.compat.v1.GraphDef()
    result.CopyFrom(model.graph)
    for node in result.node:
        if node.name in paths:
            path = str(Path(model.origin, "assets", paths[node.name]).absolute())
            node.CopyFrom(nodes.make_const_node(node.name, path.encode(), tf.string))
    return result
