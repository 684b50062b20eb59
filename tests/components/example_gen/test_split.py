"""Splits depend on content only."""

import numpy as np
import pyarrow as pa
import pytest

from components.errors import DataError
from components.example_gen import split as splits
from components.example_gen.config import SplitConfig

ROWS = 20_000
COLUMNS = {
    "a": pa.array(range(ROWS)),
    "b": pa.array([f"v{i % 13}".encode() for i in range(ROWS)], pa.large_binary()),
    "c": pa.array([None if i % 3 else i / 7 for i in range(ROWS)]),
}


def test_shares_of_entities():
    config = SplitConfig(by="entity", column="a", train=0.5, eval=0.2)
    got = splits.assign(config, COLUMNS, ROWS, None)
    assert np.allclose(np.bincount(got) / ROWS, [0.5, 0.2, 0.3], atol=0.02)


def test_places_are_cut_by_class():
    places, classes = np.array([0, 5, 5, 9, 9], np.uint64), np.array([0, 0, 1, 0, 1])
    cuts = np.array([[5, 9], [9, 9]], np.uint64)
    got = splits.assign_by_place(places, classes, cuts)
    assert got.tolist() == [splits.TRAIN, splits.EVAL, splits.TRAIN, splits.LEFT_OUT, splits.LEFT_OUT]


def test_hashes_without_the_label():
    rows, features = splits.hashes_with_and_without(COLUMNS, ROWS, "c")
    assert (rows == splits.row_hashes(COLUMNS, ROWS)).all()
    assert (features == splits.row_hashes({n: COLUMNS[n] for n in "ab"}, ROWS)).all()
    rows, features = splits.hashes_with_and_without(COLUMNS, ROWS, "made")
    assert (rows == features).all()


def test_integers_beyond_a_float_have_hashes_of_their_own():
    large = [2**53 + i for i in range(4)] + [2**63 - 1, 2**63 - 2, -(2**63), 7]
    one = splits.row_hashes({"n": pa.array(large)}, len(large))
    assert len(np.unique(one)) == len(large)
    assert one[-1] == splits.row_hashes({"n": pa.array([7.0])}, 1)[0]


def test_order_of_columns_and_number_type_do_not_count():
    one = splits.row_hashes(COLUMNS, ROWS)
    other = dict(reversed(COLUMNS.items())) | {"a": COLUMNS["a"].cast(pa.float64())}
    assert (one == splits.row_hashes(other, ROWS)).all()
    assert len(np.unique(one)) == ROWS


def test_name_value_and_salt_count():
    one = {"a": pa.array([1, 2])}
    assert (splits.row_hashes(one, 2) != splits.row_hashes({"b": pa.array([1, 2])}, 2)).all()
    assert (splits.row_hashes(one, 2) != splits.row_hashes(one, 2, "salt")).all()
    swapped = splits.row_hashes({"a": pa.array([1]), "b": pa.array([2])}, 1)
    assert swapped != splits.row_hashes({"a": pa.array([2]), "b": pa.array([1])}, 1)


def test_known_hashes_never_change():
    """Another value here means another split of everybody's data."""
    table = {"n": pa.array([1, None]), "s": pa.array([b"x", b"y"], pa.large_binary())}
    assert [f"{h:016x}" for h in splits.row_hashes(table, 2)] == ["66288c28fcdf85ac", "84e93aafe20647cf"]


def test_entities_stay_together():
    config = SplitConfig(by="entity", column="b")
    got = splits.assign(config, COLUMNS, ROWS, None)
    by_entity = {}
    for value, split in zip(COLUMNS["b"].to_pylist(), got, strict=True):
        by_entity.setdefault(value, set()).add(int(split))
    assert all(len(s) == 1 for s in by_entity.values())
    with pytest.raises(DataError, match="'c' has no value in"):
        splits.assign(SplitConfig(by="entity", column="c"), COLUMNS, ROWS, None)


def test_time_quantile_and_cutoff():
    values = np.arange(1000.0)
    sketches = [(600, splits.sketch(values[:600])), (400, splits.sketch(values[600:]))]
    cutoff = splits.quantile_cutoff(sketches, 0.8)
    assert cutoff == pytest.approx(800, abs=2)
    assert splits.quantile_cutoff(sketches[::-1], 0.8) == cutoff
    got = splits.assign(SplitConfig(by="time", column="a"), {"a": pa.array([799, 900])}, 2, cutoff)
    assert got.tolist() == [splits.TRAIN, splits.EVAL]


def test_time_as_iso_text():
    column = pa.array([b"2020-01-01", b"2021-06-01"], pa.large_binary())
    config = SplitConfig(by="time", column="d", cutoff="2021-01-01")
    assert splits.assign(config, {"d": column}, 2, splits.parse_cutoff(config.cutoff)).tolist() == [0, 1]
    with pytest.raises(DataError, match="no ISO date"):
        splits.times(pa.array([b"gestern"]), "d")
    with pytest.raises(DataError, match="cutoff 'soon'"):
        splits.parse_cutoff("soon")


def test_one_time_only():
    with pytest.raises(DataError, match="the same time in all rows"):
        splits.quantile_cutoff([(3, [5.0, 5.0, 5.0])], 0.8)
