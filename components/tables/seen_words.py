"""The words of text columns that training saw, kept as hashes, to tell which words of a row are unseen. No tfx."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from taxiway.components.config_section import Section
from taxiway.components.tables.columns.texts import is_text

MOST_WORDS = 4096
"""The most words of one column. A column with more is open-ended: new words are usual there, and are not counted."""
_HASH_DIGITS = 8


class KnownWords(Section):
    """What training knew of a text column."""

    words: frozenset[str]
    """Hashes of the words of the training rows."""
    held_words: frozenset[str] = frozenset()
    """Hashes of the words that only rows held back from training have."""
    unseen_share: float | None = None
    """Share of the words of the rows held back from training that training had not; None: no rows were held back."""

    def seen_in_training(self, word: bytes) -> bool:
        """Whether training had the word."""
        return hash_word(word) in self.words

    def seen_in_data(self, word: bytes) -> bool:
        """Whether any row of the data had it."""
        return hash_word(word) in self.words or hash_word(word) in self.held_words


def hash_word(word: bytes) -> str:
    """32 bits of SHA-256: with a few thousand words one in a million unseen ones passes for seen."""
    return hashlib.sha256(word).hexdigest()[:_HASH_DIGITS]


@dataclass
class _SeenWords:
    train: set[bytes] = field(default_factory=set)
    held: dict[bytes, int] = field(default_factory=dict)

    @property
    def too_many(self) -> bool:
        return max(len(self.train), len(self.held)) > MOST_WORDS


class WordCounts:
    """Counts the words of one part of the data."""

    def __init__(self) -> None:
        self._columns: dict[str, _SeenWords | None] = {}

    def add_batch(self, examples: pa.RecordBatch, trains: np.ndarray) -> None:
        """Takes columns of values and which rows train, bool `[rows]`."""
        for name, array in zip(examples.schema.names, examples.columns, strict=True):
            if is_text(array.type) and self._columns.get(name, _SeenWords()) is not None:
                self._columns[name] = _count_words(self._columns.get(name) or _SeenWords(), array, trains)

    def to_json(self) -> dict[str, Any]:
        return {name: None if column is None else _hash_words(column) for name, column in self._columns.items()}


def _count_words(column: _SeenWords, array: pa.Array, trains: np.ndarray) -> _SeenWords | None:
    words = array.filter(pa.array(trains)).drop_null().unique()
    if len(words) > MOST_WORDS:
        return None
    column.train.update(words.to_pylist())
    held = pc.value_counts(array.filter(pa.array(~trains)).drop_null())
    if len(held) > MOST_WORDS:
        return None
    for entry in held.to_pylist():
        column.held[entry["values"]] = column.held.get(entry["values"], 0) + entry["counts"]
    return None if column.too_many else column


def _hash_words(column: _SeenWords) -> dict[str, Any]:
    held: dict[str, int] = {}
    for word, count in column.held.items():
        held[hash_word(word)] = held.get(hash_word(word), 0) + count
    return {"train": sorted(map(hash_word, column.train)), "held": held}


def merge_word_counts(parts: Iterable[Mapping[str, Any]]) -> dict[str, KnownWords]:
    """What all parts of the data know together, for the columns whose words are few enough.

    Args:
        parts: `WordCounts.to_json` of each.
    """
    parts = list(parts)
    names = dict.fromkeys(name for part in parts for name in part)
    merged = {name: _merge_column([part[name] for part in parts if name in part]) for name in names}
    return {name: counts for name, counts in merged.items() if counts is not None}


def _merge_column(parts: list[Mapping[str, Any] | None]) -> KnownWords | None:
    train: set[str] = set()
    held: dict[str, int] = {}
    for part in parts:
        if part is None:
            return None
        train.update(part["train"])
        for word, count in part["held"].items():
            held[word] = held.get(word, 0) + count
    if max(len(train), len(held)) > MOST_WORDS:
        return None
    total = sum(held.values())
    unseen = sum(count for word, count in held.items() if word not in train)
    others = frozenset(held) - train
    return KnownWords(words=frozenset(train), held_words=others, unseen_share=unseen / total if total else None)
