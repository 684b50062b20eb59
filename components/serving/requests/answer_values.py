"""Answers as Python values. No TensorFlow: the client of a server needs none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from taxiway.components.serving.protocol.json_values import encode_bytes


def split_answers(outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Outputs `[rows, ...]` as one dictionary a row: numbers where there is one a row, else lists; text for bytes."""
    columns = {name: [_to_python(value) for value in values] for name, values in outputs.items()}
    count = len(next(iter(columns.values()), []))
    return [{name: values[row] for name, values in columns.items()} for row in range(count)]


def _to_python(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _to_python(value[0]) if value.shape == (1,) else [_to_python(v) for v in value]
    if isinstance(value, bytes):
        return encode_bytes(value)
    return value.item() if isinstance(value, np.generic) else value
