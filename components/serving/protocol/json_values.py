"""The values of tensors in JSON: what each dtype takes, and how bytes are written.

Follows tensorflow_serving/util/json_tensor.cc: the object `{"b64": ...}` stands for bytes that are no UTF-8. NumPy
only; dtypes go by the names of `DataType`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from taxiway.components.serving.protocol.api_errors import ApiError, ErrorCode, make_invalid_argument_error

NUMPY = {"float": np.float32, "double": np.float64, "bool": np.bool_, "string": np.object_}
_INTEGERS = ("int8", "uint8", "int16", "int32", "uint32", "int64", "uint64")
NUMPY |= {name: getattr(np, name) for name in _INTEGERS}
_INTEGER_RANGES = {name: (int(np.iinfo(name).min), int(np.iinfo(name).max)) for name in _INTEGERS}
_DEBUG_BYTES = 256


def get_converter(dtype: str) -> Callable[[Any], Any]:
    """The function from a JSON value to a value of the dtype; it raises `ApiError` where the value is none.

    Raises:
        ApiError: JSON has no values of that dtype.
    """
    if dtype not in _CONVERTERS:
        raise ApiError(ErrorCode.UNIMPLEMENTED, f"Conversion of JSON values to type: {dtype}")
    return _CONVERTERS[dtype]


def _make_float_converter(dtype: str) -> Callable[[Any], Any]:
    def convert_number(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _make_type_error(value, dtype)
        return float(value)

    return convert_number


def _make_integer_converter(dtype: str) -> Callable[[Any], Any]:
    low, high = _INTEGER_RANGES[dtype]

    def convert_integer(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _make_type_error(value, dtype)
        return value

    return convert_integer


def _convert_boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _make_type_error(value, "bool")
    return value


def _convert_string(value: Any) -> bytes:
    if isinstance(value, str):
        try:
            return value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise make_invalid_argument_error("JSON Parse error: The surrogate pair in string is invalid.") from error
    if isinstance(value, dict):
        return _decode_base64(value)
    raise _make_type_error(value, "string")


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "float": _make_float_converter("float"),
    "double": _make_float_converter("double"),
    "bool": _convert_boolean,
    "string": _convert_string,
    **{name: _make_integer_converter(name) for name in _INTEGER_RANGES},
}


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def is_object(value: Any) -> bool:
    """Whether a JSON value is an object, and not the one that stands for bytes."""
    return isinstance(value, dict) and not _is_base64(value)


def _decode_base64(value: dict[str, Any]) -> bytes:
    if not _is_base64(value):
        raise make_invalid_argument_error(f"JSON Value: {quote_value(value)} not formatted correctly for base64 data")
    text = "".join(value["b64"].split())
    try:  # padding is optional there
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise make_invalid_argument_error("Unable to base64 decode") from error


def encode_base64(value: bytes) -> dict[str, str]:
    """Bytes as the JSON object that stands for them."""
    return {"b64": base64.b64encode(value).decode("ascii")}


def encode_bytes(value: bytes) -> str | dict[str, str]:
    """Bytes as text where they are UTF-8, else as the object that stands for them."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return encode_base64(value)


def quote_value(value: Any) -> str:
    """A value as errors show it, cut."""
    try:
        return json.dumps(value, ensure_ascii=False)[:_DEBUG_BYTES]
    except RecursionError:
        return f"{type(value).__name__} that is nested too deeply"


_KINDS = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number", type(None): "Null"}


def _make_type_error(value: Any, dtype: str) -> ApiError:
    kind = str(value) if isinstance(value, bool) else _KINDS[type(value)]
    return make_invalid_argument_error(
        f"JSON Value: {quote_value(value)} Type: {kind} is not of expected type: {dtype}"
    )
