"""Drawn rows: as many as asked for, each label with its share, the same for any size of batches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxiway.components.errors import DataError
from taxiway.components.tables.examples.row_sample import (
    MOST_STRATA,
    Reservoir,
    StratifiedReservoir,
    sample_calibration_rows,
    sample_split,
    share_rows,
)


def draw(labels, limit, seed=3, batch=7):
    made = StratifiedReservoir(limit, seed)
    for start in range(0, len(labels), batch):
        part = labels[start : start + batch]
        made.add_rows(part, [f"{label}:{start + i}".encode() for i, label in enumerate(part)])
    return made.draw_sample()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=200), st.integers(0, 60), st.integers(1, 50), st.integers(1, 50))
def test_batches_do_not_change_the_draw(labels, limit, one, other):
    drawn = draw(labels, limit, batch=one)
    assert drawn.rows.tolist() == draw(labels, limit, batch=other).rows.tolist()
    assert len(set(drawn.rows.tolist())) == len(drawn.rows) == min(limit, len(labels)) and drawn.available == len(
        labels
    )
    places = [int(row.split(b":")[1]) for row in drawn.rows]
    assert places == sorted(places)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=12), st.integers(0, 500))
def test_shares_are_within_one_row(sizes, limit):
    shares = share_rows(sizes, limit)
    total = sum(sizes)
    assert sum(shares) == min(limit, total)
    assert all(0 <= share <= size for share, size in zip(shares, sizes, strict=True))
    if total > limit:
        assert all(abs(share - size * limit / total) < 1 for share, size in zip(shares, sizes, strict=True))


def test_a_rare_label_keeps_its_share_where_labels_are_sorted():
    labels = [0] * 9500 + [1] * 500
    drawn = draw(labels, 100, batch=512)
    assert [row.split(b":")[0] for row in drawn.rows].count(b"1") == 5


def test_every_row_is_as_likely():
    drawn = [draw([0] * 50 + [1] * 50, 20, seed=seed, batch=13).rows for seed in range(400)]
    hits = np.bincount([int(row.split(b":")[1]) for rows in drawn for row in rows], minlength=100)
    assert hits.min() > 40 and hits.max() < 130  # 80 expected, standard deviation 8


def test_labels_of_a_regression_are_no_strata():
    labels = [float(i) for i in range(10 * MOST_STRATA)]
    assert len(draw(labels, 30).rows) == 30
    mixed = draw([0.0] * 20 + labels, 30)  # found out in the middle
    assert len(mixed.rows) == 30 and mixed.available == len(labels) + 20


def test_no_more_is_held_than_is_drawn():
    reservoir = Reservoir(10)
    for start in range(0, 10_000, 100):
        keys = np.random.default_rng(start).random(100)
        reservoir.add_rows(keys, np.arange(start, start + 100), np.zeros(100, object))
        assert len(reservoir) == 10
    assert reservoir.seen == 10_000


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """Nine files of a split `eval`, 100 rows, one in ten of the label 1; `place` is the place of a row."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("examples")
    (folder / "Split-eval").mkdir()
    for number, places in enumerate(np.array_split(np.arange(100), 9)):
        with tf.io.TFRecordWriter(str(folder / "Split-eval" / f"data-{number}.gz"), "GZIP") as out:
            for place in places.tolist():
                row = tf.train.Example()
                row.features.feature["y"].int64_list.value.append(int(place % 10 == 0))
                row.features.feature["place"].int64_list.value.append(place)
                out.write(row.SerializeToString())
    return str(folder)


def read_places(rows):
    import tensorflow as tf

    return [tf.train.Example.FromString(row).features.feature["place"].int64_list.value[0] for row in rows]


def test_a_split_is_sampled_by_label(examples):
    drawn = sample_split(examples, "eval", "y", 20, 7)
    places = read_places(drawn.rows)
    assert (len(places), drawn.available) == (20, 100) and places == sorted(places)
    assert sum(place % 10 == 0 for place in places) == 2
    assert len(sample_split(examples, "eval", "y", 500, 7).rows) == 100


def test_calibration_reads_a_few_files_of_all(examples):
    places = read_places(sample_calibration_rows(examples, "eval", 1000, 7))
    assert 40 <= len(places) <= 50 and min(places) == 0 and max(places) == 99
    assert len(sample_calibration_rows(examples, "eval", 16, 7)) == 16


def test_an_empty_split_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"There are no examples under .*/Split-eval"):
        sample_split(str(tmp_path), "eval", "y", 10, 0)
