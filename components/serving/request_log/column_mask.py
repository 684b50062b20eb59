"""Which columns of a request are left out of the log, and which are written as a keyed hash."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from taxiway.components.contract import EXAMPLES_INPUT

KEY_BYTES = 32
_HASH_BYTES = 16


@dataclass(frozen=True)
class ColumnMask:
    """What happens to the columns of one version's requests.

    Attributes:
        dropped: Columns left out.
        hashed: Columns whose values become texts of 32 hexadecimal digits: keyed BLAKE2b, equal for equal values.
        key: Key of the hash; without it a list of known values would undo it.
        columns: Input of a signature to its column; an input that is not there is its own column.
    """

    dropped: frozenset[str]
    hashed: frozenset[str]
    key: bytes
    columns: Mapping[str, str]

    def mask_inputs(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The inputs of a request as they are logged. Serialized `tf.Example`s are masked feature by feature.

        Raises:
            ValueError: A text that should be an example is none.
        """
        masked = {}
        for alias, values in inputs.items():
            names = {alias, self.columns.get(alias, alias)}
            if names & self.dropped:
                continue
            if names & self.hashed:
                values = self._hash_array(values)
            elif alias == EXAMPLES_INPUT:
                values = _map_texts(self._mask_example, values)
            masked[alias] = values
        return masked

    def _hash_array(self, values: np.ndarray) -> np.ndarray:
        texts = [self._hash_value(value) for value in np.asarray(values).reshape(-1)]
        return np.array(texts, object).reshape(np.shape(values))

    def _hash_value(self, value: object) -> bytes:
        raw = value if isinstance(value, bytes) else str(value).encode()
        return hashlib.blake2b(raw, key=self.key, digest_size=_HASH_BYTES).hexdigest().encode()

    def _mask_example(self, serialized: bytes) -> bytes:
        if not self.dropped and not self.hashed:
            return serialized
        try:
            example = tf.train.Example.FromString(serialized)
        except Exception as error:  # protobuf's own type differs by its version
            raise ValueError("a logged request holds a text that is no tf.Example") from error
        for name in self.dropped & set(example.features.feature):
            del example.features.feature[name]
        for name in self.hashed & set(example.features.feature):
            self._hash_feature(example.features.feature[name])
        return bytes(example.SerializeToString(deterministic=True))

    def _hash_feature(self, feature: tf.train.Feature) -> None:
        kind = feature.WhichOneof("kind")
        values = [self._hash_value(value) for value in getattr(feature, kind).value] if kind else []
        feature.bytes_list.value[:] = values


def _map_texts(function: object, values: np.ndarray) -> np.ndarray:
    texts = [function(value) for value in np.asarray(values, object).reshape(-1)]  # type: ignore[operator]
    return np.array(texts, object).reshape(np.shape(values))


def read_key(path: Path) -> bytes:
    """The key of the hashes, made at the first call; only its owner can read the file.

    Raises:
        OSError: The file can be neither read nor made.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(os.urandom(KEY_BYTES))
    except FileExistsError:
        pass  # another server was first
    return path.read_bytes()
