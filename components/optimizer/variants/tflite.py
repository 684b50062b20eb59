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

from components.optimizer import graphs
from components.optimizer.report import Check
from components.optimizer.variants.base import Piece, Technique, Workshop
from components.optimizer.variants.calibration import feature_batches

FILE = "model.tflite"


def _pre_check(workshop: Workshop, piece: Piece) -> str:
    return "" if piece.has_core else "it converts the model core, which is known for Taxiway's own models only"


def _convert(set_up: Callable[[Workshop, Any], None], workshop: Workshop, piece: Piece, made: Piece) -> None:
    converter = tf.lite.TFLiteConverter.from_saved_model(piece.core, signature_keys=["serving_default"])
    set_up(workshop, converter)
    Path(made.uri, FILE).write_bytes(converter.convert())


def _float32(workshop: Workshop, converter: Any) -> None:
    """Nothing to set up."""


def _float16(workshop: Workshop, converter: Any) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def _dynamic(workshop: Workshop, converter: Any) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]


def _int8(workshop: Workshop, converter: Any) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    names = {name for name, _ in _inputs(converter)}

    def rows() -> Any:
        for batch in feature_batches(workshop):
            yield "serving_default", {name: value for name, value in batch.items() if name in names}

    converter.representative_dataset = rows


def _inputs(converter: Any) -> list[tuple[str, Any]]:
    signature = graphs.read_flat(converter.saved_model_dir).meta_graph.signature_def["serving_default"]
    return sorted(signature.inputs.items())


def _post_check(dtype: Any, workshop: Workshop, piece: Piece, made: Piece) -> list[Check]:
    """The stored weights' types, from the file's own tensors."""
    interpreter = tf.lite.Interpreter(str(Path(made.uri, FILE)))
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


def _technique(name: str, set_up: Callable[[Workshop, Any], None], dtype: Any) -> Technique:
    return Technique(name, _pre_check, partial(_convert, set_up), partial(_post_check, dtype))


FLOAT32 = _technique("tflite_float32", _float32, np.float32)
FLOAT16 = _technique("tflite_float16", _float16, np.float16)
DYNAMIC = _technique("tflite_dynamic", _dynamic, np.int8)
INT8 = _technique("tflite_int8", _int8, np.int8)
