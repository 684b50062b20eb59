"""The registry: every technique's name and the file that holds it. A new technique is one file, one line here, one in
`components.optimizer.config.STAGES`, and one test.

A file is imported when its technique is first asked for: some import converters that take seconds.
"""

from __future__ import annotations

import importlib

from components.optimizer.variants.base import Technique

_HERE = "components.optimizer.variants"

TECHNIQUES: dict[str, str] = {
    "magnitude_pruned": f"{_HERE}.magnitude_pruned:TECHNIQUE",
    "structured_pruned": f"{_HERE}.structured_pruned:TECHNIQUE",
    "sparsity_2_4": f"{_HERE}.sparsity_2_4:TECHNIQUE",
    "quantization_aware": f"{_HERE}.quantization_aware:TECHNIQUE",
    "frozen": f"{_HERE}.frozen:TECHNIQUE",
    "lean_inputs": f"{_HERE}.lean_inputs:TECHNIQUE",
    "float16": f"{_HERE}.float16:TECHNIQUE",
    "int8_weights": f"{_HERE}.int8_weights:TECHNIQUE",
    "int8_dynamic": f"{_HERE}.int8:DYNAMIC",
    "int8_static": f"{_HERE}.int8:STATIC",
    "xla": f"{_HERE}.xla:TECHNIQUE",
    "tflite_float32": f"{_HERE}.tflite:FLOAT32",
    "tflite_float16": f"{_HERE}.tflite:FLOAT16",
    "tflite_dynamic": f"{_HERE}.tflite:DYNAMIC",
    "tflite_int8": f"{_HERE}.tflite:INT8",
    "onnx": f"{_HERE}.onnx:TECHNIQUE",
    "tensorrt_fp32": f"{_HERE}.tensorrt:FP32",
    "tensorrt_fp16": f"{_HERE}.tensorrt:FP16",
    "tensorrt_int8": f"{_HERE}.tensorrt:INT8",
    "tensorrt_engine_fp32": f"{_HERE}.tensorrt_engine:FP32",
    "tensorrt_engine_fp16": f"{_HERE}.tensorrt_engine:FP16",
    "tensorrt_engine_int8": f"{_HERE}.tensorrt_engine:INT8",
}
"""Module and name of each technique."""


def technique(name: str) -> Technique:
    """The technique of that name."""
    module, _, attribute = TECHNIQUES[name].partition(":")
    found: Technique = getattr(importlib.import_module(module), attribute)
    return found
