"""Facts of labels, merged in any parts, are those of all labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxiway.components.training.data.label_facts import LabelFacts


def _merge(parts: list[np.ndarray]) -> LabelFacts:
    merged = LabelFacts()
    for part in parts:
        merged = merged.merge_facts(LabelFacts.summarize_labels(part))
    return merged


@given(st.lists(st.lists(st.floats(-1e6, 1e6, width=32), max_size=9), max_size=6))
def test_values_in_parts(parts: list[list[float]]) -> None:
    arrays = [np.asarray(part, np.float32) for part in parts]
    merged, whole = _merge(arrays), np.concatenate([*arrays, np.zeros(0, np.float32)]).astype(np.float64)
    assert merged.rows == len(whole)
    if len(whole):
        assert (merged.low, merged.high) == (whole.min(), whole.max())
        scale = max(abs(whole).max(), 1e-30)
        assert merged.mean == pytest.approx(whole.mean(), rel=1e-6, abs=1e-5 * scale)
        assert merged.deviation == pytest.approx(whole.std(), rel=1e-4, abs=1e-4 * scale)


@given(st.lists(st.lists(st.integers(0, 5), max_size=9), max_size=6))
def test_classes_in_parts(parts: list[list[int]]) -> None:
    whole = [label for part in parts for label in part]
    merged = _merge([np.asarray(part, np.int64) for part in parts])
    assert merged.counts == tuple(np.bincount(whole).tolist() if whole else ())
    counted = LabelFacts.from_counts(merged.counts)
    assert (counted.rows, counted.low, counted.high) == (merged.rows, merged.low, merged.high)
    assert (counted.mean, counted.deviation) == pytest.approx((merged.mean, merged.deviation))


def test_what_is_no_class_is_not_counted() -> None:
    for labels in ([-1, 0], [0.5, 1.0], [1e9, 2.0]):
        assert LabelFacts.summarize_labels(np.asarray(labels)).counts == ()
    merged = _merge([np.asarray([0, 1]), np.asarray([np.nan])])
    assert (merged.rows, merged.finite) == (3, False)
