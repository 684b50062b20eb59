"""`onnx`: the model core as an ONNX file, for onnxruntime and Triton."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import tf2onnx

from taxiway.components.optimizer.candidate import CandidateModel, Technique, TechniqueContext
from taxiway.components.optimizer.graphs import rewrites, saved_model
from taxiway.components.optimizer.report import Check
from taxiway.components.optimizer.variants.shared import triton_repository
from taxiway.components.optimizer.variants.shared.pre_checks import refuse_without_core

FILE = "model.onnx"
OPSET = 18


def convert_core(core: str, file: str, signature: str) -> None:
    """Converts a core's SavedModel; inputs and outputs keep the names of its signature."""
    model = saved_model.run_grappler(saved_model.load_frozen(core))
    model = model.with_graph(_remove_hints(model.graph))
    definition = model.meta_graph.signature_def[signature]
    inputs = {tensor.name: name for name, tensor in definition.inputs.items()}
    outputs = {tensor.name: name for name, tensor in definition.outputs.items()}
    proto, _ = tf2onnx.convert.from_graph_def(
        model.graph, input_names=list(inputs), output_names=list(outputs), opset=OPSET
    )
    _rename_tensors(proto.graph, inputs | outputs)
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    onnx.save(proto, file)


def _remove_hints(graph_def: Any) -> Any:
    """A graph without the hints that Grappler leaves, some of which tf2onnx cannot read."""
    result = rewrites.make_kernels_constant(graph_def)
    for node in result.node:
        for name in [key for key in node.attr if key.startswith("_")]:
            del node.attr[name]
    return result


def _rename_tensors(graph: Any, names: dict[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)


def _transform_model(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> None:
    file = str(Path(target.uri, FILE))
    convert_core(candidate.core, file, context.signature)
    graph = onnx.load(file).graph
    triton_repository.write_repository(
        target.uri, f"{context.name}_onnx".lower(), file, graph, context.config.batch_sizes[-1]
    )


def _post_check(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> list[Check]:
    proto = onnx.load(str(Path(target.uri, FILE)))
    onnx.checker.check_model(proto)
    ops: dict[str, int] = {}
    for node in proto.graph.node:
        ops[node.op_type] = ops.get(node.op_type, 0) + 1
    return [
        Check(
            name="valid",
            passed=True,  # check_model raises otherwise
            detail=f"onnx.checker accepts it: opset {OPSET}, {len(proto.graph.node)} nodes",
            figures={"operations": ops},
        )
    ]


TECHNIQUE = Technique("onnx", refuse_without_core, _transform_model, _post_check)
