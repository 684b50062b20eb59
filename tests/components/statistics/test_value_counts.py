"""Counts of values are exact up to a number of distinct ones, in any batches, and sketched beyond it."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxiway.components.statistics import value_counts
from taxiway.components.statistics.value_counts import ValueCounts


@settings(deadline=None)
@given(st.lists(st.lists(st.binary(max_size=2), max_size=30), max_size=5), st.integers(1, 40))
def test_counts_are_those_of_python(batches: list[list[bytes]], most: int) -> None:
    counts = ValueCounts("c")
    for batch in batches:
        counts.add_values(pa.array(batch, pa.large_binary()))
    expected = Counter(value for batch in batches for value in batch)
    top = sorted(expected.items(), key=lambda pair: (pair[1], pair[0]), reverse=True)[:most]
    assert counts.count_distinct() == len(expected)
    assert counts.find_top_values(most) == top


def test_whole_numbers_are_counted() -> None:
    counts = ValueCounts("c")
    counts.add_values(pa.array([3, -1, 3, 10]))
    assert counts.find_top_values(2) == [(3, 2), (10, 1)]


def test_very_many_distinct_values_are_estimated(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(value_counts, "MOST_DISTINCT", 50_000)
    caplog.set_level("INFO")
    counts = ValueCounts("id")
    for start in range(0, 200_000, 20_000):
        values = [str(i).encode() for i in range(start, start + 20_000)]
        counts.add_values(pa.array([*values, *[b"often"] * 500], pa.large_binary()))
    assert counts.count_distinct() == pytest.approx(200_001, rel=0.03)
    (top,) = counts.find_top_values(1)
    assert top[0] == b"often" and top[1] == pytest.approx(5000, rel=0.05)
    assert "id has more than 50000 distinct values" in caplog.text
    assert not counts._counted, "nothing that grows with the rows is kept"
