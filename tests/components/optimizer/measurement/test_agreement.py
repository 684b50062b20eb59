"""Agreement with the original, by arithmetic that can be done by hand."""

from __future__ import annotations

import numpy as np
import pytest

from taxiway.components.optimizer.measurement import agreement


def _measure(values, original):
    found = agreement.measure_agreement({"y": np.asarray(values)}, {"y": np.asarray(original)})
    error = agreement.build_output_error({"y": np.asarray(values)}, {"y": np.asarray(original)}, found)
    return found[0], error, agreement.build_agreement_quality(found, error)


def test_the_same_answers_are_no_disagreement_however_few_the_rows():
    found, error, quality = _measure(np.float32([[0.1, 0.9], [0.6, 0.4]]), np.float32([[0.1, 0.9], [0.6, 0.4]]))
    assert (found.kind, found.same_decisions, found.divergence) == ("probabilities", 1.0, 0.0)
    assert error.same
    assert quality.drop.high == 0.0


def test_one_flipped_row_of_four_counts_more_than_its_small_difference():
    original = np.float32([[0.51, 0.49], [0.9, 0.1], [0.1, 0.9], [0.2, 0.8]])
    changed = original.copy()
    changed[0] = [0.49, 0.51]
    found, error, quality = _measure(changed, original)
    assert found.same_decisions == pytest.approx(0.75)
    assert found.mean_error == pytest.approx(0.005)
    assert error.decisions_flipped == 1
    assert quality.value.value == pytest.approx(0.25)
    assert quality.drop.high > 0.25


def test_values_are_judged_by_their_deviation_and_not_by_their_unit():
    original = np.float32([1000.0, 3000.0, 1000.0, 3000.0])
    found, _, quality = _measure(original + 10.0, original)
    assert (found.kind, found.scale) == ("values", 1000.0)
    assert quality.value.value == pytest.approx(0.01)


def test_divergence_of_one_probability_a_row_is_that_of_yes_and_no():
    found, _, _ = _measure(np.float32([[0.25]]), np.float32([[0.5]]))
    assert found.divergence == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3))


def test_texts_agree_or_do_not():
    found, error, _ = _measure(np.array([b"a", b"b"], object), np.array([b"a", b"c"], object))
    assert (found.kind, found.same_decisions, found.max_error) == ("labels", 0.5, None)
    assert not error.same


def test_nan_where_the_original_has_it_is_agreement():
    found, error, _ = _measure(np.float32([np.nan, 1.0]), np.float32([np.nan, 1.0]))
    assert found.max_error == 0.0
    assert error.same


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_a_variant_that_never_sees_a_rare_event_is_far_from_the_original(shape):
    original = np.random.default_rng(0).uniform(0, 0.008, 500).astype(np.float32).reshape(shape)
    found, _, quality = _measure(np.zeros_like(original), original)
    assert (found.kind, found.same_decisions) == ("probabilities", 1.0)
    assert quality.drop.low > 1
    _, _, rounded = _measure(original * np.float32(1.001), original)
    assert rounded.drop.high < 0.01
