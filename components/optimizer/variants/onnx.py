"""`onnx`: the model core as an ONNX file, for onnxruntime and Triton."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import tf2onnx

from components.contract import SERVING_DEFAULT
from components.optimizer import graphs, peepholes, triton
from components.optimizer.report import Check
from components.optimizer.variants.base import Piece, Technique, Workshop

FILE = "model.onnx"
OPSET = 18


def _pre_check(workshop: Workshop, piece: Piece) -> str:
    return "" if piece.has_core else "it converts the model core, which is known for Taxiway's own models only"


def convert(core: str, file: str) -> None:
    """Converts a core's SavedModel; inputs and outputs keep the names of its signature."""
    model = graphs.optimize(graphs.load_frozen(core))
    model = model.with_graph(_plain(model.graph))
    signature = model.meta_graph.signature_def[SERVING_DEFAULT]
    inputs = {tensor.name: name for name, tensor in signature.inputs.items()}
    outputs = {tensor.name: name for name, tensor in signature.outputs.items()}
    proto, _ = tf2onnx.convert.from_graph_def(
        model.graph, input_names=list(inputs), output_names=list(outputs), opset=OPSET
    )
    _rename(proto.graph, inputs | outputs)
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    onnx.save(proto, file)


def _plain(graph_def: Any) -> Any:
    """A graph without the hints that Grappler leaves, some of which tf2onnx cannot read."""
    result = peepholes.bind_kernels(graph_def)
    for node in result.node:
        for name in [key for key in node.attr if key.startswith("_")]:
            del node.attr[name]
    return result


def _rename(graph: Any, names: dict[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)


def _transform(workshop: Workshop, piece: Piece, made: Piece) -> None:
    file = str(Path(made.uri, FILE))
    convert(piece.core, file)
    graph = onnx.load(file).graph
    triton.write_repository(made.uri, f"{workshop.label}_onnx".lower(), file, graph, workshop.config.batch_sizes[-1])


def _post_check(workshop: Workshop, piece: Piece, made: Piece) -> list[Check]:
    proto = onnx.load(str(Path(made.uri, FILE)))
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


TECHNIQUE = Technique("onnx", _pre_check, _transform, _post_check)
