"""What the component takes of TFT beyond its public API. No other module names it.

Where a release of TFT has moved it, these functions raise a `TaxiwayError` that says so; the tests of the preprocessing
and of the transformed rows find it before users do.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from taxiway.components.private_parts import find_private_part


def set_id_range(ids: tf.Tensor, last: Any) -> None:
    """Says in the transformed schema that `ids`, int64, are categories from 0 to `last`.

    Missing in TFT's public API: only its own vocabularies and buckets get such a domain, and only one column at a time.

    Args:
        ids: An output of the preprocessing function.
        last: int64 scalar Tensor; it may depend on an analysis.

    Raises:
        TaxiwayError: TFT has no such function.
    """
    set_override = _import_private("tensorflow_transform.schema_inference", "set_tensor_schema_override")
    set_override(ids, tf.constant(0, tf.int64), last)


def compute_mean_and_variance(values: tf.SparseTensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and variance of the present values of each column, by one analyzer.

    Missing in TFT's public API: `tft.mean` and `tft.var` are two analyzers, and `tft.scale_to_z_score`, which uses this
    one, keeps the two to itself.

    Args:
        values: float64 `[batch, columns]`.

    Raises:
        TaxiwayError: TFT has no such function.
    """
    analyze = _import_private("tensorflow_transform.analyzers", "_mean_and_var")
    mean, variance = analyze(values, reduce_instance_dims=False)
    return mean, variance


def make_output_converter(schema: schema_pb2.Schema) -> Any:
    """What turns transformed features, tensors by name, into a record batch: its `convert` does.

    Missing in TFT's public API: `TransformDataset` converts inside of a Beam pipeline alone.

    Args:
        schema: Schema of the transformed features.

    Raises:
        TaxiwayError: TFT has no such function.
    """
    return _import_private("tensorflow_transform.impl_helper", "make_tensor_to_arrow_converter")(schema)


def _import_private(module: str, name: str) -> Any:
    return find_private_part(module, name, __name__)
