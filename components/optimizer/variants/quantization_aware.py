"""`quantization_aware`: the dense layers are trained on with simulated int8, so that int8 later costs less quality.

Only the dense layers are annotated: quantizing the whole model fails on integer inputs and embeddings. The servable
itself is neither smaller nor faster; it pays in the TFLite export that follows (`quantization_aware+tflite_int8`).
"""

from __future__ import annotations

from typing import Any

import tensorflow_model_optimization as tfmot
import tf_keras
from tf_keras.src.saving import serialization_lib

from components.optimizer import finetuning, graphs, nodes
from components.optimizer.report import Check
from components.optimizer.variants.base import Piece, Technique, Workshop

quantize = tfmot.quantization.keras


def _pre_check(workshop: Workshop, piece: Piece) -> str:
    return finetuning.refusal(piece)


def annotated(model: Any) -> Any:
    """The model with fake quantization around its dense layers, sharing no weights with the one given."""

    def annotate(layer: Any) -> Any:
        dense = isinstance(layer, tf_keras.layers.Dense)
        return quantize.quantize_annotate_layer(layer) if dense else layer

    types = {type(layer).__name__: type(layer) for layer in model.layers}
    # tfmot copies layers through their configuration, and the built-in model's own Lambda is code of this package.
    with tf_keras.utils.custom_object_scope(types), serialization_lib.SafeModeScope(safe_mode=False):
        return quantize.quantize_apply(tf_keras.models.clone_model(model, clone_function=annotate))


def _transform(workshop: Workshop, piece: Piece, made: Piece) -> None:
    trained = finetuning.load(workshop, piece)
    model = annotated(trained.keras_model)
    finetuning.Tuning(workshop, trained.job).run(model, "quantization-aware training")
    finetuning.save_servables(model, trained.job, made)  # not trainable on: the wrappers hold the ranges


def _post_check(workshop: Workshop, piece: Piece, made: Piece) -> list[Check]:
    ops = nodes.count_ops(graphs.read_flat(made.servable).graph)
    fake = sum(n for op, n in ops.items() if op.startswith("FakeQuant"))
    return [
        Check(
            name="fake_quantization",
            passed=fake > 0,
            detail=f"{fake} fake-quantization nodes; smaller and faster only once converted to TFLite",
            figures={"nodes": fake},
        )
    ]


TECHNIQUE = Technique("quantization_aware", _pre_check, _transform, _post_check)
