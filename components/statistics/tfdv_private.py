"""What statistics over record batches take of TFDV beyond its public API. No other module names it.

Public is `tfdv.GenerateStatistics`, which needs a Beam pipeline: thirty times the cost of what it computes, on one
machine. Where a release has moved a part, these functions raise a `TaxiwayError`;
`tests/components/statistics/test_tfdv_private.py` finds it before users do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from taxiway.components.private_parts import find_private_part

_IMPLEMENTATION = "tensorflow_data_validation.statistics.stats_impl"
_TOP_VALUES = "tensorflow_data_validation.utils.top_k_uniques_stats_util"
_TOP_VALUES_GENERATOR = "TopKUniquesStatsGenerator"


def make_generators(options: Any) -> list[Any]:
    """The generators that TFDV runs for the options."""
    generators: list[Any] = _find_part(_IMPLEMENTATION, "get_generators")(options)
    return generators


def extract_statistics(accumulators: Sequence[Any], generators: Sequence[Any]) -> Any:
    """A `DatasetFeatureStatisticsList` of what combining generators have accumulated."""
    return _find_part(_IMPLEMENTATION, "extract_statistics_output")(list(accumulators), list(generators))


def counts_top_values(generator: Any) -> bool:
    """Whether the generator is TFDV's exact one for top values, which only a Beam pipeline can run."""
    return type(generator).__name__ == _TOP_VALUES_GENERATOR


def make_top_values(path: tuple[str, ...], counts: Sequence[tuple[Any, int]], options: Any) -> Any:
    """The `DatasetFeatureStatistics` of a feature with its most frequent values.

    Args:
        path: The feature's path.
        counts: The most frequent values and how often each occurs.
        options: The `tfdv.StatsOptions`.
    """
    pair = _find_part(_TOP_VALUES, "FeatureValueCount")
    return _find_part(_TOP_VALUES, "make_dataset_feature_stats_proto_topk_single")(
        path,
        [pair(value, count) for value, count in counts],
        is_weighted_stats=False,
        num_top_values=options.num_top_values,
        frequency_threshold=options.frequency_threshold,
        num_rank_histogram_buckets=options.num_rank_histogram_buckets,
    )


def _find_part(module: str, name: str) -> Any:
    return find_private_part(module, name, __name__)
