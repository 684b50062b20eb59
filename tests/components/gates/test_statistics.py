"""A multiclass label is counted class by class, through the real TFDV."""

import numpy as np
import pandas as pd
import pytest


def of_label(classes, task):
    import tensorflow_data_validation as tfdv

    from taxiway.components.gates.statistics import build_stats_options

    frame = pd.DataFrame({"Art (Σ)": classes, "size": np.linspace(0, 1, len(classes))})
    found = tfdv.generate_statistics_from_dataframe(frame, build_stats_options("Art (Σ)", task) or tfdv.StatsOptions())
    return {feature.path.step[0]: feature for feature in found.datasets[0].features}


def test_shares_of_many_uneven_classes_are_exact():
    counts = [400, 3, 77, 1, 250, 19, 0, 120, 60, 5, 33, 90]
    features = of_label(np.repeat(np.arange(len(counts)), counts), "multiclass")
    stats = features["Art (Σ)"].string_stats
    found = {int(bucket.label): bucket.sample_count for bucket in stats.rank_histogram.buckets}
    assert found == {index: count for index, count in enumerate(counts) if count}
    assert features["size"].WhichOneof("stats") == "num_stats"


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_other_labels_are_numbers(task):
    assert of_label([0, 1, 1, 1], task)["Art (Σ)"].num_stats.mean == 0.75
