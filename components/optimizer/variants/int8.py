"""`int8_dynamic` and `int8_static`: TensorFlow's own post-training quantization of the dense layers, opset TF.

Opset TF is plain TensorFlow operations in functions, which TensorFlow Serving runs by default; opset XLA is not.
The servable is about four times smaller, and on CPUs slower than float: there are no int8 kernels behind it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.compiler.mlir.quantization.tensorflow import quantization_options_pb2

from components.contract import SERVING_DEFAULT
from components.optimizer import finetuning, graphs, nodes
from components.optimizer.report import Check
from components.optimizer.variants.base import Piece, Technique, Workshop
from components.optimizer.variants.calibration import feature_batches

_METHODS = quantization_options_pb2.QuantizationMethod
_MIN_ELEMENTS = 64


def _pre_check(workshop: Workshop, piece: Piece) -> str:
    return finetuning.refusal(piece)


def _quantize(workshop: Workshop, piece: Piece, made: Piece, preset: str) -> None:
    """Quantizes the core and writes whole path and core around it: given a graph with vocabulary tables, the quantizer
    ends its process with SIGSEGV."""
    trained = finetuning.load(workshop, piece)
    plain, quantized = str(Path(made.uri, "plain")), str(Path(made.uri, "quantized"))
    finetuning.save_core(trained.keras_model, trained.job, plain, logits=True)
    static = preset.endswith("STATIC_RANGE_INT8")
    _convert(plain, quantized, preset, _features(workshop, trained.keras_model.input_names) if static else None)
    loaded = tf.saved_model.load(quantized)
    signature = loaded.signatures[SERVING_DEFAULT]
    model = finetuning.StandIn(trained.keras_model, lambda features: signature(**features)[finetuning.LOGITS], [loaded])
    finetuning.save_servables(model, trained.job, made)
    for folder in (plain, quantized):
        shutil.rmtree(folder)


def _features(workshop: Workshop, names: list[str]) -> Iterator[dict[str, Any]]:
    for batch in feature_batches(workshop):
        yield {name: batch[name] for name in names}


def _convert(source: str, target: str, preset: str, rows: Iterator[dict[str, Any]] | None) -> None:
    options = quantization_options_pb2.QuantizationOptions(
        quantization_method=_METHODS(preset_method=getattr(_METHODS, preset)),
        op_set=quantization_options_pb2.OpSet.Value("TF"),
        tags=["serve"],
        signature_keys=[SERVING_DEFAULT],
        min_num_elements_for_weights=_MIN_ELEMENTS,
    )
    tf.quantization.experimental.quantize_saved_model(source, target, options, representative_dataset=rows)


def _post_check(workshop: Workshop, piece: Piece, made: Piece) -> list[Check]:
    graph = graphs.read_flat(made.servable).graph
    stored = sum(nodes.elements(n) for n in nodes.constants(graph, tf.int8, _MIN_ELEMENTS))
    ops = nodes.count_ops(graph)
    functions = [f.signature.name for f in graph.library.function if "quantized" in f.signature.name]
    xla = sorted(op for op in ops if op.startswith("Xla"))
    return [
        Check(
            name="int8_constants",
            passed=stored > 0,
            detail=f"{stored} weights are stored as int8",
            figures={"int8_bytes": stored},
        ),
        Check(
            name="quantized_operations",
            passed=bool(functions) and not xla,
            detail=f"{len(functions)} quantized functions, {len(xla)} XLA operations",
            figures={"functions": functions, "xla": xla},
        ),
    ]


def _dynamic(workshop: Workshop, piece: Piece, made: Piece) -> None:
    _quantize(workshop, piece, made, "METHOD_DYNAMIC_RANGE_INT8")


def _static(workshop: Workshop, piece: Piece, made: Piece) -> None:
    _quantize(workshop, piece, made, "METHOD_STATIC_RANGE_INT8")


DYNAMIC = Technique("int8_dynamic", _pre_check, _dynamic, _post_check)
STATIC = Technique("int8_static", _pre_check, _static, _post_check)
