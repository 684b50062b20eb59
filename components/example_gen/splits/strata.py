"""Shares of every class: how many of its rows train, evaluate and test, and where their places are cut.

A row's *place* is a pseudo-random uint64 (`occurrences.compute_places`). The rows of a class with the lowest places
train, the next ones evaluate, the last ones test, so that each split has the class's share within about a row, whatever
the order of the rows.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np

from taxiway.components.example_gen.config import (
    EVAL_SHARE,
    EVAL_SHARE_OF_TWO,
    TRAIN_SHARE,
    TRAIN_SHARE_OF_TWO,
    SplitConfig,
)

EVERY_PLACE = 2**64 - 1
FEWEST_ROWS = 20
"""Of a class, on which a verdict may rest: `gates.min_rows_per_class` by default."""
_WHOLE_ROWS = 1 << 16
"""A class of at most so many rows keeps all its places; of a larger one only those near the cuts are kept."""
_DEVIATIONS = 8.0
"""Width of what is kept: a quantile of independent places lies further off in 1 of 10^15 cases."""


def apportion_rows(rows: Sequence[int], share: float, names: Sequence[str]) -> list[int]:
    """How many rows of each class make up a share of all, by the method of largest remainders (Hamilton 1792).

    Each is within one row of its class's share and all together are the share of all rows. Where the rounding has a
    choice, a class that would have none comes first; no class gives its last row.

    Args:
        rows: The number of rows of each class.
        share: The share wanted of each class, 0 to 1.
        names: The names of the classes; they break ties in a way that favours no place in the alphabet.
    """
    exact = [count * share for count in rows]
    given = [math.floor(e + 1e-9) for e in exact]
    open_rows = math.floor(sum(exact) + 0.5 + 1e-9) - sum(given)
    candidates = [i for i, count in enumerate(rows) if given[i] + 1 < count]
    candidates.sort(key=lambda i: (given[i] > 0, given[i] - exact[i], _hash_class_name(names[i])))
    for i in candidates[:open_rows]:
        given[i] += 1
    return given


def _hash_class_name(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def resolve_test_share(config: SplitConfig, rows: Sequence[int]) -> SplitConfig:
    """The configuration with a share of `test` that is sure: where none is named, and rows are few, `eval` takes it.

    They are few where the whole split, or in it the rarest class, would have too few rows for a verdict while the
    `eval` of two splits has enough. A class that is too rare for either counts for nothing.

    Args:
        config: The section `data.split`.
        rows: The number of rows of each class; of a regression one number.
    """
    if config.test is not None:
        return config
    two = split_in_two(config)
    rarest = min((count for count in rows if count), default=0)
    too_rare = rarest * config.test_share < FEWEST_ROWS <= rarest * two.eval
    if too_rare or sum(rows) * config.test_share < 2 * FEWEST_ROWS:
        return two
    return config.model_copy(update={"test": config.test_share})


def split_in_two(config: SplitConfig) -> SplitConfig:
    """The configuration without a split `test`; `eval` takes its rows where shares were named."""
    shares = {"eval": config.eval + config.test_share, "test": 0.0}
    if (config.train, config.eval) == (TRAIN_SHARE, EVAL_SHARE):
        shares = {"train": TRAIN_SHARE_OF_TWO, "eval": EVAL_SHARE_OF_TWO, "test": 0.0}
    return config.model_copy(update=shares)


def compute_cut_ranks(config: SplitConfig, rows: Sequence[int], names: Sequence[str]) -> list[tuple[int, int, int]]:
    """For each class, how many of its rows train, how many train or evaluate, and how many are in a split at all."""
    held_share = config.eval + config.test_share
    held = apportion_rows(rows, held_share, names)
    tested = apportion_rows(held, config.test_share / held_share, names) if config.test_share else [0] * len(rows)
    if math.isclose(config.train + held_share, 1.0, abs_tol=1e-9):
        return [(count - h, count - t, count) for count, h, t in zip(rows, held, tested, strict=True)]
    trained = [max(t, min(count, 1)) for count, t in zip(rows, apportion_rows(rows, config.train, names), strict=True)]
    parts = zip(rows, trained, held, tested, strict=True)
    return [(t, min(count, t + h - s), min(count, t + h)) for count, t, h, s in parts]


class CutFinder:
    """Finds the places at given ranks of every class, from places that come in pieces, in any order.

    Memory: all places of small classes, of others about 6 times the root of their rows.
    """

    def __init__(self, rows: Sequence[int], wanted: Sequence[Sequence[int]]) -> None:
        """Args:
        rows: The number of rows of each class.
        wanted: The ranks of each class, 0 to its rows, in ascending order.
        """
        self._quantiles = [[_Quantile(count, rank) for rank in of] for count, of in zip(rows, wanted, strict=True)]

    def add_places(self, places: np.ndarray, classes: np.ndarray) -> None:
        """Takes places, uint64 `[rows]`, and the class of each, an index."""
        places = places[np.argsort(classes, kind="stable")]
        ends = np.cumsum(np.bincount(classes, minlength=len(self._quantiles)))
        for quantiles, own in zip(self._quantiles, np.split(places, ends[:-1]), strict=True):
            for quantile in quantiles:
                quantile.add_places(own)

    def find_cuts(self) -> list[list[int]]:
        """For each class its cuts: as many of its places are below a cut as its rank says."""
        return [[quantile.find_cut() for quantile in quantiles] for quantiles in self._quantiles]


class _Quantile:
    def __init__(self, rows: int, rank: int) -> None:
        share = rank / rows if rows else 1.0
        half = 1.0 if rows <= _WHOLE_ROWS else _DEVIATIONS * math.sqrt(share * (1 - share) / rows)
        self._all = rank >= rows
        self._rank, self._share = rank, share
        self._low, self._high = _share_to_place(share - half), _share_to_place(share + half)
        self._below = 0
        self._near: list[np.ndarray] = []

    def add_places(self, places: np.ndarray) -> None:
        if not self._all:
            low = places < self._low
            self._below += int(low.sum())
            self._near.append(places[~low & (places <= self._high)])

    def find_cut(self) -> int:
        if self._all:
            return EVERY_PLACE
        near = np.sort(np.concatenate(self._near)) if self._near else np.empty(0, np.uint64)
        at = self._rank - self._below
        return int(near[at]) if 0 <= at < len(near) else int(_share_to_place(self._share))


def _share_to_place(share: float) -> np.uint64:
    return np.uint64(min(max(int(share * 2.0**64), 0), EVERY_PLACE))


def find_missing_classes(rows: Mapping[str, Sequence[int]], names: Sequence[str]) -> dict[str, list[str]]:
    """For each split the classes that have rows, but none in it.

    Args:
        rows: The rows of each class, by split.
        names: The names of the classes.
    """
    total = [sum(counts) for counts in zip(*rows.values(), strict=True)]
    return {
        split: [name for name, count, of_all in zip(names, counts, total, strict=True) if of_all and not count]
        for split, counts in rows.items()
    }
