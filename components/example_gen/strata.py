"""Shares of every class: how many of its rows train and evaluate, and where their places are cut.

A row's *place* is a pseudo-random uint64 (`occurrences.places`). The rows of a class with the lowest places train, the
next ones evaluate, so that both splits have the class's share within one row, whatever the order of the rows.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np

from components.example_gen.config import SplitConfig

EVERY_PLACE = 2**64 - 1
_WHOLE_ROWS = 1 << 16
"""A class of at most so many rows keeps all its places; of a larger one only those near the cuts are kept."""
_DEVIATIONS = 8.0
"""Width of what is kept: a quantile of independent places lies further off in 1 of 10^15 cases."""


def apportion(rows: Sequence[int], share: float, names: Sequence[str]) -> list[int]:
    """How many rows of each class make up a share of all, by the method of largest remainders (Hamilton 1792).

    Each is within one row of its class's share and all together are the share of all rows. Where the rounding has a
    choice, a class that would have none comes first; no class gives its last row.

    Args:
        rows: Of each class.
        share: Wanted of each class, 0 to 1.
        names: Of the classes; they break ties in a way that favours no place in the alphabet.
    """
    exact = [count * share for count in rows]
    given = [math.floor(e + 1e-9) for e in exact]
    open_rows = math.floor(sum(exact) + 0.5 + 1e-9) - sum(given)
    candidates = [i for i, count in enumerate(rows) if given[i] + 1 < count]
    candidates.sort(key=lambda i: (given[i] > 0, given[i] - exact[i], _tie(names[i])))
    for i in candidates[:open_rows]:
        given[i] += 1
    return given


def _tie(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def ranks(config: SplitConfig, rows: Sequence[int], names: Sequence[str]) -> list[tuple[int, int]]:
    """For each class, how many of its rows train, and how many train or evaluate."""
    evaluated = apportion(rows, config.eval, names)
    if math.isclose(config.train + config.eval, 1.0, abs_tol=1e-9):
        return [(count - e, count) for count, e in zip(rows, evaluated, strict=True)]
    trained = [max(t, min(count, 1)) for count, t in zip(rows, apportion(rows, config.train, names), strict=True)]
    return [(t, min(count, t + e)) for count, t, e in zip(rows, trained, evaluated, strict=True)]


class Cuts:
    """Finds the places at given ranks of every class, from places that come in pieces, in any order.

    Memory: all places of small classes, of others about 6 times the root of their rows.
    """

    def __init__(self, rows: Sequence[int], wanted: Sequence[Sequence[int]]) -> None:
        """Args:
        rows: Of each class.
        wanted: For each class the ranks, 0 to its rows, in ascending order.
        """
        self._quantiles = [[_Quantile(count, rank) for rank in of] for count, of in zip(rows, wanted, strict=True)]

    def add(self, places: np.ndarray, classes: np.ndarray) -> None:
        """Takes places, uint64 `[rows]`, and the class of each, an index."""
        places = places[np.argsort(classes, kind="stable")]
        ends = np.cumsum(np.bincount(classes, minlength=len(self._quantiles)))
        for quantiles, own in zip(self._quantiles, np.split(places, ends[:-1]), strict=True):
            for quantile in quantiles:
                quantile.add(own)

    def found(self) -> list[list[int]]:
        """For each class its cuts: as many of its places are below a cut as its rank says."""
        return [[quantile.cut() for quantile in quantiles] for quantiles in self._quantiles]


class _Quantile:
    def __init__(self, rows: int, rank: int) -> None:
        share = rank / rows if rows else 1.0
        half = 1.0 if rows <= _WHOLE_ROWS else _DEVIATIONS * math.sqrt(share * (1 - share) / rows)
        self._all = rank >= rows
        self._rank, self._share = rank, share
        self._low, self._high = _place(share - half), _place(share + half)
        self._below = 0
        self._near: list[np.ndarray] = []

    def add(self, places: np.ndarray) -> None:
        if not self._all:
            low = places < self._low
            self._below += int(low.sum())
            self._near.append(places[~low & (places <= self._high)])

    def cut(self) -> int:
        if self._all:
            return EVERY_PLACE
        near = np.sort(np.concatenate(self._near)) if self._near else np.empty(0, np.uint64)
        at = self._rank - self._below
        return int(near[at]) if 0 <= at < len(near) else int(_place(self._share))


def _place(share: float) -> np.uint64:
    return np.uint64(min(max(int(share * 2.0**64), 0), EVERY_PLACE))


def missing_classes(rows: Mapping[str, Sequence[int]], names: Sequence[str]) -> dict[str, list[str]]:
    """For each split the classes that have rows, but none in it.

    Args:
        rows: By split, the rows of each class.
        names: Of the classes.
    """
    total = [sum(counts) for counts in zip(*rows.values(), strict=True)]
    return {
        split: [name for name, count, of_all in zip(names, counts, total, strict=True) if of_all and not count]
        for split, counts in rows.items()
    }
