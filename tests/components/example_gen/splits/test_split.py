"""Splits depend on content only."""

import numpy as np
import pyarrow as pa
import pytest

from taxiway.components.errors import DataError
from taxiway.components.example_gen.config import SplitConfig
from taxiway.components.example_gen.splits.split import (
    EVAL,
    LEFT_OUT,
    TEST,
    TRAIN,
    assign_by_column,
    assign_by_place,
    compute_cutoffs,
    convert_times,
    hash_rows,
    hash_rows_and_features,
    parse_cutoff,
    sketch_quantiles,
)

ROWS = 20_000
KNOWN_HASHES = [
    "d2bba02ddf1a0ede",
    "860b4e1e3fcb40ef",
    "85d59690211d6e37",
    "0d0d5f3cc0b73be5",
    "5fa21a4094852ded",
    "9f11d45e9c7312bc",
    "49df6bf9d4874f40",
]
KNOWN_SPLITS = [TRAIN, EVAL, EVAL, TRAIN, EVAL, EVAL, TRAIN, LEFT_OUT, TRAIN, TRAIN, EVAL, TRAIN]
"""Of the numbers 0 to 11. Others would be another split of everybody's data."""
COLUMNS = {
    "a": pa.array(range(ROWS)),
    "b": pa.array([f"v{i % 13}".encode() for i in range(ROWS)], pa.large_binary()),
    "c": pa.array([None if i % 3 else i / 7 for i in range(ROWS)]),
}


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({"train": 0.5, "eval": 0.2}, [0.5, 0.2, 0, 0.3]),
        ({}, [0.7, 0.15, 0.15]),
        ({"train": 0.4, "eval": 0.3, "test": 0.2}, [0.4, 0.3, 0.2, 0.1]),
    ],
)
def test_shares_of_entities(shares, expected):
    got = assign_by_column(SplitConfig(by="entity", column="a", **shares), COLUMNS, ROWS, ())
    assert np.allclose(np.bincount(got) / ROWS, expected, atol=0.02)


def test_places_are_cut_by_class():
    places, classes = np.array([0, 5, 5, 9, 9], np.uint64), np.array([0, 0, 1, 0, 1])
    cuts = np.array([[5, 9, 9], [9, 9, 10]], np.uint64)
    got = assign_by_place(places, classes, cuts)
    assert got.tolist() == [TRAIN, EVAL, TRAIN, LEFT_OUT, TEST]


def test_hashes_without_the_label():
    rows, features = hash_rows_and_features(COLUMNS, ROWS, "c")
    assert (rows == hash_rows(COLUMNS, ROWS)).all()
    assert (features == hash_rows({n: COLUMNS[n] for n in "ab"}, ROWS)).all()
    rows, features = hash_rows_and_features(COLUMNS, ROWS, "made")
    assert (rows == features).all()


def test_integers_beyond_a_float_have_hashes_of_their_own():
    large = [2**53 + i for i in range(4)] + [2**63 - 1, 2**63 - 2, -(2**63), 7]
    one = hash_rows({"n": pa.array(large)}, len(large))
    assert len(np.unique(one)) == len(large)
    assert one[-1] == hash_rows({"n": pa.array([7.0])}, 1)[0]
    least = hash_rows({"n": pa.array([2**53, 2**53 + 1])}, 2)  # the first that a float does not hold
    assert least[0] != least[1]


def test_order_of_columns_and_number_type_do_not_count():
    one = hash_rows(COLUMNS, ROWS)
    other = dict(reversed(COLUMNS.items())) | {"a": COLUMNS["a"].cast(pa.float64())}
    assert (one == hash_rows(other, ROWS)).all()
    assert len(np.unique(one)) == ROWS


def test_name_value_and_salt_count():
    one = {"a": pa.array([1, 2])}
    assert (hash_rows(one, 2) != hash_rows({"b": pa.array([1, 2])}, 2)).all()
    assert (hash_rows(one, 2) != hash_rows(one, 2, "salt")).all()
    swapped = hash_rows({"a": pa.array([1]), "b": pa.array([2])}, 1)
    assert swapped != hash_rows({"a": pa.array([2]), "b": pa.array([1])}, 1)


def test_known_hashes_never_change():
    """Another value here means another split of everybody's data."""
    table = {"n": pa.array([1, None]), "s": pa.array([b"x", b"y"], pa.large_binary())}
    assert [f"{h:016x}" for h in hash_rows(table, 2)] == ["66288c28fcdf85ac", "84e93aafe20647cf"]


def test_known_hashes_of_large_integers_never_change():
    large = pa.array([2**52 + 1, 2**53 + 1, 2**62 + 1, -(2**62) - 1, 2**63 - 1, -(2**63), None])
    assert [f"{h:016x}" for h in hash_rows({"n": large}, len(large))] == KNOWN_HASHES


def test_a_column_without_a_name_counts():
    one, other = (hash_rows({"": pa.array([value])}, 1) for value in (1, 2))
    assert one != other


def test_no_rows_have_no_hashes():
    assert hash_rows({"n": pa.array([], pa.int64()), "s": pa.array([], pa.large_binary())}, 0).shape == (0,)


def test_known_splits_of_entities_never_change():
    config = SplitConfig(by="entity", column="n", train=0.5, eval=0.3)
    got = assign_by_column(config, {"n": pa.array(range(12))}, 12, ())
    assert got.dtype == np.int8
    assert got.tolist() == KNOWN_SPLITS


def test_minus_zero_true_and_missing_hash_as_what_they_mean():
    zero, one = (hash_rows({"n": pa.array([value])}, 1) for value in (0.0, 1))
    assert hash_rows({"n": pa.array([-0.0])}, 1) == zero
    assert hash_rows({"n": pa.array([True])}, 1) == one
    nothing = hash_rows({}, 1)
    for missing in (pa.array([None], pa.int64()), pa.array([None], pa.large_binary()), pa.array([None], pa.float64())):
        assert hash_rows({"n": missing}, 1) == nothing != zero


def test_a_missing_word_is_not_the_first_word():
    words = pa.array([b"x", None, b"x", b""], pa.large_binary())
    first, missing, again, empty = hash_rows({"s": words}, 4)
    assert first == again and len({first, missing, empty}) == 3


def test_entities_stay_together():
    config = SplitConfig(by="entity", column="b")
    got = assign_by_column(config, COLUMNS, ROWS, ())
    by_entity = {}
    for value, split in zip(COLUMNS["b"].to_pylist(), got, strict=True):
        by_entity.setdefault(value, set()).add(int(split))
    assert all(len(s) == 1 for s in by_entity.values())
    with pytest.raises(DataError, match="'c' has no value in"):
        assign_by_column(SplitConfig(by="entity", column="c"), COLUMNS, ROWS, ())


def test_time_quantile_and_cutoff():
    values = np.arange(1000.0)
    sketches = [(600, sketch_quantiles(values[:600])), (400, sketch_quantiles(values[600:]))]
    config = SplitConfig(by="time", column="a", train=0.8, eval=0.1, test=0.1)
    cutoffs = compute_cutoffs(sketches, config)
    assert cutoffs == pytest.approx([800, 900], abs=2)
    assert compute_cutoffs(sketches[::-1], config) == cutoffs
    got = assign_by_column(config, {"a": pa.array([799, 880, 950])}, 3, cutoffs)
    assert got.tolist() == [TRAIN, EVAL, TEST]
    assert compute_cutoffs(sketches, SplitConfig(by="time", column="a", train=0.8, eval=0.2)) == cutoffs[:1]


def test_the_cutoff_itself_evaluates():
    got = assign_by_column(SplitConfig(by="time", column="a"), {"a": pa.array([4, 5, 6, 7])}, 4, [5.0, 7.0])
    assert got.tolist() == [TRAIN, EVAL, EVAL, TEST]


@pytest.mark.parametrize(
    ("sketches", "train", "cutoff"),
    [
        ([(4, [1.0, 2.0, 3.0, 4.0])], 0.5, 3.0),
        ([(4, [4.0, 2.0, 1.0, 3.0])], 0.49, 2.0),
        ([(4, [1.0, 2.0, 3.0, 4.0])], 0.99, 4.0),
        ([(900, [0.0, 1.0, 2.0]), (100, [10.0])], 0.95, 10.0),  # a point stands for its share of the rows
        ([(900, [0.0, 1.0, 2.0]), (100, [10.0])], 0.85, 2.0),
        ([(10, [1.0] * 8 + [3.0, 2.0])], 0.5, 2.0),  # more than the share has the first time: the next one
    ],
)
def test_the_cutoff_leaves_the_share_before_it(sketches, train, cutoff):
    split = SplitConfig(by="time", column="t", train=train, eval=1 - train, test=0)
    assert compute_cutoffs(sketches, split) == [cutoff]


def test_a_sketch_is_evenly_spaced_from_the_first_to_the_last():
    values = np.array([4.0, 0.0, 3.0, 1.0, 2.0])
    assert sketch_quantiles(values, 3) == [0.0, 2.0, 4.0]
    assert sketch_quantiles(values, 4) == [0.0, 1.0, 2.0, 4.0]
    assert sketch_quantiles(values, 5) == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert len(sketch_quantiles(np.arange(5000.0))) == 2001


def test_times_as_numbers_are_as_they_are_and_none_may_be_missing():
    assert convert_times(pa.array([3, 1]), "d").tolist() == [3.0, 1.0]
    nanoseconds = 1_700_000_000_000_000_001  # more than a float holds exactly: still a time to compare
    assert convert_times(pa.array([nanoseconds]), "d").tolist() == [float(nanoseconds)]
    assert parse_cutoff("5.5") == 5.5
    assert parse_cutoff("1970-01-02") == 86400.0
    with pytest.raises(DataError, match="'d' has no value in 2 rows, so they have no time"):
        convert_times(pa.array([1, None, None]), "d")


def test_time_as_iso_text():
    column = pa.array([b"2020-01-01", b"2021-06-01"], pa.large_binary())
    config = SplitConfig(by="time", column="d", cutoff="2021-01-01")
    assert assign_by_column(config, {"d": column}, 2, [parse_cutoff(config.cutoff)]).tolist() == [TRAIN, EVAL]
    with pytest.raises(DataError, match="no ISO date"):
        convert_times(pa.array([b"gestern"]), "d")
    with pytest.raises(DataError, match="cutoff 'soon'"):
        parse_cutoff("soon")


@pytest.mark.parametrize(
    ("times", "test", "words"),
    [([5.0, 5.0, 5.0], 0, "later than the first rows"), ([5.0, 6.0, 6.0], 0.2, "later than the rows that evaluate")],
)
def test_fewer_times_than_splits(times, test, words):
    with pytest.raises(DataError, match=words):
        compute_cutoffs([(3, times)], SplitConfig(by="time", column="t", eval=0.1, test=test))


def test_three_times_are_three_splits():
    split = SplitConfig(by="time", column="t", train=0.9, eval=0.05, test=0.05)
    assert compute_cutoffs([(100, [1.0] * 98 + [2.0, 3.0])], split) == [2.0, 3.0]
