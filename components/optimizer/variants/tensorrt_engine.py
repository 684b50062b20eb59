"""`tensorrt_engine_*`: the model core as a TensorRT engine, through ONNX, with a Triton repository around it.

With TensorRT-RTX (the extra `tensorrt-rtx`) engines are built on machines
without a GPU too; loading and running one needs a GPU. Networks are strongly typed: the precision is that of the ONNX
graph, so it is set there. INT8 is QDQ: symmetric int8 weights and activations, per channel, no quantized bias.
"""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import onnx

from taxiway.components.errors import OptimizationError
from taxiway.components.optimizer.candidate import CandidateModel, Technique, TechniqueContext
from taxiway.components.optimizer.report import Check
from taxiway.components.optimizer.variants.onnx import convert_core
from taxiway.components.optimizer.variants.shared import triton_repository
from taxiway.components.optimizer.variants.shared.calibration import draw_feature_batches
from taxiway.components.optimizer.variants.shared.pre_checks import refuse_without_core
from taxiway.components.optimizer.variants.shared.sparsity_pattern import holds_pattern
from taxiway.components.refusal import Refusal

FILE = "model.plan"
_MODULES = ("tensorrt_rtx", "tensorrt_rtx_bindings", "tensorrt")
_GRAPH_FILE = "engine.onnx"


def import_tensorrt() -> Any:
    """TensorRT's Python module: RTX where it is installed.

    Raises:
        OptimizationError: none is installed.
    """
    problems = []
    for name in _MODULES:
        try:
            _load_libraries()
            return importlib.import_module(name)
        except (ImportError, OSError) as error:
            problems.append(f"{name}: {error}")
    raise OptimizationError(
        f"TensorRT is not installed: {'; '.join(problems)}.",
        "Install the extra: taxiway[tensorrt-rtx]. It builds engines on a machine without a GPU too.",
    )


def _pre_check(context: TechniqueContext, candidate: CandidateModel) -> Refusal | None:
    refusal = refuse_without_core(context, candidate)
    if refusal:
        return refusal
    try:
        import_tensorrt()
    except OptimizationError as error:
        return Refusal(f"{error.problem} {error.remedy}")
    return None


def _load_libraries() -> None:
    """The bindings' shared libraries lie in a package of their own, outside the loader's path."""
    try:
        package = importlib.import_module("tensorrt_rtx_libs")
    except ImportError:
        return
    for file in sorted(Path(str(package.__file__)).parent.glob("lib*.so*"), key=lambda p: "onnxparser" in p.name):
        ctypes.CDLL(str(file), mode=ctypes.RTLD_GLOBAL)


def _transform_model(
    precision: str, context: TechniqueContext, candidate: CandidateModel, target: CandidateModel
) -> None:
    trt = import_tensorrt()
    graph = str(Path(target.uri, _GRAPH_FILE))
    convert_core(candidate.core, graph, context.signature)
    _PRECISIONS[precision](context, graph)
    plan = build_engine(trt, graph, context.config.batch_sizes[0], context.config.batch_sizes[-1])
    Path(target.uri, FILE).write_bytes(plan)
    name = f"{context.name}_{precision}".lower()
    proto = onnx.load(graph)
    triton_repository.write_repository(
        target.uri, name, str(Path(target.uri, FILE)), proto.graph, context.config.batch_sizes[-1]
    )


def build_engine(trt: Any, graph: str, smallest: int, largest: int) -> bytes:
    """Builds an engine for batches from `smallest` to `largest` rows.

    Raises:
        OptimizationError: the parser or the builder refuses, with their own words.
    """
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(Path(graph).read_bytes()):
        parser_errors = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
        raise OptimizationError(f"TensorRT's ONNX parser refuses the graph: {parser_errors}")
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.set_flag(trt.BuilderFlag.SPARSE_WEIGHTS)  # looks for the 2:4 pattern; a kernel without it stays dense
    config.add_optimization_profile(_build_profile(builder, network, smallest, largest))
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise OptimizationError("TensorRT's builder made no engine; the log has its messages.")
    return bytes(plan)


def _build_profile(builder: Any, network: Any, smallest: int, largest: int) -> Any:
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        tensor = network.get_input(i)
        rest = tuple(tensor.shape)[1:]
        profile.set_shape(tensor.name, (smallest, *rest), (largest, *rest), (largest, *rest))
    return profile


def _keep_fp32(context: TechniqueContext, graph: str) -> None:
    """The graph is float32 already."""


def _convert_to_fp16(context: TechniqueContext, graph: str) -> None:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(graph), keep_io_types=True), graph)


def _quantize_to_int8(context: TechniqueContext, graph: str) -> None:
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        """Calibration rows in onnxruntime's form."""

        def __init__(self) -> None:
            names = {value.name for value in onnx.load(graph).graph.input}
            self.rows: Iterator[Any] = (
                {k: v for k, v in b.items() if k in names} for b in draw_feature_batches(context)
            )

        def get_next(self) -> Any:
            return next(self.rows, None)

    quantization.quantize_static(
        graph,
        graph,
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QInt8,
        weight_type=quantization.QuantType.QInt8,
        op_types_to_quantize=["MatMul", "Gemm"],
        extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
    )


_PRECISIONS = {"fp32": _keep_fp32, "fp16": _convert_to_fp16, "int8": _quantize_to_int8}
_EXPECTED = {"fp32": "FLOAT", "fp16": "FLOAT16", "int8": "INT8"}


def _post_check(
    precision: str, context: TechniqueContext, candidate: CandidateModel, target: CandidateModel
) -> list[Check]:
    graph = onnx.load(str(Path(target.uri, _GRAPH_FILE))).graph
    types: dict[str, int] = {}
    for weight in graph.initializer:
        kind = onnx.TensorProto.DataType.Name(weight.data_type)
        types[kind] = types.get(kind, 0) + len(weight.raw_data)
    plan = Path(target.uri, FILE).stat().st_size
    kernels = [onnx.numpy_helper.to_array(w) for w in graph.initializer if len(w.dims) == 2 and min(w.dims) > 1]
    sparse = sum(holds_pattern(kernel) for kernel in kernels)
    trt = import_tensorrt()
    return [
        Check(
            name="engine_built",
            passed=plan > 0,
            detail=f"{trt.__name__} {trt.__version__} built an engine of {plan} bytes for batches of "
            f"{context.config.batch_sizes[0]} to {context.config.batch_sizes[-1]} rows; it runs on a GPU only; "
            f"{sparse} of {len(kernels)} matrices hold the 2:4 pattern",
            figures={"engine_bytes": plan, "matrices": len(kernels), "sparse_2_4": sparse},
        ),
        Check(
            name=f"weights_are_{precision}",
            passed=types.get(_EXPECTED[precision], 0) >= max(n for kind, n in types.items() if kind != "INT64"),
            detail=f"bytes of the ONNX graph's weights by type: {types}",
            figures=dict(types),
        ),
    ]


def _build_technique(precision: str) -> Technique:
    name = f"tensorrt_engine_{precision}"
    return Technique(name, _pre_check, partial(_transform_model, precision), partial(_post_check, precision))


FP32 = _build_technique("fp32")
FP16 = _build_technique("fp16")
INT8 = _build_technique("int8")
