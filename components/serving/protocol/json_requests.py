"""The body of a `:predict` request in JSON as tensors.

Follows tensorflow_serving/util/json_tensor.cc: the row format (`instances`), the column format (`inputs`), and the
messages of its errors. NumPy only.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from taxiway.components.serving.protocol.api_errors import ApiError, make_invalid_argument_error
from taxiway.components.serving.protocol.json_values import NUMPY, get_converter, is_object, quote_value

Format = Literal["row", "column"]
Types = Mapping[str, str]
"""Alias to dtype: `float`, `double`, `int64`, `string`, ..., as TensorFlow's `DataTypeString` names them."""

MAX_RANK = 32
"""NumPy holds no tensor of more dimensions."""
_MAY_BE_TOO_LARGE = re.compile(r"[0-9]{309}|[eE]\+?[0-9]{3}")
"""Stands in every text with a number that no double holds."""


@dataclass(frozen=True)
class PredictBody:
    """The body of a `:predict` request: its format, the tensors by alias."""

    format: Format
    inputs: dict[str, np.ndarray]


def parse_body(body: bytes | bytearray) -> dict[str, Any]:
    """The JSON object in a request's body. NaN and Infinity are numbers here; what follows the object is ignored.

    Raises:
        ApiError: The body is no JSON object.
    """
    if not body:
        raise make_invalid_argument_error("JSON Parse error: The document is empty")
    try:
        text = body.decode("utf-8")
        decoder = _CAREFUL_DECODER if _MAY_BE_TOO_LARGE.search(text) else _DECODER
        document, _ = decoder.raw_decode(text, len(text) - len(text.lstrip(" \t\r\n\ufeff")))
    except UnicodeDecodeError as error:
        raise make_invalid_argument_error(
            f"JSON Parse error: Invalid encoding in string. at offset: {error.start}"
        ) from error
    except json.JSONDecodeError as error:
        message = "Invalid value." if error.msg == "Expecting value" else f"{error.msg}."
        raise make_invalid_argument_error(f"JSON Parse error: {message} at offset: {error.pos}") from error
    except RecursionError as error:
        raise make_invalid_argument_error("JSON Parse error: The document is nested too deeply.") from error
    if not isinstance(document, dict):
        raise make_invalid_argument_error(f"JSON Value: {quote_value(document)} Is not object")
    return document


def _parse_integer(text: str) -> int:
    _parse_float(text)  # first: Python reads no integer of more than 4,300 digits
    return int(text)


def _parse_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise make_invalid_argument_error(f"JSON Parse error: Number too big to be stored in double: {text[:32]}")
    return number


_DECODER = json.JSONDecoder()
_CAREFUL_DECODER = json.JSONDecoder(parse_int=_parse_integer, parse_float=_parse_float)


def read_signature_name(document: Mapping[str, Any]) -> str:
    """The signature that a body names; empty for the default one.

    Raises:
        ApiError: The name is no string.
    """
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        why = "not formatted correctly. 'signature_name' key must be a string value."
        raise make_invalid_argument_error(f"JSON Value: {quote_value(document)} {why}")
    return name


def parse_predict(document: Mapping[str, Any], types: Types) -> PredictBody:
    """The tensors of a body.

    Args:
        document: Result of `parse_body`.
        types: Dtypes of the signature's inputs.

    Raises:
        ApiError: The values do not fit the types.
    """
    has_rows, has_columns = "instances" in document, "inputs" in document
    if has_rows and has_columns:
        why = "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
        raise make_invalid_argument_error(f"JSON Value: {quote_value(document)} {why}")
    if has_rows:
        rows = document["instances"]
        if not isinstance(rows, list):
            why = "Expecting 'instances' to be an list/array"
            raise make_invalid_argument_error(f"JSON Value: {quote_value(document)} {why}")
        if not rows:
            raise make_invalid_argument_error(f"JSON Value: {quote_value(document)} No values in 'instances' array")
        return PredictBody("row", _parse_rows(rows, types))
    if has_columns:
        return PredictBody("column", _parse_columns(document["inputs"], types))
    raise make_invalid_argument_error("Missing 'inputs' or 'instances' key")


# ---- rows ----


def _parse_rows(rows: list[Any], types: Types) -> dict[str, np.ndarray]:
    if not isinstance(rows[0], dict) and len(types) > 1:
        raise make_invalid_argument_error(
            "instances is a plain list, but expecting list of objects as multiple "
            "input tensors required as per tensorinfo_map"
        )
    objects = is_object(rows[0])
    gather = _gather_objects if objects else _gather_values
    flat: dict[str, list[Any]] = {name: [] for name in types}
    shapes: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        gather(number, row, types, flat, shapes)
    return {name: _build_array(flat[name], types[name], [len(rows), *shape]) for name, shape in shapes.items()}


def _gather_objects(
    number: int, row: Any, types: Types, flat: dict[str, list[Any]], shapes: dict[str, list[int]]
) -> None:
    if not is_object(row):
        raise make_invalid_argument_error(f"Expecting object but got list at item {number} of input list")
    for name, value in row.items():
        _add_located(value, name, types, flat, shapes, f"{number} key: {name}")
    if set(row) != set(types):
        raise make_invalid_argument_error(
            f"Failed to process element: {number} of 'instances' list. JSON object: {quote_value(row)} "
            f"keys must be equal to: {','.join(sorted(types))}"
        )


def _gather_values(
    number: int, row: Any, types: Types, flat: dict[str, list[Any]], shapes: dict[str, list[int]]
) -> None:
    if is_object(row):
        raise make_invalid_argument_error(f"Expecting value/list but got object at item {number} of input list")
    _add_located(row, _get_only_input(types), types, flat, shapes, str(number))


def _get_only_input(types: Types) -> str:
    if not types:
        raise make_invalid_argument_error("values are given, but the signature has no input")
    return next(iter(types))


def _add_located(
    value: Any, name: str, types: Types, flat: dict[str, list[Any]], shapes: dict[str, list[int]], where: str
) -> None:
    try:
        _add_value(value, name, types, flat, shapes)
    except ApiError as error:
        problem = f"Error: INVALID_ARGUMENT: {error.message}"
        raise make_invalid_argument_error(
            f"Failed to process element: {where} of 'instances' list. {problem}"
        ) from error


def _add_value(value: Any, name: str, types: Types, flat: dict[str, list[Any]], shapes: dict[str, list[int]]) -> None:
    if name not in types:
        raise make_invalid_argument_error(f"JSON object: does not have named input: {name}")
    shape = _infer_shape(value)
    before = len(flat[name])
    _fill_values(value, 0, shape, get_converter(types[name]), flat[name])
    expected = shapes.setdefault(name, shape)
    size, wanted = len(flat[name]) - before, math.prod(expected)
    if size != wanted:
        raise make_invalid_argument_error(f"Expecting tensor size: {wanted} but got: {size}")
    if shape != expected:
        raise make_invalid_argument_error(f"Expecting shape {_format_shape(expected)} but got: {_format_shape(shape)}")


# ---- columns ----


def _parse_columns(value: Any, types: Types) -> dict[str, np.ndarray]:
    if not is_object(value):
        if len(types) > 1:
            raise make_invalid_argument_error(
                "inputs is a plain value/list, but expecting an object as multiple "
                "input tensors required as per tensorinfo_map"
            )
        name = _get_only_input(types)
        return {name: _parse_tensor(value, types[name])}
    for name in types:
        if name not in value:
            raise make_invalid_argument_error(f"Missing named input: {name} in 'inputs' object.")
    return {name: _parse_tensor(value[name], dtype) for name, dtype in types.items()}


def _parse_tensor(value: Any, dtype: str) -> np.ndarray:
    shape, flat = _infer_shape(value), list[Any]()
    _fill_values(value, 0, shape, get_converter(dtype), flat)
    return _build_array(flat, dtype, shape)


# ---- tensors ----


def _infer_shape(value: Any) -> list[int]:
    """The shape that the first elements of nested lists imply."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    if len(shape) >= MAX_RANK:  # one more is the batch
        said = f"Values are nested {len(shape)} deep"
        raise make_invalid_argument_error(f"{said}, and a tensor has at most {MAX_RANK} dimensions")
    return shape


def _fill_values(value: Any, level: int, shape: list[int], convert: Callable[[Any], Any], flat: list[Any]) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise make_invalid_argument_error(
                f"JSON Value: {quote_value(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        flat.append(convert(value))
        return
    if level >= len(shape):
        raise make_invalid_argument_error(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise make_invalid_argument_error(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for element in value:
        _fill_values(element, level + 1, shape, convert, flat)


def _build_array(flat: list[Any], dtype: str, shape: list[int]) -> np.ndarray:
    with np.errstate(over="ignore"):  # 1e39 as a float is infinity, as in C++
        array = np.empty(len(flat), NUMPY[dtype])
        array[:] = flat if dtype == "string" else np.asarray(flat).astype(NUMPY[dtype]) if flat else []
    return array.reshape(shape)


def _format_shape(shape: list[int]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"
