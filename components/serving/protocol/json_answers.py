"""The answer to a `:predict` request in JSON, as tensorflow_serving/util/json_tensor.cc writes it. NumPy only."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from taxiway.components.serving.protocol.api_errors import make_invalid_argument_error
from taxiway.components.serving.protocol.json_requests import Format
from taxiway.components.serving.protocol.json_values import encode_base64


def format_answer(outputs: Mapping[str, np.ndarray], form: Format) -> str:
    """The body of the answer.

    Raises:
        ApiError: Row format, and the outputs have no common batch dimension.
    """
    if not outputs:
        raise make_invalid_argument_error("Cannot convert empty tensor map to JSON")
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
            raise make_invalid_argument_error(f"Tensor name: {name} has no shape information ")
        if batch is not None and len(values) != batch:
            raise make_invalid_argument_error(
                f"Tensor name: {name} has inconsistent batch size: {len(values)} expecting: {batch}"
            )
        batch = len(values)


def _to_json(values: np.ndarray, name: str) -> Any:
    values = np.asarray(values)
    if values.dtype == np.float32:
        return _shorten_floats(values)
    if values.dtype != np.object_:
        return values.tolist()
    convert: Callable[[bytes], Any] = encode_base64 if name.endswith("_bytes") else _decode_utf8
    return _map_leaves(values.tolist(), convert)


def _shorten_floats(values: np.ndarray) -> Any:
    """float32 as the shortest decimal that reads back the same: 0.2, not 0.20000000298."""
    texts = [float(str(value)) for value in values.ravel()]
    return np.array(texts, np.float64).reshape(values.shape).tolist()


def _map_leaves(value: Any, function: Callable[[bytes], Any]) -> Any:
    return [_map_leaves(v, function) for v in value] if isinstance(value, list) else function(value)


def _decode_utf8(value: bytes) -> str:
    return value.decode("utf-8", "replace")
