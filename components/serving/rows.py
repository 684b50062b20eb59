"""Answers as Python values. No TensorFlow: the client of a server needs none."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np


def answers_by_row(outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Outputs `[rows, ...]` as one dictionary a row: numbers where there is one a row, else lists; text for bytes."""
    columns = {name: [_plain(value) for value in values] for name, values in outputs.items()}
    count = len(next(iter(columns.values()), []))
    return [{name: values[row] for name, values in columns.items()} for row in range(count)]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _plain(value[0]) if value.shape == (1,) else [_plain(v) for v in value]
    if isinstance(value, bytes):
        return _decode(value)
    return value.item() if isinstance(value, np.generic) else value


def _decode(value: bytes) -> Any:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode("ascii")}
