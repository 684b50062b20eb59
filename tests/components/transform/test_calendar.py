"""Parts of the calendar in the graph, against Python's own calendar."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

MOMENTS = st.datetimes(datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31, 23, 59, 59))


@settings(max_examples=40, deadline=None)
@given(st.lists(MOMENTS, min_size=1, max_size=20))
def test_every_part_is_that_of_pythons_calendar(moments: list[datetime.datetime]) -> None:
    import tensorflow as tf

    from taxiway.components.transform.calendar import compute_part

    epoch = datetime.datetime(1970, 1, 1)
    seconds = tf.constant([(moment - epoch) // datetime.timedelta(seconds=1) for moment in moments], tf.int64)
    expected = {
        "month": [moment.month - 1 for moment in moments],
        "day": [moment.day - 1 for moment in moments],
        "weekday": [moment.weekday() for moment in moments],
        "hour": [moment.hour for moment in moments],
        "minute": [moment.minute for moment in moments],
    }
    for part, values in expected.items():
        np.testing.assert_array_equal(compute_part(seconds, part), values, part)


def test_neighbours_on_the_circle_are_near_and_a_missing_time_is_said() -> None:
    import tensorflow as tf

    from taxiway.components.transform.calendar import encode_parts

    moments = [datetime.datetime(2020, month, 1, tzinfo=datetime.UTC).timestamp() for month in (12, 1, 6)]
    seconds = tf.constant([*map(int, moments), -(2**63)], tf.int64)
    encoded = encode_parts(seconds, tf.constant([False, False, False, True]), ["month", "hour"]).numpy()
    assert encoded.shape == (4, 5)
    december, january, june = encoded[:3, :2]
    assert np.linalg.norm(december - january) < 0.6 < 1.5 < np.linalg.norm(december - june)
    np.testing.assert_allclose((encoded[:3, :2] ** 2).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(encoded[3], [0, 0, 0, 0, 1])


@pytest.mark.parametrize("buckets", [8, 256])
def test_bags_know_words_whatever_stands_between_them(buckets: int) -> None:
    import tensorflow as tf

    from taxiway.components.transform.hashed_text import hash_words

    texts = ["Große Straße, 12!", "große   STRASSE straße 12 große", "", "..?", "other"]
    bags = hash_words(tf.constant(texts), buckets).numpy()
    again = hash_words(tf.constant(["12 STRAßE große"]), buckets).numpy()
    assert bags.shape == (5, buckets)
    np.testing.assert_array_equal(bags[0], again[0])
    np.testing.assert_allclose((bags**2).sum(axis=1), [1, 1, 0, 0, 1], rtol=1e-5)


def test_ids_of_columns_do_not_meet() -> None:
    import tensorflow as tf

    from taxiway.components.transform.hashed_text import hash_values

    ids = hash_values(tf.constant([["a", "a"], ["b", "a"], ["a", "c"]]), 100).numpy()
    assert ids.dtype == np.int64 and ids[:, 0].max() < 100 <= ids[:, 1].min() and ids.max() < 200
    assert ids[0, 0] == ids[2, 0] and ids[0, 1] == ids[0, 0] + 100
