"""TensorFlow Serving's mapping between JSON and tensors, for `:predict`.

Follows tensorflow_serving/util/json_tensor.cc: the row format (`instances`), the column format (`inputs`), base64
objects for bytes, and the messages of its errors. NumPy only; dtypes go by the names of `DataType`.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from components.serving.api_errors import ApiError, Code

Format = Literal["row", "column"]
Types = Mapping[str, str]
"""Alias to dtype: `float`, `double`, `int64`, `string`, ..., as TensorFlow's `DataTypeString` names them."""

MAX_RANK = 32
"""NumPy holds no tensor of more dimensions."""
NUMPY = {"float": np.float32, "double": np.float64, "bool": np.bool_, "string": np.object_}
_INTEGERS = ("int8", "uint8", "int16", "int32", "uint32", "int64", "uint64")
NUMPY |= {name: getattr(np, name) for name in _INTEGERS}
_INTEGER_RANGES = {name: (int(np.iinfo(name).min), int(np.iinfo(name).max)) for name in _INTEGERS}
_DEBUG_BYTES = 256
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
        ApiError: It is none.
    """
    if not body:
        raise _invalid("JSON Parse error: The document is empty")
    try:
        text = body.decode("utf-8")
        decoder = _CAREFUL_DECODER if _MAY_BE_TOO_LARGE.search(text) else _DECODER
        document, _ = decoder.raw_decode(text, len(text) - len(text.lstrip(" \t\r\n\ufeff")))
    except UnicodeDecodeError as error:
        raise _invalid(f"JSON Parse error: Invalid encoding in string. at offset: {error.start}") from error
    except json.JSONDecodeError as error:
        message = "Invalid value." if error.msg == "Expecting value" else f"{error.msg}."
        raise _invalid(f"JSON Parse error: {message} at offset: {error.pos}") from error
    except RecursionError as error:
        raise _invalid("JSON Parse error: The document is nested too deeply.") from error
    if not isinstance(document, dict):
        raise _invalid(f"JSON Value: {debug(document)} Is not object")
    return document


def _parse_integer(text: str) -> int:
    _parse_float(text)  # first: Python reads no integer of more than 4,300 digits
    return int(text)


def _parse_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _invalid(f"JSON Parse error: Number too big to be stored in double: {text[:32]}")
    return number


_DECODER = json.JSONDecoder()
_CAREFUL_DECODER = json.JSONDecoder(parse_int=_parse_integer, parse_float=_parse_float)


def signature_name(document: Mapping[str, Any]) -> str:
    """The signature that a body names; empty for the default one.

    Raises:
        ApiError: It is no string.
    """
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        why = "not formatted correctly. 'signature_name' key must be a string value."
        raise _invalid(f"JSON Value: {debug(document)} {why}")
    return name


def parse_predict(document: Mapping[str, Any], types: Types) -> PredictBody:
    """The tensors of a body.

    Args:
        document: Of `parse_body`.
        types: Of the signature's inputs.

    Raises:
        ApiError: What does not fit.
    """
    has_rows, has_columns = "instances" in document, "inputs" in document
    if has_rows and has_columns:
        why = "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
        raise _invalid(f"JSON Value: {debug(document)} {why}")
    if has_rows:
        rows = document["instances"]
        if not isinstance(rows, list):
            raise _invalid(f"JSON Value: {debug(document)} Expecting 'instances' to be an list/array")
        if not rows:
            raise _invalid(f"JSON Value: {debug(document)} No values in 'instances' array")
        return PredictBody("row", _from_rows(rows, types))
    if has_columns:
        return PredictBody("column", _from_columns(document["inputs"], types))
    raise _invalid("Missing 'inputs' or 'instances' key")


# ---- rows ----


def _from_rows(rows: list[Any], types: Types) -> dict[str, np.ndarray]:
    if not isinstance(rows[0], dict) and len(types) > 1:
        raise _invalid(
            "instances is a plain list, but expecting list of objects as multiple "
            "input tensors required as per tensorinfo_map"
        )
    objects = _is_object(rows[0])
    gather = _objects if objects else _plain
    flat: dict[str, list[Any]] = {name: [] for name in types}
    shapes: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        gather(number, row, types, flat, shapes)
    return {name: _array(flat[name], types[name], [len(rows), *shape]) for name, shape in shapes.items()}


def _objects(number: int, row: Any, types: Types, flat: dict[str, list[Any]], shapes: dict[str, list[int]]) -> None:
    if not _is_object(row):
        raise _invalid(f"Expecting object but got list at item {number} of input list")
    for name, value in row.items():
        _add_located(value, name, types, flat, shapes, f"{number} key: {name}")
    if set(row) != set(types):
        raise _invalid(
            f"Failed to process element: {number} of 'instances' list. JSON object: {debug(row)} "
            f"keys must be equal to: {','.join(sorted(types))}"
        )


def _plain(number: int, row: Any, types: Types, flat: dict[str, list[Any]], shapes: dict[str, list[int]]) -> None:
    if _is_object(row):
        raise _invalid(f"Expecting value/list but got object at item {number} of input list")
    _add_located(row, _only(types), types, flat, shapes, str(number))


def _only(types: Types) -> str:
    if not types:
        raise _invalid("values are given, but the signature has no input")
    return next(iter(types))


def _add_located(
    value: Any, name: str, types: Types, flat: dict[str, list[Any]], shapes: dict[str, list[int]], where: str
) -> None:
    try:
        _add(value, name, types, flat, shapes)
    except ApiError as error:
        problem = f"Error: INVALID_ARGUMENT: {error.message}"
        raise _invalid(f"Failed to process element: {where} of 'instances' list. {problem}") from error


def _add(value: Any, name: str, types: Types, flat: dict[str, list[Any]], shapes: dict[str, list[int]]) -> None:
    if name not in types:
        raise _invalid(f"JSON object: does not have named input: {name}")
    shape = _shape(value)
    before = len(flat[name])
    _fill(value, 0, shape, _CONVERTERS[_known(types[name])], flat[name])
    expected = shapes.setdefault(name, shape)
    size, wanted = len(flat[name]) - before, math.prod(expected)
    if size != wanted:
        raise _invalid(f"Expecting tensor size: {wanted} but got: {size}")
    if shape != expected:
        raise _invalid(f"Expecting shape {_list(expected)} but got: {_list(shape)}")


# ---- columns ----


def _from_columns(value: Any, types: Types) -> dict[str, np.ndarray]:
    if not _is_object(value):
        if len(types) > 1:
            raise _invalid(
                "inputs is a plain value/list, but expecting an object as multiple "
                "input tensors required as per tensorinfo_map"
            )
        name = _only(types)
        return {name: _tensor(value, types[name])}
    for name in types:
        if name not in value:
            raise _invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: _tensor(value[name], dtype) for name, dtype in types.items()}


def _tensor(value: Any, dtype: str) -> np.ndarray:
    shape, flat = _shape(value), list[Any]()
    _fill(value, 0, shape, _CONVERTERS[_known(dtype)], flat)
    return _array(flat, dtype, shape)


# ---- values ----


def _shape(value: Any) -> list[int]:
    """The shape that the first elements of nested lists imply."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    if len(shape) >= MAX_RANK:  # one more is the batch
        raise _invalid(f"Values are nested {len(shape)} deep, and a tensor has at most {MAX_RANK} dimensions")
    return shape


def _fill(value: Any, level: int, shape: list[int], convert: Callable[[Any], Any], flat: list[Any]) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise _invalid(
                f"JSON Value: {debug(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        flat.append(convert(value))
        return
    if level >= len(shape):
        raise _invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise _invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for element in value:
        _fill(element, level + 1, shape, convert, flat)


def _array(flat: list[Any], dtype: str, shape: list[int]) -> np.ndarray:
    with np.errstate(over="ignore"):  # 1e39 as a float is infinity, as in C++
        array = np.empty(len(flat), NUMPY[dtype])
        array[:] = flat if dtype == "string" else np.asarray(flat).astype(NUMPY[dtype]) if flat else []
    return array.reshape(shape)


def _number(dtype: str) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _type_error(value, dtype)
        return float(value)

    return convert


def _integer(dtype: str) -> Callable[[Any], Any]:
    low, high = _INTEGER_RANGES[dtype]

    def convert(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _type_error(value, dtype)
        return value

    return convert


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _type_error(value, "bool")
    return value


def _string(value: Any) -> bytes:
    if isinstance(value, str):
        try:
            return value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise _invalid("JSON Parse error: The surrogate pair in string is invalid.") from error
    if isinstance(value, dict):
        return _decode(value)
    raise _type_error(value, "string")


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "float": _number("float"),
    "double": _number("double"),
    "bool": _boolean,
    "string": _string,
    **{name: _integer(name) for name in _INTEGER_RANGES},
}


def _known(dtype: str) -> str:
    if dtype not in _CONVERTERS:
        raise ApiError(Code.UNIMPLEMENTED, f"Conversion of JSON values to type: {dtype}")
    return dtype


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not _is_base64(value)


def _decode(value: dict[str, Any]) -> bytes:
    if not _is_base64(value):
        raise _invalid(f"JSON Value: {debug(value)} not formatted correctly for base64 data")
    text = "".join(value["b64"].split())
    try:  # padding is optional there
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid("Unable to base64 decode") from error


def debug(value: Any) -> str:
    """A value as errors show it, cut."""
    try:
        return json.dumps(value, ensure_ascii=False)[:_DEBUG_BYTES]
    except RecursionError:
        return f"{type(value).__name__} that is nested too deeply"


_KINDS = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number", type(None): "Null"}


def _type_error(value: Any, dtype: str) -> ApiError:
    kind = str(value) if isinstance(value, bool) else _KINDS[type(value)]
    return _invalid(f"JSON Value: {debug(value)} Type: {kind} is not of expected type: {dtype}")


def _list(shape: list[int]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"


def _invalid(message: str) -> ApiError:
    return ApiError(Code.INVALID_ARGUMENT, message)


# ---- answers ----


def answer(outputs: Mapping[str, np.ndarray], form: Format) -> str:
    """The body of the answer.

    Raises:
        ApiError: Row format, and the outputs have no common batch dimension.
    """
    if not outputs:
        raise _invalid("Cannot convert empty tensor map to JSON")
    lists = {name: _to_json(values, name) for name, values in outputs.items()}
    if form == "column":
        return json.dumps({"outputs": lists if len(lists) > 1 else next(iter(lists.values()))}, ensure_ascii=False)
    _check_batch(outputs)
    if len(lists) == 1:
        return json.dumps({"predictions": next(iter(lists.values()))}, ensure_ascii=False)
    rows = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    return json.dumps({"predictions": rows}, ensure_ascii=False)


def _check_batch(outputs: Mapping[str, np.ndarray]) -> None:
    batch = None
    for name, values in outputs.items():
        if np.ndim(values) == 0:
            raise _invalid(f"Tensor name: {name} has no shape information ")
        if batch is not None and len(values) != batch:
            raise _invalid(f"Tensor name: {name} has inconsistent batch size: {len(values)} expecting: {batch}")
        batch = len(values)


def _to_json(values: np.ndarray, name: str) -> Any:
    values = np.asarray(values)
    if values.dtype == np.float32:
        return _shortest(values)
    if values.dtype != np.object_:
        return values.tolist()
    text = _base64 if name.endswith("_bytes") else _utf8
    return _map(values.tolist(), text)


def _shortest(values: np.ndarray) -> Any:
    """float32 as the shortest decimal that reads back the same: 0.2, not 0.20000000298."""
    texts = [float(str(value)) for value in values.ravel()]
    return np.array(texts, np.float64).reshape(values.shape).tolist()


def _map(value: Any, function: Callable[[bytes], Any]) -> Any:
    return [_map(v, function) for v in value] if isinstance(value, list) else function(value)


def _utf8(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _base64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode("ascii")}
