"""`tensorrt_*`: a SavedModel for TensorFlow Serving on a GPU, made by TF-TRT.

The real converter is called, and what it says is recorded. It needs a GPU and libnvinfer 8.6, which TensorFlow 2.16 is
linked against. Without libnvinfer the converter says that TensorFlow was "not built with TensorRT support", which is
not so; what is missing is said beside its own words. Asking TensorFlow for the loaded version of TensorRT aborts the
process where there is none: nothing here asks.
"""

from __future__ import annotations

import ctypes.util
from collections.abc import Iterator
from functools import partial
from typing import Any

import tensorflow as tf

from components.errors import OptimizationError
from components.optimizer import graphs, nodes
from components.optimizer.report import Check
from components.optimizer.variants.base import Piece, Technique, Workshop
from components.optimizer.variants.calibration import raw_batches

_MIN_SEGMENT = 3


def _pre_check(workshop: Workshop, piece: Piece) -> str:
    return "" if piece.has_servable else "it converts a SavedModel"


def missing() -> list[str]:
    """What this machine lacks for TF-TRT, in plain words."""
    lacks = []
    if not tf.sysconfig.get_build_info().get("is_tensorrt_build"):
        lacks.append(f"TensorFlow {tf.__version__} is built without TensorRT (the last that has it is 2.17)")
    if ctypes.util.find_library("nvinfer") is None:
        lacks.append("libnvinfer is not installed (TensorFlow 2.16 wants TensorRT 8.6)")
    if not tf.config.list_physical_devices("GPU"):
        lacks.append("there is no GPU")
    return lacks


def _transform(precision: str, workshop: Workshop, piece: Piece, made: Piece) -> None:
    try:
        _convert(precision, workshop, piece, made)
    except (RuntimeError, ValueError, tf.errors.OpError) as error:
        lacks = "; ".join(missing())
        raise OptimizationError(
            f"TF-TRT's converter says: {type(error).__name__}: {str(error).strip()}",
            f"What is missing on this machine: {lacks}." if lacks else "",
        ) from error


def _convert(precision: str, workshop: Workshop, piece: Piece, made: Piece) -> None:
    converter = tf.experimental.tensorrt.Converter(
        input_saved_model_dir=piece.servable,
        conversion_params=tf.experimental.tensorrt.ConversionParams(
            precision_mode=precision, minimum_segment_size=_MIN_SEGMENT, use_calibration=precision == "INT8"
        ),
        use_dynamic_shape=True,
        dynamic_shape_profile_strategy="Range",
    )
    if precision == "INT8":
        converter.convert(calibration_input_fn=lambda: _rows(workshop))
    else:
        converter.convert()
    converter.build(input_fn=lambda: _profiles(workshop))
    converter.save(made.servable)
    graphs.copy_extra_assets(piece.servable, made.servable)


def _rows(workshop: Workshop) -> Iterator[tuple[Any]]:
    for batch in raw_batches(workshop):
        yield (tf.constant(batch),)


def _profiles(workshop: Workshop) -> Iterator[tuple[Any]]:
    """One batch of each measured size: TensorRT builds its shape profile from their range."""
    rows = next(raw_batches(workshop))
    for size in workshop.config.batch_sizes:
        yield (tf.constant([rows[i % len(rows)] for i in range(size)]),)


def _post_check(workshop: Workshop, piece: Piece, made: Piece) -> list[Check]:
    ops = nodes.count_ops(graphs.read_flat(made.servable).graph)
    engines, left = ops.get("TRTEngineOp", 0), ops.get("MatMul", 0)
    return [
        Check(
            name="engines",
            passed=engines > 0,
            detail=f"{engines} TRTEngineOp; {left} MatMul are left to TensorFlow",
            figures={"engines": engines, "matmuls_left": left},
        )
    ]


def _technique(name: str, precision: str) -> Technique:
    return Technique(name, _pre_check, partial(_transform, precision), _post_check)


FP32 = _technique("tensorrt_fp32", "FP32")
FP16 = _technique("tensorrt_fp16", "FP16")
INT8 = _technique("tensorrt_int8", "INT8")
