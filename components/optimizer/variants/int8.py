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

from taxiway.components.contract import SERVING_DEFAULT
from taxiway.components.optimizer.candidate import CandidateModel, Technique, TechniqueContext, link_core
from taxiway.components.optimizer.given_model.signatures import read_signatures
from taxiway.components.optimizer.graphs import nodes, saved_model
from taxiway.components.optimizer.report import Check
from taxiway.components.optimizer.variants.shared import finetuning
from taxiway.components.optimizer.variants.shared.calibration import draw_feature_batches
from taxiway.components.optimizer.variants.shared.pre_checks import refuse_untrainable, refuse_without_core
from taxiway.components.refusal import Refusal

_MIN_ELEMENTS = 64
_STATIC = "STATIC_RANGE_INT8"


def _quantize_model(
    context: TechniqueContext, candidate: CandidateModel, target: CandidateModel, preset: str
) -> Refusal | None:
    if context.given:
        _quantize_given(context, candidate, target, preset)
    else:
        _quantize_trained(context, candidate, target, preset)
    if _count_int8_weights(saved_model.read_flat(target.servable).graph):
        return None
    return Refusal(
        f"nothing to do: TensorFlow's quantizer found no product or convolution with {_MIN_ELEMENTS} weights or more"
    )


def _count_int8_weights(graph: Any) -> int:
    return sum(nodes.count_elements(node) for node in nodes.find_constants(graph, tf.int8, _MIN_ELEMENTS))


def _quantize_given(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel, preset: str) -> None:
    """Quantizes a given model as it is: one of numbers has no tables."""
    names = sorted(saved_model.list_signatures(candidate.servable))
    rows = {name: list(draw_feature_batches(context)) for name in names} if preset.endswith(_STATIC) else None
    _run_quantizer(candidate.servable, target.servable, preset, rows, names)
    saved_model.copy_extra_assets(candidate.servable, target.servable)
    link_core(target)


def _quantize_trained(
    context: TechniqueContext, candidate: CandidateModel, target: CandidateModel, preset: str
) -> None:
    """Quantizes the core, and writes the whole path around it: given a graph with vocabulary tables, the quantizer ends
    its process with SIGSEGV."""
    trained = finetuning.load_model(context, candidate)
    plain, quantized = str(Path(target.uri, "plain")), str(Path(target.uri, "quantized"))
    finetuning.save_core(trained.keras_model, trained.job, plain, logits=True)
    rows = _draw_features(context, trained.keras_model.input_names) if preset.endswith(_STATIC) else None
    _run_quantizer(plain, quantized, preset, rows, [SERVING_DEFAULT])
    loaded = tf.saved_model.load(quantized)  # no `SavedModelSession`: the function and its variables are exported again
    signature = loaded.signatures[SERVING_DEFAULT]
    model = finetuning.KerasModelAdapter(
        trained.keras_model, lambda features: signature(**features)[finetuning.LOGITS], [loaded]
    )
    finetuning.save_servables(model, trained.job, target)
    for folder in (plain, quantized):
        shutil.rmtree(folder)


def _draw_features(context: TechniqueContext, names: list[str]) -> Iterator[dict[str, Any]]:
    for batch in draw_feature_batches(context):
        yield {name: batch[name] for name in names}


def _run_quantizer(
    source: str,
    target: str,
    preset: str,
    rows: Iterator[dict[str, Any]] | dict[str, list[dict[str, Any]]] | None,
    signatures: list[str],
) -> None:
    quantization = tf.quantization.experimental
    options = quantization.QuantizationOptions(
        quantization_method=quantization.QuantizationMethod(preset_method=preset),
        op_set="TF",
        tags=["serve"],
        signature_keys=signatures,
        min_num_elements_for_weights=_MIN_ELEMENTS,
    )
    with saved_model.hold_with_constants(source) as folder:
        quantization.quantize_saved_model(folder, target, options, representative_dataset=rows)


def _post_check(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> list[Check]:
    graph = saved_model.read_flat(target.servable).graph
    stored = _count_int8_weights(graph)
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


def _quantize_dynamic(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> Refusal | None:
    return _quantize_model(context, candidate, target, "METHOD_DYNAMIC_RANGE_INT8")


def _quantize_static(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> Refusal | None:
    return _quantize_model(context, candidate, target, "METHOD_STATIC_RANGE_INT8")


def _pre_check(context: TechniqueContext, candidate: CandidateModel) -> Refusal | None:
    if not context.given:
        return refuse_untrainable(context, candidate)
    specs = read_signatures(candidate.servable)
    others = [name for name, spec in specs.items() if spec.inputs.keys() != specs[context.signature].inputs.keys()]
    if others:
        return Refusal(f"the signature {others[0]} has other inputs, for which there are no rows to quantize it by")
    return refuse_without_core(context, candidate)


DYNAMIC = Technique("int8_dynamic", _pre_check, _quantize_dynamic, _post_check)
STATIC = Technique("int8_static", _pre_check, _quantize_static, _post_check)
