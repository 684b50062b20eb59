"""Rows drawn at random while a split is read: memory holds the drawn rows, never the split.

Every row gets a random key, and the rows with the smallest keys are kept (Efraimidis and Spirakis, 2006): a reservoir
that NumPy fills thousands of rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from taxiway.components.errors import DataError
from taxiway.components.files.tfrecord_files import read_records
from taxiway.components.tables.examples.judged_rows import choose_batch_rows, read_judged_rows
from taxiway.components.tables.examples.shards import ExampleShard, list_folder_shards, list_shards, locate_split

MOST_STRATA = 20
"""With more distinct labels the rows are drawn without regard to them: a regression's labels are no classes, and each
stratum may hold as many rows as are drawn in all."""
_CALIBRATION_FILES = 4


@dataclass(frozen=True)
class RowSample:
    """Drawn rows.

    Attributes:
        rows: Serialized examples, bytes objects `[rows]`, in the order of the split.
        available: Number of rows of the split.
    """

    rows: NDArray[Any]
    available: int


class Reservoir:
    """The rows with the smallest random keys so far.

    Attributes:
        seen: Number of rows that were offered.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self.seen = limit, 0
        self._keys, self._places = np.zeros(0), np.zeros(0, np.int64)
        self._rows = np.zeros(0, object)

    def __len__(self) -> int:
        return len(self._rows)

    def add_rows(self, keys: NDArray[np.float64], places: NDArray[np.int64], rows: NDArray[Any]) -> None:
        """Offers rows: random keys, places in the split and the rows themselves, each `[rows]`."""
        self.seen += len(keys)
        if len(self._keys) >= self._limit:
            chosen = keys < self._keys.max(initial=0.0)
            keys, places, rows = keys[chosen], places[chosen], rows[chosen]
        self._keys = np.concatenate([self._keys, keys])
        self._places = np.concatenate([self._places, places])
        self._rows = np.concatenate([self._rows, rows])
        self._keep_smallest(self._limit)

    def _keep_smallest(self, limit: int) -> None:
        if len(self._keys) > limit:
            kept = np.argpartition(self._keys, limit - 1)[:limit] if limit else np.zeros(0, np.int64)
            self._keys, self._places, self._rows = self._keys[kept], self._places[kept], self._rows[kept]

    def draw_rows(self, count: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Places and rows of the `count` smallest keys."""
        self._keep_smallest(count)
        return self._places, self._rows

    def merge(self, other: Reservoir) -> None:
        """Adds the rows of another one."""
        seen = self.seen + other.seen
        self.add_rows(other._keys, other._places, other._rows)
        self.seen = seen


class StratifiedReservoir:
    """A reservoir for each label, so that the sample has each label's share of the rows, to a row."""

    def __init__(self, limit: int, seed: int) -> None:
        """Args:
        limit: Rows to draw.
        seed: Seed of the draw. The size of batches does not change what is drawn.
        """
        self._limit, self._random = limit, np.random.default_rng(seed)
        self._strata: dict[Any, Reservoir] = {}
        self._seen = 0

    def add_rows(self, labels: Sequence[Any], rows: Sequence[bytes]) -> None:
        """Offers rows with their labels, which may be None."""
        keys, places = self._random.random(len(rows)), np.arange(self._seen, self._seen + len(rows))
        items = np.empty(len(rows), dtype=object)
        items[:] = rows
        self._seen += len(rows)
        for label, chosen in self._group_rows(labels):
            self._strata.setdefault(label, Reservoir(self._limit)).add_rows(keys[chosen], places[chosen], items[chosen])

    def _group_rows(self, labels: Sequence[Any]) -> list[tuple[Any, NDArray[np.int64]]]:
        groups: dict[Any, list[int]] = {}
        for row, label in enumerate(labels if self._are_classes(labels) else [None] * len(labels)):
            groups.setdefault(label, []).append(row)
        return [(label, np.array(rows)) for label, rows in groups.items()]

    def _are_classes(self, labels: Sequence[Any]) -> bool:
        """Whether labels are few; once they are not, all rows are of one stratum."""
        if set(self._strata) == {None} and self._seen > len(labels):
            return set(labels) == {None}
        if len({*labels, *self._strata}) <= MOST_STRATA:
            return True
        whole = Reservoir(self._limit)
        for reservoir in self._strata.values():
            whole.merge(reservoir)
        self._strata = {None: whole} if self._strata else {}
        return False

    def draw_sample(self) -> RowSample:
        """The drawn rows, in the order in which they were offered."""
        reservoirs = [self._strata[label] for label in sorted(self._strata, key=repr)]
        counts = share_rows([each.seen for each in reservoirs], self._limit)
        drawn = [each.draw_rows(count) for each, count in zip(reservoirs, counts, strict=True)]
        places = np.concatenate([np.zeros(0, np.int64), *(places for places, _ in drawn)])
        rows = np.concatenate([np.zeros(0, object), *(rows for _, rows in drawn)])
        return RowSample(rows[np.argsort(places)], self._seen)


def share_rows(sizes: Sequence[int], limit: int) -> list[int]:
    """How many rows of each stratum: its share of `limit`, by largest remainder; all where they are not more."""
    total = sum(sizes)
    if total <= limit:
        return list(sizes)
    exact = np.asarray(sizes, np.float64) * limit / total
    counts = np.floor(exact).astype(np.int64)
    counts[np.argsort(counts - exact, kind="stable")[: limit - int(counts.sum())]] += 1
    return [int(count) for count in counts]


def sample_split(examples: str, split: str, label: str | None, limit: int, seed: int) -> RowSample:
    """Draws rows of a split, each label with its share.

    Args:
        examples: URI of the `Examples` artifact.
        split: Name of the split.
        label: The label's column; None where the rows have none, and are drawn without regard to it.
        limit: Most rows; where there are no more, all are taken.
        seed: Seed of the draw.

    Raises:
        DataError: the split has no rows, or a file is damaged.
    """
    return sample_folder(locate_split(examples, split), label, limit, seed)


def sample_folder(folder: str, label: str | None, limit: int, seed: int) -> RowSample:
    """As `sample_split`, of the folder that holds the files of a split."""
    reservoir = StratifiedReservoir(limit, seed)
    for shard in list_folder_shards(folder):
        for records, labels in _read_labelled_rows(shard, label):
            reservoir.add_rows(labels, records)
    return _check_rows(reservoir.draw_sample(), folder)


def _read_labelled_rows(shard: ExampleShard, label: str | None) -> Iterator[tuple[Sequence[bytes], list[Any]]]:
    """Rows of one file with their labels, thousands at a time."""
    if label is None:  # a decoded batch without columns does not tell its number of rows
        for records in read_records(shard.records, choose_batch_rows(shard.records)):
            yield records, [None] * len(records)
        return
    for records, table in read_judged_rows(shard, [label]):
        yield records, _list_labels(table, label)


def _list_labels(table: pa.Table, label: str) -> list[Any]:
    if label not in table.column_names:
        return [None] * len(table)
    return [cell[0] if cell else None for cell in table[label].to_pylist()]


def sample_calibration_rows(examples: str, split: str, limit: int, seed: int) -> NDArray[Any]:
    """Draws rows for calibration out of a few files of a split, spread over it: bytes objects `[rows]`.

    Raises:
        DataError: the split has no rows, or a file is damaged.
    """
    shards, reservoir = list_shards(examples, split), StratifiedReservoir(limit, seed)
    for number in sorted({round(i) for i in np.linspace(0, len(shards) - 1, _CALIBRATION_FILES)} if shards else ()):
        path = shards[number].records
        for records in read_records(path, choose_batch_rows(path)):
            reservoir.add_rows([None] * len(records), records)
    return _check_rows(reservoir.draw_sample(), locate_split(examples, split)).rows


def _check_rows(sample: RowSample, folder: str) -> RowSample:
    if not len(sample.rows):
        raise DataError(f"There are no examples under {folder}.", "Run the component that wrote the examples again.")
    return sample
