"""`tflite_*`: the model core as a TFLite file, for devices and for TensorFlow Serving's TFLite mode.

Parsing and transform stay outside: TFLite has neither. `tflite_int8` quantizes weights and activations and keeps float
inputs and outputs, so that callers need not change.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from taxiway.components.optimizer.candidate import CandidateModel, Technique, TechniqueContext
from taxiway.components.optimizer.graphs import saved_model
from taxiway.components.optimizer.report import Check
from taxiway.components.optimizer.variants.shared.calibration import draw_feature_batches
from taxiway.components.optimizer.variants.shared.pre_checks import refuse_without_core

FILE = "model.tflite"


def _convert_core(
    set_up: Callable[[TechniqueContext, Any], None],
    context: TechniqueContext,
    candidate: CandidateModel,
    target: CandidateModel,
) -> None:
    with saved_model.hold_with_constants(candidate.core) as core:
        converter = tf.lite.TFLiteConverter.from_saved_model(core, signature_keys=[context.signature])
        set_up(context, converter)
        Path(target.uri, FILE).write_bytes(converter.convert())


def _set_up_float32(context: TechniqueContext, converter: Any) -> None:
    """Nothing to set up."""


def _set_up_float16(context: TechniqueContext, converter: Any) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def _set_up_dynamic(context: TechniqueContext, converter: Any) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]


def _set_up_int8(context: TechniqueContext, converter: Any) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    names = {name for name, _ in _list_inputs(converter, context.signature)}

    def draw_rows() -> Any:
        for batch in draw_feature_batches(context):
            yield context.signature, {name: value for name, value in batch.items() if name in names}

    converter.representative_dataset = draw_rows


def _list_inputs(converter: Any, name: str) -> list[tuple[str, Any]]:
    signature = saved_model.read_meta_graph(converter.saved_model_dir).signature_def[name]
    return sorted(signature.inputs.items())


def _post_check(
    dtype: Any, context: TechniqueContext, candidate: CandidateModel, target: CandidateModel
) -> list[Check]:
    """The stored weights' types, from the file's own tensors."""
    interpreter = tf.lite.Interpreter(str(Path(target.uri, FILE)))
    stored: dict[str, int] = {}
    for tensor in interpreter.get_tensor_details():
        size = int(np.prod(tensor["shape"]))
        if size >= 512 and all(d > 0 for d in tensor["shape_signature"]):
            stored[np.dtype(tensor["dtype"]).name] = stored.get(np.dtype(tensor["dtype"]).name, 0) + size
    wanted = np.dtype(dtype).name
    return [
        Check(
            name=f"weights_are_{wanted}",
            passed=stored.get(wanted, 0) == max(stored.values(), default=-1),
            detail=f"elements of large tensors by type: {stored}",
            figures=dict(stored),
        )
    ]


def _build_technique(name: str, set_up: Callable[[TechniqueContext, Any], None], dtype: Any) -> Technique:
    return Technique(name, refuse_without_core, partial(_convert_core, set_up), partial(_post_check, dtype))


FLOAT32 = _build_technique("tflite_float32", _set_up_float32, np.float32)
FLOAT16 = _build_technique("tflite_float16", _set_up_float16, np.float16)
DYNAMIC = _build_technique("tflite_dynamic", _set_up_dynamic, np.int8)
INT8 = _build_technique("tflite_int8", _set_up_int8, np.int8)
