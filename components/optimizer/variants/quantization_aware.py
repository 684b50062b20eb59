"""`quantization_aware`: the dense layers are trained on with simulated int8, so that int8 later costs less quality.

Only the dense layers are annotated: quantizing the whole model fails on integer inputs and embeddings. The servable
itself is neither smaller nor faster; the gain comes with the TFLite export that follows
(`quantization_aware+tflite_int8`).
"""

from __future__ import annotations

from typing import Any

import tensorflow_model_optimization as tfmot
import tf_keras

from taxiway.components.optimizer.candidate import CandidateModel, Technique, TechniqueContext
from taxiway.components.optimizer.graphs import nodes, saved_model
from taxiway.components.optimizer.report import Check
from taxiway.components.optimizer.tensorflow_private import allow_lambda_layers
from taxiway.components.optimizer.variants.shared import finetuning
from taxiway.components.optimizer.variants.shared.pre_checks import refuse_untrainable
from taxiway.components.refusal import Refusal

quantize = tfmot.quantization.keras


def add_fake_quantization(model: Any) -> Any:
    """The model with fake quantization around its dense layers, sharing no weights with the one given."""

    def annotate_layer(layer: Any) -> Any:
        dense = isinstance(layer, tf_keras.layers.Dense)
        return quantize.quantize_annotate_layer(layer) if dense else layer

    types = {type(layer).__name__: type(layer) for layer in model.layers}
    # tfmot copies layers through their configuration, and the built-in model's own Lambda is code of this package.
    with tf_keras.utils.custom_object_scope(types), allow_lambda_layers():
        return quantize.quantize_apply(tf_keras.models.clone_model(model, clone_function=annotate_layer))


def _pre_check(context: TechniqueContext, candidate: CandidateModel) -> Refusal | None:
    refusal = refuse_untrainable(context, candidate)
    if refusal or finetuning.read_dense_kernels(candidate):
        return refusal
    return Refusal("nothing to do: the model has no dense layer")


def _transform_model(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> None:
    trained = finetuning.load_model(context, candidate)
    model = add_fake_quantization(trained.keras_model)
    finetuning.FineTuner(context, trained.job).train_model(model, "quantization-aware training")
    finetuning.save_servables(model, trained.job, target)  # not trainable on: the wrappers hold the ranges


def _post_check(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> list[Check]:
    ops = nodes.count_ops(saved_model.read_flat(target.servable).graph)
    fake = sum(n for op, n in ops.items() if op.startswith("FakeQuant"))
    return [
        Check(
            name="fake_quantization",
            passed=fake > 0,
            detail=f"{fake} fake-quantization nodes; smaller and faster only once converted to TFLite",
            figures={"nodes": fake},
        )
    ]


TECHNIQUE = Technique("quantization_aware", _pre_check, _transform_model, _post_check)
