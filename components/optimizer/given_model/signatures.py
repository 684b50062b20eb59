"""The signatures of a SavedModel, read from its file: nothing is loaded or run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxiway.components.contract import SERVING_DEFAULT
from taxiway.components.errors import OptimizationError, UsageError, suggest_matches
from taxiway.components.refusal import Refusal

SERVE_TAG = "serve"
_INTERNAL = "__saved_model"
STRING = "string"
FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})
INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})
_RAGGED_PARTS, _SPARSE_PARTS = 2, 3

Shape = tuple[int | None, ...]
"""Dimensions, the batch first; None where one is not fixed."""


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a signature.

    Attributes:
        name: Name in requests.
        dtype: TensorFlow's name of the type.
        shape: Shape; None where not even the rank is known.
        tensor: Name of the tensor in the graph; empty of a composite tensor.
    """

    name: str
    dtype: str
    shape: Shape | None
    tensor: str = ""

    def __str__(self) -> str:
        dims = "unknown" if self.shape is None else ", ".join("?" if d is None else str(d) for d in self.shape)
        return f"{self.name} {self.dtype} [{dims}]"


@dataclass(frozen=True)
class SignatureSpec:
    """A signature that answers requests.

    Attributes:
        name: Its name.
        inputs: Inputs by name.
        outputs: Outputs by name.
        refusal: Why rows cannot be given to it; None where they can.
    """

    name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    refusal: Refusal | None = None

    @property
    def fixed_rows(self) -> int | None:
        """The number of rows a call that the signature fixes; None where any number may come."""
        sizes = {spec.shape[0] for spec in self.inputs.values() if spec.shape}
        return max((size for size in sizes if size is not None), default=None)

    @property
    def text_inputs(self) -> list[str]:
        """Names of the inputs that are strings."""
        return sorted(name for name, spec in self.inputs.items() if spec.dtype == STRING)

    @property
    def is_numeric(self) -> bool:
        """Whether neither inputs nor outputs are strings."""
        return all(spec.dtype != STRING for spec in (*self.inputs.values(), *self.outputs.values()))

    def find_split_inputs(self) -> Refusal | None:
        """Why the inputs look like parts of ragged or sparse tensors, as TensorFlow 2 writes those into signatures."""
        for name, spec in sorted(self.inputs.items()):
            parts = [self.inputs[part] for part in (f"{name}_1", f"{name}_2") if part in self.inputs]
            if len(parts) + 1 == _SPARSE_PARTS and _is_sparse(spec, *parts):
                return _refuse_composite(name, "sparse", [name, *(part.name for part in parts)])
            if len(parts) + 1 == _RAGGED_PARTS and _is_vector(parts[0], "int64") and _is_vector(spec, spec.dtype):
                return _refuse_composite(name, "ragged", [name, parts[0].name])
        return None


def _is_vector(spec: TensorSpec, dtype: str) -> bool:
    return spec.dtype == dtype and spec.shape == (None,)


def _is_sparse(indices: TensorSpec, values: TensorSpec, shape: TensorSpec) -> bool:
    sized = shape.dtype == "int64" and shape.shape is not None and len(shape.shape) == 1 and shape.shape[0] is not None
    return sized and indices.dtype == "int64" and indices.shape == (None, shape.shape[0]) and values.shape == (None,)  # type: ignore[index]


def _refuse_composite(name: str, kind: str, parts: list[str]) -> Refusal:
    told = f", which the signature takes as {', '.join(parts)}" if len(parts) > 1 else ""
    return Refusal(
        f"its input {name!r} is a {kind} tensor{told}: rows of it do not lie one behind another in a tensor, so they "
        "cannot be drawn, batched and timed as rows. Export a signature that takes dense tensors or serialized "
        "tf.Example, and makes the tensor inside"
    )


def read_signatures(servable: str | Path) -> dict[str, SignatureSpec]:
    """The signatures of a SavedModel that answer requests, by name.

    Raises:
        OptimizationError: it is no SavedModel, or has none.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        saved = saved_model_pb2.SavedModel.FromString(Path(servable, "saved_model.pb").read_bytes())
    except (OSError, DecodeError) as error:
        remedy = "Give the folder of a TensorFlow SavedModel."
        raise OptimizationError(f"{servable} is no SavedModel: {error}", remedy) from error
    tagged = [graph for graph in saved.meta_graphs if SERVE_TAG in graph.meta_info_def.tags]
    if not tagged or tagged[0] is not saved.meta_graphs[0]:
        tags = "; ".join(", ".join(graph.meta_info_def.tags) or "none" for graph in saved.meta_graphs)
        raise OptimizationError(
            f"The first graph of {servable} does not have the tag {SERVE_TAG!r}; the tags are: {tags}.",
            "Export the model for serving.",
        )
    found = {name: _read_signature(name, proto) for name, proto in tagged[0].signature_def.items()}
    usable = {name: spec for name, spec in found.items() if not name.startswith(_INTERNAL) and spec.outputs}
    if not usable:
        raise OptimizationError(
            f"{servable} has no signature that answers requests.",
            "Save it with signatures=..., as tf.saved_model.save and Keras' export do.",
        )
    return usable


def _read_signature(name: str, proto: Any) -> SignatureSpec:
    composite = [(alias, info) for alias, info in (*proto.inputs.items(), *proto.outputs.items()) if not info.name]
    kinds = {"coo_sparse": "sparse", "composite_tensor": "ragged or other composite"}
    refusals = [
        _refuse_composite(alias, kinds.get(info.WhichOneof("encoding") or "", "composite"), [])
        for alias, info in composite
    ]
    inputs, outputs = (
        {alias: _read_spec(alias, info) for alias, info in side.items()} for side in (proto.inputs, proto.outputs)
    )
    refusal = refusals[0] if refusals else _refuse_without_rows(inputs, outputs)
    return SignatureSpec(name, inputs, outputs, refusal)


def _refuse_without_rows(inputs: Mapping[str, TensorSpec], outputs: Mapping[str, TensorSpec]) -> Refusal | None:
    """Refuses a signature that takes nothing, or that takes or gives a single value, which no rows lie in."""
    if not inputs:
        return Refusal("it takes no input")
    for kind, specs in (("input", inputs), ("output", outputs)):
        single = next((spec for spec in specs.values() if spec.shape == ()), None)
        if single:
            return Refusal(
                f"its {kind} {single.name!r} is a single value, and variants are compared and timed by rows. Export a "
                "signature whose inputs and outputs begin with the batch"
            )
    return None


def _read_spec(alias: str, info: Any) -> TensorSpec:
    import tensorflow as tf

    dtype = tf.dtypes.as_dtype(info.dtype).name if info.dtype else "unknown"
    shape = None
    if not info.tensor_shape.unknown_rank:
        shape = tuple(dim.size if dim.size >= 0 else None for dim in info.tensor_shape.dim)
    return TensorSpec(alias, dtype, shape, info.name)


def choose_signature(signatures: Mapping[str, SignatureSpec], wanted: str) -> SignatureSpec | None:
    """The signature that is meant; None where there are several and nothing says which.

    Args:
        signatures: The model's.
        wanted: Name that was given; empty: `serving_default`, or the only one.

    Raises:
        UsageError: there is none of that name, or rows cannot be given to it.
    """
    name = wanted or (SERVING_DEFAULT if SERVING_DEFAULT in signatures else next(iter(signatures)))
    if not wanted and name != SERVING_DEFAULT and len(signatures) > 1:
        return None
    if name not in signatures:
        raise UsageError(f"The model has no signature {name!r}.", suggest_matches(name, signatures))
    spec = signatures[name]
    if spec.refusal:
        others = ", ".join(sorted(each.name for each in signatures.values() if not each.refusal))
        raise UsageError(
            f"The signature {name!r} cannot be optimized: {spec.refusal}.",
            f"Others of this model that can be: {others} (--signature)." if others else "",
        )
    return spec
