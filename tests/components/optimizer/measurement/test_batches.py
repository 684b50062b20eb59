from __future__ import annotations

import numpy as np
import pytest

from taxiway.components.optimizer.measurement.batches import count_rows, draw_batches, score_in_batches, take_rows

SERIALIZED = np.array([b"%d" % i for i in range(1300)], dtype=object)
FEATURES = {"wide": np.arange(2600.0).reshape(1300, 2), "one": np.arange(1300)}


@pytest.mark.parametrize("rows", [SERIALIZED, FEATURES], ids=["serialized", "features"])
def test_all_rows_are_scored_once_and_in_order(rows):
    sizes = []

    def score_batch(batch):
        sizes.append(count_rows(batch))
        numbers = batch["one"] if isinstance(batch, dict) else batch.astype(int)
        return numbers[:, None].astype(np.float32)

    assert score_in_batches(score_batch, rows)[:, 0].tolist() == list(range(1300))
    assert sizes == [512, 512, 276]


def test_batches_are_drawn_anew_by_their_seed():
    first, second = draw_batches(SERIALIZED, 8, 2, seed=1)
    assert first.tolist() != second.tolist()
    (again, _), (other, _) = draw_batches(SERIALIZED, 8, 2, seed=1), draw_batches(SERIALIZED, 8, 2, seed=2)
    assert again.tolist() == first.tolist() != other.tolist()


def test_features_of_a_row_stay_together():
    for batch in draw_batches(FEATURES, 16, 3, seed=0):
        assert batch["wide"].shape == (16, 2) and batch["wide"].flags.c_contiguous
        assert (batch["wide"][:, 0] == 2 * batch["one"]).all()
    assert take_rows(FEATURES, slice(1))["wide"].tolist() == [[0.0, 1.0]]
