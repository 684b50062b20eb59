"""The transformed features, as the transform graph's schema describes them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tensorflow_metadata.proto.v0 import schema_pb2

from taxiway.components import schema_file
from taxiway.components.errors import DataError

DTYPES = {schema_pb2.INT: "int64", schema_pb2.FLOAT: "float32", schema_pb2.BYTES: "string"}


@dataclass(frozen=True)
class TransformedFeature:
    """One transformed feature.

    Attributes:
        name: Its name.
        dtype: `float32`, `int64` or `string`.
        shape: The shape without the batch dimension; `()` for one value a row.
        rows: The number of values of a categorical integer, which is in `[0, rows)`; else 0.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    rows: int = 0

    @property
    def size(self) -> int:
        """Values in a row."""
        return math.prod(self.shape)


def read_transformed_features(transform_graph: str) -> list[TransformedFeature]:
    """The features that Transform writes, the label among them, sorted by name.

    Raises:
        DataError: a feature has no fixed shape.
    """
    schema = schema_file.read_schema(Path(transform_graph, "transformed_metadata"))
    return sorted((_read_feature(f) for f in schema.feature), key=lambda f: f.name)


def _read_feature(feature: schema_pb2.Feature) -> TransformedFeature:
    if not feature.HasField("shape"):
        raise DataError(
            f"The transformed feature {feature.name!r} has no fixed shape.",
            "Make it dense in the preprocessing function: a fixed number of values for every row.",
        )
    domain = feature.int_domain
    rows = domain.max + 1 if domain.is_categorical and domain.min >= 0 else 0
    return TransformedFeature(feature.name, DTYPES[feature.type], tuple(d.size for d in feature.shape.dim), rows)


def select_model_inputs(
    features: Iterable[TransformedFeature], label: str, sample_weight: str = ""
) -> list[TransformedFeature]:
    """Those that the model reads: all but the label and the sample weight."""
    return [f for f in features if f.name not in (label, sample_weight)]
