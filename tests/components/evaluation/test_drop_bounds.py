"""How much worse the optimized model may be: the interval's bad end, and where the measured drop stands instead."""

import numpy as np
import pytest

from taxiway.components.evaluation import drop_bounds
from taxiway.components.evaluation.drop_bounds import PairedRows, bound_drop
from taxiway.components.metrics.quality_change import compare_quality


def draw_scores(rows: int, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, a model's scores, and those of another one that the noise makes a little better or worse."""
    random = np.random.default_rng(3)
    labels = (random.random(rows) < 0.3).astype(float)
    logits = random.normal(size=rows) + 2 * labels
    moved = logits + noise * random.normal(size=rows)
    return labels, 1 / (1 + np.exp(-moved))[:, None], 1 / (1 + np.exp(-logits))[:, None]


def test_a_variant_within_the_limit_as_measured_is_refused_at_the_bad_end():
    labels, scores, reference = draw_scores(600, 0.05)
    measured = compare_quality(["auc"], labels, scores, reference, 100, 0)["auc"].drop
    worst = bound_drop("auc", "binary", labels, scores, reference)
    assert measured.value < 0.002 < worst == pytest.approx(measured.high)


def test_of_same_answers_the_measured_drop_is_judged_and_of_too_few_rows_nothing():
    labels, scores, reference = draw_scores(300, 0.2)
    # Tango's interval of no changed decision among 300 reaches .013: it would refuse what only rounds otherwise.
    assert bound_drop("accuracy", "binary", labels, reference + 1e-7, reference) == 0
    assert bound_drop("accuracy", "binary", labels, reference + 1e-3, reference) > 0.01
    few = np.r_[np.flatnonzero(labels == 1)[:9], np.flatnonzero(labels == 0)[:90]]
    assert bound_drop("log_loss", "binary", labels[few], scores[few], reference[few]) == -np.inf


def test_what_is_not_a_number_is_no_bound():
    labels, scores, reference = draw_scores(50, 0.2)
    scores[3] = np.nan
    assert np.isnan(bound_drop("auc", "binary", labels, scores, reference))
    assert np.isnan(bound_drop("auc", "binary", *PairedRows().split_rows()))


def test_a_class_that_both_models_lack_changes_nothing():
    random = np.random.default_rng(4)
    reference = random.dirichlet([1, 1, 1], 400)
    labels = random.integers(0, 4, 400).astype(float)
    known = labels < 3
    scores = np.roll(reference, 1, axis=1)
    expected = bound_drop("accuracy", "multiclass", labels[known], scores[known], reference[known])
    assert bound_drop("accuracy", "multiclass", labels, scores, reference) == expected


def test_rows_are_drawn_where_there_are_many_and_their_order_does_not_matter(monkeypatch):
    monkeypatch.setattr(drop_bounds, "MOST_ROWS", 100)
    labels, scores, reference = draw_scores(600, 0.2)
    parts = [PairedRows() for _ in range(3)]
    for part, rows in zip(parts, np.split(np.arange(600), [250, 590]), strict=True):
        part.add_rows(labels[rows], np.hstack([scores, reference])[rows])
    merged = PairedRows()
    for part in reversed(parts):
        merged.merge_sums(part)
    kept = merged.split_rows()
    assert [each.shape for each in kept] == [(100,), (100, 1), (100, 1)]
    rows = set(zip(labels, scores[:, 0], reference[:, 0], strict=True))
    assert len({*zip(kept[0], kept[1][:, 0], kept[2][:, 0], strict=True)} & rows) == 100
    assert len(set(parts[0]._keys) | set(parts[1]._keys)) == 200, "equally long parts are not kept at the same places"
    few, turned = PairedRows(), PairedRows()
    few.add_rows(labels[:90], np.hstack([scores, reference])[:90])
    turned.add_rows(labels[:90][::-1], np.hstack([scores, reference])[:90][::-1])
    for one, other in zip(few.fold_pending().split_rows(), turned.fold_pending().split_rows(), strict=True):
        assert np.array_equal(one, other)
