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

from taxiway.components.errors import OptimizationError
from taxiway.components.optimizer.candidate import CandidateModel, Technique, TechniqueContext
from taxiway.components.optimizer.graphs import nodes, saved_model
from taxiway.components.optimizer.report import Check
from taxiway.components.optimizer.variants.shared.calibration import draw_raw_batches
from taxiway.components.refusal import Refusal
from taxiway.components.stack_seam import find_tensorrt_obstacle

_MIN_SEGMENT = 3


def _pre_check(context: TechniqueContext, candidate: CandidateModel) -> Refusal | None:
    if context.given:
        return Refusal("a model that no pipeline made gets engines through ONNX: tensorrt_engine_fp32, _fp16, _int8")
    obstacle = find_tensorrt_obstacle() or ("" if candidate.has_servable else "it converts a SavedModel")
    return Refusal(obstacle) if obstacle else None


def list_missing_requirements() -> list[str]:
    """What this machine lacks for TF-TRT, in plain words."""
    lacks = []
    if not tf.sysconfig.get_build_info().get("is_tensorrt_build"):
        lacks.append(f"TensorFlow {tf.__version__} is built without TensorRT (the last that has it is 2.17)")
    if ctypes.util.find_library("nvinfer") is None:
        lacks.append("libnvinfer is not installed (TensorFlow 2.16 wants TensorRT 8.6)")
    if not tf.config.list_physical_devices("GPU"):
        lacks.append("there is no GPU")
    return lacks


def _transform_model(
    precision: str, context: TechniqueContext, candidate: CandidateModel, target: CandidateModel
) -> None:
    try:
        _run_converter(precision, context, candidate, target)
    except (RuntimeError, ValueError, tf.errors.OpError) as error:
        lacks = "; ".join(list_missing_requirements())
        raise OptimizationError(
            f"TF-TRT's converter says: {type(error).__name__}: {str(error).strip()}",
            f"What is missing on this machine: {lacks}." if lacks else "",
        ) from error


def _run_converter(
    precision: str, context: TechniqueContext, candidate: CandidateModel, target: CandidateModel
) -> None:
    converter = tf.experimental.tensorrt.Converter(
        input_saved_model_dir=candidate.servable,
        conversion_params=tf.experimental.tensorrt.ConversionParams(
            precision_mode=precision, minimum_segment_size=_MIN_SEGMENT, use_calibration=precision == "INT8"
        ),
        use_dynamic_shape=True,
        dynamic_shape_profile_strategy="Range",
    )
    if precision == "INT8":
        converter.convert(calibration_input_fn=lambda: _draw_calibration_rows(context))
    else:
        converter.convert()
    converter.build(input_fn=lambda: _draw_profile_batches(context))
    converter.save(target.servable)
    saved_model.copy_extra_assets(candidate.servable, target.servable)


def _draw_calibration_rows(context: TechniqueContext) -> Iterator[tuple[Any]]:
    for batch in draw_raw_batches(context):
        yield (tf.constant(batch),)


def _draw_profile_batches(context: TechniqueContext) -> Iterator[tuple[Any]]:
    """One batch of each measured size: TensorRT builds its shape profile from their range."""
    rows = next(draw_raw_batches(context))
    for size in context.config.batch_sizes:
        yield (tf.constant([rows[i % len(rows)] for i in range(size)]),)


def _post_check(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> list[Check]:
    ops = nodes.count_ops(saved_model.read_flat(target.servable).graph)
    engines, left = ops.get("TRTEngineOp", 0), ops.get("MatMul", 0)
    return [
        Check(
            name="engines",
            passed=engines > 0,
            detail=f"{engines} TRTEngineOp; {left} MatMul are left to TensorFlow",
            figures={"engines": engines, "matmuls_left": left},
        )
    ]


def _build_technique(name: str, precision: str) -> Technique:
    return Technique(name, _pre_check, partial(_transform_model, precision), _post_check)


FP32 = _build_technique("tensorrt_fp32", "FP32")
FP16 = _build_technique("tensorrt_fp16", "FP16")
INT8 = _build_technique("tensorrt_int8", "INT8")
