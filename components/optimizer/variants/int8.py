"""`int8_dynamic` and `int8_static`: TensorFlow's own post-training quantization of the dense layers, opset TF.

Opset TF is plain TensorFlow operations in functions, which TensorFlow Serving runs by default; opset XLA is not.
The servable is about four times smaller, and on CPUs slower than float: there are no int8 kernels behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from components.contract import EXAMPLES_INPUT, SERVING_DEFAULT
from components.optimizer import graphs
from components.optimizer.report import Check
from components.optimizer.variants.base import Piece, Technique, Workshop
from components.optimizer.variants.calibration import feature_batches, raw_batches

quantization = tf.quantization.experimental
_METHODS = quantization.QuantizationMethod
_MIN_ELEMENTS = 64


def _pre_check(workshop: Workshop, piece: Piece) -> str:
    if not (Path(piece.servable, "variables").is_dir() or piece.trainable):
        return "the quantizer reads a SavedModel with variables; apply it before the graph is frozen"
    return ""


def _quantize(workshop: Workshop, piece: Piece, made: Piece, preset: str) -> None:
    """Whole path and core. Static ranges come from raw training examples for the one, transformed ones for the other."""
    static = preset.endswith("STATIC_RANGE_INT8")
    raw = ({EXAMPLES_INPUT: batch} for batch in raw_batches(workshop)) if static else None
    _convert(piece.servable, made.servable, preset, raw)
    graphs.copy_extra_assets(piece.servable, made.servable)
    if piece.has_core:
        names = set(_input_names(piece.core))
        rows = feature_batches(workshop) if static else ()
        features = ({k: v for k, v in batch.items() if k in names} for batch in rows) if static else None
        _convert(piece.core, made.core, preset, features)


def _convert(source: str, target: str, preset: str, rows: Iterator[dict[str, Any]] | None) -> None:
    signatures = sorted(tf.saved_model.load(source).signatures) if rows is None else [SERVING_DEFAULT]
    options = quantization.QuantizationOptions(
        quantization_method=_METHODS(preset_method=getattr(_METHODS, preset)),
        op_set=quantization.OpSet.Value("TF"),
        tags=["serve"],
        signature_keys=signatures,
        min_num_elements_for_weights=_MIN_ELEMENTS,
    )
    quantization.quantize_saved_model(source, target, options, representative_dataset=rows)


def _input_names(servable: str) -> list[str]:
    return sorted(graphs.read_flat(servable).meta_graph.signature_def[SERVING_DEFAULT].inputs)


def _post_check(workshop: Workshop, piece: Piece, made: Piece) -> list[Check]:
    graph = graphs.read_flat(made.servable).graph
    stored = sum(graphs.elements(n) for n in graphs.constants(graph, tf.int8, _MIN_ELEMENTS))
    ops = graphs.count_ops(graph)
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
