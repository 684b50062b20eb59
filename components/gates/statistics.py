"""StatisticsGen's options for the label."""

from __future__ import annotations

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2

from taxiway.components.contract import Task


def build_stats_options(label: str, task: Task) -> tfdv.StatsOptions | None:
    """Statistics that count a multiclass label class by class.

    Class indices are whole numbers: TFDV would approximate their histogram by quantiles, and the naive model's shares
    would be of the wrong classes.

    Args:
        label: The label's column, an int64 class index.
        task: The task; a binary label, whose mean is exact, and a regression need no options.
    """
    if task != "multiclass":
        return None
    feature = schema_pb2.Feature(
        name=label, type=schema_pb2.INT, int_domain=schema_pb2.IntDomain(is_categorical=True, min=0)
    )
    return tfdv.StatsOptions(schema=schema_pb2.Schema(feature=[feature]))
