"""Columns that are left out of the request log, and columns that cannot be read there."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from taxiway.components.contract import EXAMPLES_INPUT
from taxiway.components.serving.request_log.column_mask import ColumnMask, read_key


def make_mask(dropped: str = "", hashed: str = "", key: bytes = b"key") -> ColumnMask:
    return ColumnMask(frozenset(dropped.split()), frozenset(hashed.split()), key, {"fare_usd": "fare"})


def make_example(**features: list[object]) -> bytes:
    kinds = {
        bytes: lambda v: tf.train.Feature(bytes_list=tf.train.BytesList(value=v)),
        float: lambda v: tf.train.Feature(float_list=tf.train.FloatList(value=v)),
        int: lambda v: tf.train.Feature(int64_list=tf.train.Int64List(value=v)),
    }
    made = {name: kinds[type(values[0])](values) for name, values in features.items()}
    return bytes(tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString())


def test_a_column_is_masked_in_every_signature() -> None:
    mask = make_mask(dropped="name", hashed="fare")
    example = make_example(name=[b"Ada"], fare=[7.5], seats=[2])
    raw = {"name": np.array([b"Ada"], object), "fare_usd": np.array([7.5], np.float32), "seats": np.array([2])}
    masked = mask.mask_inputs({EXAMPLES_INPUT: np.array([example], object)} | raw)
    assert set(masked) == {EXAMPLES_INPUT, "fare_usd", "seats"}
    features = tf.train.Example.FromString(masked[EXAMPLES_INPUT][0]).features.feature
    assert set(features) == {"fare", "seats"} and features["seats"].int64_list.value == [2]
    assert features["fare"].bytes_list.value == [masked["fare_usd"][0]]
    assert len(masked["fare_usd"][0]) == 32 and b"7.5" not in masked[EXAMPLES_INPUT][0]
    assert raw["fare_usd"][0] == 7.5  # the request's own arrays are as they were


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=8), min_size=1, max_size=8))
def test_hashes_are_equal_where_values_are_and_depend_on_the_key(values: list[bytes]) -> None:
    inputs = {"id": np.array(values, object)}
    hashes = make_mask(hashed="id").mask_inputs(inputs)["id"]
    other = make_mask(hashed="id", key=b"another").mask_inputs(inputs)["id"]
    for index, value in enumerate(values):
        assert [h == hashes[index] for h in hashes] == [v == value for v in values]
    assert not set(hashes) & set(other)


def test_without_columns_to_mask_a_request_is_logged_as_it_came() -> None:
    garbage = {EXAMPLES_INPUT: np.array([b"\xff"], object)}
    np.testing.assert_array_equal(make_mask().mask_inputs(garbage)[EXAMPLES_INPUT], garbage[EXAMPLES_INPUT])


def test_what_cannot_be_masked_is_not_logged() -> None:
    with pytest.raises(ValueError, match=r"no tf\.Example"):
        make_mask(dropped="name").mask_inputs({EXAMPLES_INPUT: np.array([b"\xff"], object)})


def test_the_key_stays_and_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "a" / "key"
    key = read_key(path)
    assert len(key) == 32 and read_key(path) == key and read_key(tmp_path / "other") != key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
