"""Writes a trained model as a SavedModel that TensorFlow Serving, TFMA and people can call with raw rows."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from taxiway.components import contract
from taxiway.components.saved_models.decision_rule import DecisionRule, write_decision_rule
from taxiway.components.training.job import TrainingJob
from taxiway.components.training.model import lookup_tables
from taxiway.components.training.model.autograph import keep_keras_unconverted
from taxiway.components.training.model.operation_names import keep_exact_names
from taxiway.components.training.model.signatures import RawInput, build_features, list_raw_inputs
from taxiway.components.training.tensorflow_private import load_transform

LOG = logging.getLogger(__name__)


def save_servable(keras_model: Any, job: TrainingJob, export_dir: str) -> list[RawInput]:
    """Writes the SavedModel: transform graph and model in one graph, no optimizer, no XLA.

    Args:
        keras_model: Maps a dict of dense transformed features to logits; any core Keras model, float32.
        job: The job whose transform graph, label, task and class labels apply.
        export_dir: The folder to write; it must not exist, or be empty.

    Returns:
        The inputs of the raw signature.
    """
    module = build_servable_module(keras_model, job)
    signatures = {contract.SERVING_DEFAULT: module.serving_default, contract.SERVING_RAW: module.serving_raw}
    with keep_exact_names(i.tensor for i in module.raw_inputs):
        tf.saved_model.save(module, export_dir, signatures=signatures)
    lookup_tables.rename_by_content(export_dir)
    _write_input_names(module.raw_inputs, export_dir)
    if job.task != "regression":
        write_decision_rule(job.decision_rule or DecisionRule(), export_dir)
    return module.raw_inputs


def build_servable_module(keras_model: Any, job: TrainingJob) -> Any:
    """A `tf.Module` with the functions `serving_default` and `serving_raw`, and everything that they need."""
    keep_keras_unconverted()
    module = tf.Module()
    # Variables, not the Keras model itself: Keras would trace and save each layer's call beside the signatures.
    module.model_variables = list(keras_model.variables)
    transform_output = tft.TFTransformOutput(job.transform_graph)
    module.transform, transform = load_transform(transform_output.transform_savedmodel_dir)
    spec = transform_output.raw_feature_spec()
    module.raw_inputs = inputs = list_raw_inputs(spec, {job.label, *job.left_out})
    outputs = _ServingOutputs(keras_model, job, transform)
    parsed = {i.column: spec[i.column] for i in inputs}
    module.serving_default = tf.function(
        lambda examples: outputs(tf.io.parse_example(examples, parsed)),
        input_signature=[tf.TensorSpec([None], tf.string, contract.EXAMPLES_INPUT)],
        autograph=bool(job.model.function),  # a user's own layers may need it
    )
    module.serving_raw = _build_raw_function(inputs, outputs)
    module.__call__ = module.serving_default  # what `tf.saved_model.load` and Keras' `load_model` return can be called
    return module


class _ServingOutputs:
    """From raw features to the signature's outputs."""

    def __init__(self, keras_model: Any, job: TrainingJob, transform: Callable[..., Any]) -> None:
        self.model, self.job, self.transform = keras_model, job, transform

    def __call__(self, raw: dict[str, Any]) -> dict[str, tf.Tensor]:
        transformed = self.transform(raw)
        transformed = {name: value for name, value in transformed.items() if name in self.model_inputs}
        return build_outputs(tf.cast(self.model(transformed, training=False), tf.float32), self.job)

    @property
    def model_inputs(self) -> set[str]:
        names = getattr(self.model, "input_names", None)
        if names:
            return set(names)
        spec = tft.TFTransformOutput(self.job.transform_graph).transformed_feature_spec()
        return set(spec) - {self.job.label, self.job.training.sample_weight}


def build_outputs(logits: tf.Tensor, job: TrainingJob) -> dict[str, tf.Tensor]:
    """The outputs that `docs/architecture.md` names, from float32 logits `[batch, units]`."""
    if job.task == "regression":
        return {contract.PREDICTIONS: logits}
    rule = job.decision_rule or DecisionRule()
    logits = calibrate_logits(logits, job)
    probabilities = tf.sigmoid(logits) if job.task == "binary" else tf.nn.softmax(logits)
    outputs = {contract.PROBABILITIES: probabilities}
    if job.class_labels:
        binary = job.task == "binary"
        index = tf.cast(probabilities[:, 0] > rule.threshold, tf.int64) if binary else tf.argmax(probabilities, axis=1)
        outputs[contract.PREDICTED_LABEL] = tf.gather(tf.constant(list(job.class_labels)), index)
    return outputs


def calibrate_logits(logits: tf.Tensor, job: TrainingJob) -> tf.Tensor:
    """A classifier's logits `[batch, units]` as the job's decision rule says, float32; an ensemble's are those of its
    mean probability.
    """
    rule = job.decision_rule or DecisionRule()
    if rule.offsets:
        binary = logits.shape[1] == 1
        logits = logits - tf.constant([rule.offsets[1] - rule.offsets[0]] if binary else rule.offsets, tf.float32)
    return logits if rule.temperature == 1 else logits * tf.constant(1 / rule.temperature, tf.float32)


def _build_raw_function(inputs: Sequence[RawInput], outputs: _ServingOutputs) -> Any:
    """The raw signature. Optional inputs are arguments with default tensors: TensorFlow writes those into the
    signature, where TensorFlow Serving finds them when a request leaves an input out.
    """

    def serving_raw(*args: Any, **kwargs: Any) -> dict[str, tf.Tensor]:
        given = inspect.signature(serving_raw).bind(*args, **kwargs)
        given.apply_defaults()
        return outputs(build_features(inputs, given.arguments))

    kind, empty = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.empty
    parameters = [
        inspect.Parameter(i.tensor, kind, default=i.default_tensor() if i.optional else empty) for i in inputs
    ]
    serving_raw.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    autograph = bool(outputs.job.model.function)
    return tf.function(serving_raw, input_signature=[i.spec for i in inputs], autograph=autograph)


def _write_input_names(inputs: Sequence[RawInput], export_dir: str) -> None:
    """The mapping from tensors to columns, beside the SavedModel."""
    file = Path(export_dir, contract.SIGNATURE_INPUTS_FILE)
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {i.tensor: {"column": i.column, "dtype": i.dtype, "default": i.default} for i in inputs}
    file.write_text(json.dumps({"version": 1, "inputs": content}, indent=2, ensure_ascii=False), encoding="utf-8")
