"""What so few rows reach by chance."""

from __future__ import annotations

import pytest
from tensorflow_metadata.proto.v0 import statistics_pb2

from taxiway.components.distributions.chance import compute_chance


def describe_words(rows: int, shares: dict[str, float]) -> statistics_pb2.FeatureNameStatistics:
    described = statistics_pb2.FeatureNameStatistics(type=statistics_pb2.FeatureNameStatistics.STRING)
    described.string_stats.common_stats.num_non_missing = described.string_stats.common_stats.tot_num_values = rows
    rest = {f"word {number}": (1 - sum(shares.values())) / 5 for number in range(5)}
    for word, share in {**shares, **rest}.items():
        described.string_stats.rank_histogram.buckets.add(label=word, sample_count=share * rows)
    return described


@pytest.mark.parametrize(
    ("trained", "other", "is_chance"),
    [
        # Both are within their own bounds, and the rare one is nearer to its, which is below the other's difference.
        ({"often": 0.425, "rare": 0.065}, {"often": 0.575, "rare": 0.175}, True),
        ({"often": 0.425, "rare": 0.0}, {"often": 0.425, "rare": 0.375}, False),
    ],
)
def test_the_largest_difference_of_shares_is_compared_with_its_own_bound(trained, other, is_chance):
    sides = [describe_words(100_000, trained), describe_words(100, other)]
    largest = max(abs(trained[word] - other[word]) for word in trained)
    assert (largest <= compute_chance(*sides, threshold=0.1, columns=1)) is is_chance


def test_a_row_without_a_value_proves_nothing() -> None:
    whole = describe_words(1000, {"often": 0.4})
    half = describe_words(1000, {"often": 0.4})
    half.string_stats.common_stats.tot_num_values = 500  # the other rows have an empty list
    other = describe_words(1000, {"often": 0.55})
    bounds = [compute_chance(trained, other, threshold=0.1, columns=1) for trained in (whole, half)]
    assert bounds[1] == pytest.approx(bounds[0] * (1.5**0.5), rel=1e-3)
