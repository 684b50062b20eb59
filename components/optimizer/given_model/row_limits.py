"""How many rows are read and kept: files may be of any size, and rows of images are large."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

MOST_READ_BYTES = 1e9
"""Of a file; what lies behind is not read, and the report says so."""
MOST_ROW_BYTES, MOST_ANSWER_BYTES = 400e6, 128e6
"""Of rows that are kept to judge by (and of those to learn from), and of one model's answers to them, which are
compared as float64 with the original's."""
_MB = 1e6

Part = TypeVar("Part")


def take_parts(
    parts: Iterable[Part], most_parts: int, measure: Callable[[Part], float], most_bytes: float = MOST_READ_BYTES
) -> tuple[list[Part], str]:
    """The first parts of a file, within both limits, and what is said where there are more; else an empty text."""
    taken: list[Part] = []
    read = 0.0
    for part in parts:
        read += measure(part)
        if len(taken) == most_parts:
            return taken, f"of them the first {most_parts:,}"
        if read > most_bytes and taken:
            return taken, f"of them the first {len(taken):,}, which are {most_bytes / _MB:,.0f} MB"
        taken.append(part)
    return taken, ""


def measure_bytes(tensors: Mapping[str, NDArray[Any]]) -> float:
    """Bytes of tensors by name; of texts their lengths."""
    return sum(_measure_tensor(np.asarray(values)) for values in tensors.values())


def _measure_tensor(values: NDArray[Any]) -> float:
    return float(sum(map(len, values.ravel())) if values.dtype == object else values.nbytes)
