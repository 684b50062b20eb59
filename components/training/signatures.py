"""Raw columns as inputs of a served model: safe tensor names, defaults, and their way into `tf.Example`'s shape."""

from __future__ import annotations

import hashlib
import keyword
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

MISSING: Mapping[str, Any] = {"string": "", "int64": -(2**63), "float32": -3.4028234663852886e38}
"""The value that stands for a missing one in a dense tensor: JSON knows no NaN. It is the signature's default too."""

_ALLOWED = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,199}")
_RESERVED = frozenset({"self", "b64"})
"""`self` is no argument of a TensorFlow function; `{"b64": ...}` is a string of bytes in TensorFlow Serving's JSON."""
_HASH_DIGITS = 10
_HASHED = re.compile(rf"__[0-9a-f]{{{_HASH_DIGITS}}}$")
_LONGEST = 40
"""Characters of a column's name that stand before its hash."""


@dataclass(frozen=True)
class RawInput:
    """One input of the raw signature.

    Attributes:
        tensor: Name of the tensor: see `input_name`.
        column: The raw column.
        dtype: `string`, `int64` or `float32`.
        shape: Without the batch dimension; `()` for one value a row.
        optional: Whether it may be left out. A missing value is written as `MISSING[dtype]`; a number that is not
            finite is missing too.
    """

    tensor: str
    column: str
    dtype: str
    shape: tuple[int, ...]
    optional: bool

    @property
    def default(self) -> Any:
        return MISSING[self.dtype] if self.optional else None

    @property
    def spec(self) -> tf.TensorSpec:
        return tf.TensorSpec([None, *self.shape], self.dtype, self.tensor)

    def default_tensor(self) -> tf.Tensor | None:
        """`[1]`: broadcast to the batch."""
        return tf.constant([self.default], self.dtype) if self.optional else None

    def to_feature(self, values: tf.Tensor, batch: tf.Tensor) -> Any:
        """What `tf.io.parse_example` would have made of the column: sparse where it is optional."""
        if not self.optional:
            return values
        values = tf.broadcast_to(values, [batch])
        known = tf.not_equal(values, tf.constant(self.default, self.dtype))
        if values.dtype.is_floating:
            known = tf.logical_and(known, tf.math.is_finite(values))
        present = tf.where(known)
        shape = tf.stack([tf.cast(batch, tf.int64), tf.constant(1, tf.int64)])
        indices = tf.concat([present, tf.zeros_like(present)], axis=1)
        return tf.SparseTensor(indices, tf.gather_nd(values, present), shape)


def raw_inputs(spec: Mapping[str, Any], without: Iterable[str]) -> list[RawInput]:
    """The inputs of the raw signature: required ones first, then by column.

    Args:
        spec: The raw feature spec: `FixedLenFeature` or `VarLenFeature` by column.
        without: The label and the columns left out.
    """
    left_out = set(without)
    columns = sorted(name for name in spec if name not in left_out)
    inputs = [_raw_input(name, input_name(name), spec[name]) for name in columns]
    return sorted(inputs, key=lambda i: i.optional)


def _raw_input(column: str, tensor: str, feature: Any) -> RawInput:
    fixed = isinstance(feature, tf.io.FixedLenFeature)
    shape = tuple(feature.shape) if fixed else ()
    return RawInput(tensor, column, feature.dtype.name, shape, optional=not fixed)


def input_name(column: str) -> str:
    """The tensor's name of a column. It depends on the column alone, whatever other columns there are.

    The column's own name where TensorFlow and Python allow it: ASCII letters, digits and underscores, a letter first.
    Else what is left of it in ASCII, two underscores and ten hex digits of its hash. A column that looks like such a
    name gets one too, so that no two columns share a name.
    """
    if _ALLOWED.fullmatch(column) and not (column in _RESERVED or keyword.iskeyword(column) or _HASHED.search(column)):
        return column
    plain = "".join(c for c in unicodedata.normalize("NFKD", column.lower()) if not unicodedata.combining(c))
    readable = re.sub(r"[^a-z0-9]+", "_", plain)[:_LONGEST].strip("_") or "column"
    readable = readable if readable[0].isalpha() else f"c_{readable}"
    digest = hashlib.sha256(column.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{readable}__{digest[:_HASH_DIGITS]}"
