"""Rows for a model, of which single columns can be exchanged without decoding and encoding the others.

A serialized `tf.Example` is one message `Features`, which is one entry a column. The rows are kept as their entries, so
that a row with another value in a column is the concatenation of bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]
"""Serialized rows or entries: bytes objects `[rows]`."""
_FEATURES_TAG = b"\x0a"
"""Field 1, a message: `Example.features`."""


@dataclass(frozen=True)
class RawRows:
    """Rows as the entries of their columns.

    Attributes:
        entries: By column: bytes objects `[rows]`, empty where a row has no value.
    """

    entries: Mapping[str, Values]

    def __len__(self) -> int:
        return len(next(iter(self.entries.values()))) if self.entries else 0

    def take(self, index: NDArray[np.int64]) -> RawRows:
        """The rows at these places."""
        return RawRows({name: column[index] for name, column in self.entries.items()})

    def encode(self, changed: Mapping[str, Values] | None = None) -> Values:
        """The serialized rows.

        Args:
            changed: Other entries of some columns, `[rows]`.
        """
        columns = {**self.entries, **(changed or {})}
        return to_objects([_wrap_features(b"".join(row)) for row in zip(*columns.values(), strict=True)])

    def shuffle(self, columns: Collection[str], order: NDArray[np.int64]) -> Values:
        """The serialized rows, of which some columns hold what the rows at `order` hold, together."""
        return self.encode({name: self.entries[name][order] for name in columns})

    def decode(self, column: str) -> list[Any]:
        """The first value of each row: text, int or float; None where there is none."""
        return [read_value(entry) for entry in self.entries[column]]


def split_rows(serialized: Sequence[bytes], columns: Collection[str] = ()) -> RawRows:
    """Takes rows apart.

    Args:
        serialized: `tf.Example` messages.
        columns: Columns that are kept; empty: all that occur.
    """
    from tensorflow.core.example import example_pb2

    parsed = [example_pb2.Example.FromString(row).features.feature for row in serialized]
    names = sorted(columns) or sorted({name for row in parsed for name in row})
    entries = {name: [_make_entry(name, row[name]) if name in row else b"" for row in parsed] for name in names}
    return RawRows({name: to_objects(column) for name, column in entries.items()})


def make_entry(column: str, value: Any) -> bytes:
    """The entry of a value: text, int or float; empty for None."""
    from tensorflow.core.example import feature_pb2

    if value is None:
        return b""
    feature = feature_pb2.Feature()
    if isinstance(value, str):
        feature.bytes_list.value.append(value.encode("utf-8", "surrogateescape"))
    elif isinstance(value, (int, np.integer)):
        feature.int64_list.value.append(int(value))
    else:
        feature.float_list.value.append(float(value))
    return _make_entry(column, feature)


def read_value(entry: bytes) -> Any:
    """The first value of an entry; see `RawRows.decode`."""
    from tensorflow.core.example import feature_pb2

    for feature in feature_pb2.Features.FromString(entry).feature.values():
        kind = feature.WhichOneof("kind")
        values = list(getattr(feature, kind).value) if kind else []
        for value in values[:1]:
            return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
    return None


def _make_entry(name: str, feature: Any) -> bytes:
    from tensorflow.core.example import feature_pb2

    return feature_pb2.Features(feature={name: feature}).SerializeToString()


def _wrap_features(features: bytes) -> bytes:
    return _FEATURES_TAG + _encode_varint(len(features)) + features


def _encode_varint(number: int) -> bytes:
    """A length as protocol buffers write it: seven bits a byte, the lowest first."""
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def to_objects(values: Sequence[bytes]) -> Values:
    """Bytes as objects `[rows]`: numpy's own bytes lose zeros at their end."""
    array = np.empty(len(values), object)
    array[:] = values
    return array
