"""A Triton model repository beside an exported core: `triton/<name>/config.pbtxt` and `triton/<name>/1/<file>`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import onnx

_TYPES = {
    onnx.TensorProto.FLOAT: "TYPE_FP32",
    onnx.TensorProto.FLOAT16: "TYPE_FP16",
    onnx.TensorProto.INT64: "TYPE_INT64",
    onnx.TensorProto.INT32: "TYPE_INT32",
    onnx.TensorProto.DOUBLE: "TYPE_FP64",
    onnx.TensorProto.INT8: "TYPE_INT8",
    onnx.TensorProto.INT16: "TYPE_INT16",
    onnx.TensorProto.UINT8: "TYPE_UINT8",
    onnx.TensorProto.BOOL: "TYPE_BOOL",
}
PLATFORMS = {".plan": "tensorrt_plan", ".onnx": "onnxruntime_onnx"}


def format_config(name: str, platform: str, graph: onnx.GraphProto, max_batch_size: int) -> str:
    """The `config.pbtxt` of a model with the inputs and outputs of an ONNX graph, batch dimension first.

    A scalar a row is `[batch]` in the graph, which Triton writes as dims `[1]` reshaped to nothing.
    """
    blocks = [_format_tensor("input", value) for value in graph.input] + [
        _format_tensor("output", value) for value in graph.output
    ]
    head = f'name: "{name}"\nplatform: "{platform}"\nmax_batch_size: {max_batch_size}\n'
    return head + "\n".join(blocks) + "\ndynamic_batching { }\n"


def _format_tensor(kind: str, value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    dims = [str(dim.dim_value or -1) for dim in list(tensor.shape.dim)[1:]]
    shape = f"dims: [ {', '.join(dims)} ]" if dims else "dims: [ 1 ]\n  reshape { shape: [ ] }"
    return f'{kind} {{\n  name: "{value.name}"\n  data_type: {_TYPES[tensor.elem_type]}\n  {shape}\n}}'


def write_repository(folder: str, name: str, file: str, graph: onnx.GraphProto, max_batch_size: int) -> Path:
    """Writes the repository under `folder/triton` and returns the model's folder in it."""
    model = Path(folder, "triton", name)
    version = model / "1"
    version.mkdir(parents=True)
    try:
        os.link(file, version / Path(file).name)
    except OSError:  # a file system without hard links
        shutil.copy2(file, version)
    text = format_config(name, PLATFORMS[Path(file).suffix], graph, max_batch_size)
    (model / "config.pbtxt").write_text(text)
    return model
