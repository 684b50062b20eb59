"""Tensors of requests and answers: what a message says, checked before anything is made of it.

TensorFlow fills a tensor whose message holds fewer values than its shape says, so 60 bytes may become gigabytes. Here
the values are as many as the shape says, and the limit on a message bounds what it becomes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from taxiway.components.serving.protocol.api_errors import make_invalid_argument_error
from taxiway.components.serving.protocol.json_requests import MAX_RANK
from taxiway.components.serving.protocol.limits import Limits

VALUE_OF_TEXT = 40
"""Bytes of a text's object beside its text."""
_FIELDS = {"float32": "float_val", "float64": "double_val", "int64": "int64_val", "bool": "bool_val"}
_FIELDS |= {"uint32": "uint32_val", "uint64": "uint64_val", "string": "string_val"}
_FIELDS |= dict.fromkeys(("int32", "int16", "int8", "uint8", "uint16"), "int_val")
_FIELDS |= dict.fromkeys(("float16", "bfloat16"), "half_val")


def decode_tensor(alias: str, proto: Any, info: Any, limits: Limits) -> np.ndarray:
    """A tensor of a request.

    Args:
        alias: Alias of the input, for errors.
        proto: A `TensorProto`.
        info: The signature's `TensorInfo` of it.
        limits: Limits of the server; here on rows.

    Raises:
        ApiError: INVALID_ARGUMENT: its type is not the signature's, or its values are not as many as its shape says.
    """
    if proto.dtype != info.dtype:
        got, expected = get_dtype_name(proto.dtype), get_dtype_name(info.dtype)
        raise make_invalid_argument_error(f"input {alias}: expects {expected}, but {got} is provided")
    check_values(alias, proto, limits)
    outside = make_invalid_argument_error(f"input {alias}: a value is outside of {get_dtype_name(proto.dtype)}")
    try:
        values = tf.make_ndarray(proto)
    except OverflowError as error:
        raise outside from error
    except (ValueError, TypeError) as error:
        raise make_invalid_argument_error(f"input {alias} cannot be parsed: {error}") from error
    if proto.int_val and not np.array_equal(values.ravel(), proto.int_val):  # NumPy 1 cuts them in silence
        raise outside
    return values


def get_dtype_name(number: int) -> str:
    """TensorFlow's name of a type's number, whatever the number is."""
    try:
        return str(tf.dtypes.as_dtype(number).name)
    except (TypeError, KeyError, ValueError):
        is_known = number in types_pb2.DataType.values()
        return types_pb2.DataType.Name(number) if is_known else f"the unknown type {number}"


def check_values(alias: str, proto: Any, limits: Limits) -> None:
    """Raises:
    ApiError: The values in a `TensorProto` are not as many as its shape says, or it has too many rows.
    """
    sizes = _check_sizes(alias, proto.tensor_shape, limits)
    count, kind = math.prod(sizes), get_dtype_name(proto.dtype)
    if kind not in _FIELDS:
        raise make_invalid_argument_error(f"input {alias}: values of type {kind} are not taken")
    given = _count_values(proto, kind)
    if given != count:
        raise make_invalid_argument_error(
            f"input {alias}: the shape {sizes} says {count} values, but the message holds {given:.10g}"
        )


def _check_sizes(alias: str, shape: Any, limits: Limits) -> list[int]:
    if shape.unknown_rank or len(shape.dim) > MAX_RANK:
        said = "an unknown rank" if shape.unknown_rank else f"{len(shape.dim)} dimensions (at most {MAX_RANK})"
        raise make_invalid_argument_error(f"input {alias}: a tensor of {said} is not taken")
    sizes = [dim.size for dim in shape.dim]
    # Without values only the limit on rows bounds the sizes, and a graph may make values of the sizes.
    if any(size < 0 for size in sizes) or (0 in sizes and max(sizes) > limits.rows):
        raise make_invalid_argument_error(f"input {alias}: a tensor of shape {sizes} is not taken")
    return sizes


def _count_values(proto: Any, kind: str) -> float:
    """How many values a message holds. What TensorFlow does not read does not count."""
    if not proto.tensor_content:
        return len(getattr(proto, _FIELDS[kind]))
    if kind == "string":
        raise make_invalid_argument_error("texts are taken as string_val, not as tensor_content")
    return len(proto.tensor_content) / tf.dtypes.as_dtype(proto.dtype).size


def check_rows(signature: Any, inputs: Mapping[str, np.ndarray], sent: Iterable[str], limits: Limits) -> int:
    """The number of rows of a request: the first size of every input that has one.

    Args:
        signature: A `SignatureDef`.
        inputs: Alias to array.
        sent: Aliases that the client sent; a default of the signature may stand for every row.
        limits: Limits of the server; here on rows.

    Raises:
        ApiError: Columns differ in length (TensorFlow would spread one value beside many), or there are too many rows.
    """
    lengths = {alias: len(inputs[alias]) for alias in sorted(sent) if np.ndim(inputs[alias])}
    columns = {alias: length for alias, length in lengths.items() if _has_rows(signature.inputs[alias])}
    if len(set(columns.values())) > 1:
        shortest, longest = min(columns, key=columns.__getitem__), max(columns, key=columns.__getitem__)
        raise make_invalid_argument_error(
            f"inputs differ in their number of rows: {shortest} has {columns[shortest]}, {longest} has "
            f"{columns[longest]}; send a value for every row"
        )
    rows = max(lengths.values(), default=1)
    if rows > limits.rows:
        raise make_invalid_argument_error(
            f"a request of {rows} rows, and at most {limits.rows} are taken at once: send fewer, "
            "or start the server with a larger --max-rows"
        )
    return rows


def _has_rows(info: Any) -> bool:
    shape = info.tensor_shape
    return not shape.unknown_rank and len(shape.dim) > 0 and shape.dim[0].size < 0


def estimate_answer_bytes(signature: Any, outputs: Iterable[str], rows: int) -> int:
    """At least the size of an answer's arrays, by the sizes that the signature states."""
    return rows * sum(_count_row_bytes(signature.outputs[alias]) for alias in outputs)


def _count_row_bytes(info: Any) -> int:
    shape = info.tensor_shape
    sizes = [dim.size for dim in shape.dim[1:] if dim.size >= 0]
    kind = get_dtype_name(info.dtype)
    size = tf.dtypes.as_dtype(info.dtype).size if kind in _FIELDS and kind != "string" else VALUE_OF_TEXT
    return int(math.prod(sizes) * size)


def count_array_bytes(values: np.ndarray) -> int:
    """Size of an answer's array, texts included."""
    values = np.asarray(values)
    if values.dtype != np.object_:
        return int(values.nbytes)
    return int(sum(VALUE_OF_TEXT + len(value) for value in values.ravel().tolist()))


def encode_tensor(values: np.ndarray, dtype: int) -> Any:
    """A tensor with its values in the typed field, as TensorFlow Serving answers."""
    kind = tf.dtypes.as_dtype(dtype)
    if kind.name not in _FIELDS or _FIELDS[kind.name] == "half_val":
        return tf.make_tensor_proto(values, kind)
    proto = tensor_pb2.TensorProto(dtype=dtype)
    for size in np.shape(values):
        proto.tensor_shape.dim.add(size=size)
    getattr(proto, _FIELDS[kind.name]).extend(np.ravel(values).tolist())
    return proto
