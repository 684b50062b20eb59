"""Batches of rows, whatever they are: serialized examples, or transformed features by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Features = dict[str, NDArray[Any]]
"""Rows as transformed features by name, `[rows, *shape]`."""
Rows = TypeVar("Rows", NDArray[Any], Features)
_SCORED_ROWS = 512


def count_rows(rows: Rows) -> int:
    return len(next(iter(rows.values()))) if isinstance(rows, dict) else len(rows)


def take_rows(rows: Rows, chosen: slice | NDArray[np.int64]) -> Rows:
    """Some of the rows, by a slice or by their numbers."""
    return {name: values[chosen] for name, values in rows.items()} if isinstance(rows, dict) else rows[chosen]


def draw_batches(rows: Rows, batch_size: int, count: int, seed: int) -> Iterator[Rows]:
    """Batches of rows drawn at random, with replacement."""
    generator = np.random.default_rng(seed)
    for _ in range(count):
        yield take_rows(rows, generator.integers(0, count_rows(rows), batch_size))


def score_in_batches(score_batch: Callable[[Rows], NDArray[np.float32]], rows: Rows) -> NDArray[np.float32]:
    """Scores of many rows, in batches."""
    starts = range(0, count_rows(rows), _SCORED_ROWS)
    return np.concatenate([score_batch(take_rows(rows, slice(start, start + _SCORED_ROWS))) for start in starts])


def answer_in_batches(
    answer_batch: Callable[[Features], dict[str, NDArray[Any]]], rows: Features, batch_rows: int
) -> dict[str, NDArray[Any]]:
    """All outputs of many rows, in batches of as many."""
    starts = range(0, count_rows(rows), batch_rows)
    parts = [answer_batch(take_rows(rows, slice(start, start + batch_rows))) for start in starts]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
