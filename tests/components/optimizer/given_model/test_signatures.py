"""Which signature is meant, and which inputs look like parts of a composite tensor. No TensorFlow."""

from __future__ import annotations

import pytest

from taxiway.components.errors import UsageError
from taxiway.components.optimizer.given_model.signatures import SignatureSpec, TensorSpec, choose_signature


def _signature(name="serving_default", **inputs):
    specs = {alias: TensorSpec(alias, dtype, shape, alias) for alias, (dtype, shape) in inputs.items()}
    return SignatureSpec(name, specs, {"y": TensorSpec("y", "float32", (None, 1), "y")})


def test_the_default_signature_is_taken_and_among_others_none():
    one, other = _signature(), _signature("other")
    assert choose_signature({"other": other, "serving_default": one}, "") is one
    assert choose_signature({"other": other}, "") is other
    assert choose_signature({"other": other, "third": _signature("third")}, "") is None


def test_a_misspelled_signature_is_refused_with_the_near_ones():
    with pytest.raises(UsageError, match="classify"):
        choose_signature({"classify": _signature("classify")}, "clasify")


def test_values_and_row_splits_look_ragged_and_two_plain_columns_do_not():
    assert "ragged" in _signature(words=("string", (None,)), words_1=("int64", (None,))).find_split_inputs().reason
    sparse = _signature(x=("int64", (None, 2)), x_1=("float32", (None,)), x_2=("int64", (2,)))
    assert "sparse" in sparse.find_split_inputs().reason
    assert _signature(words=("string", (None,)), other=("int64", (None,))).find_split_inputs() is None


def test_a_fixed_batch_is_seen():
    assert _signature(x=("float32", (8, 3))).fixed_rows == 8
    assert _signature(x=("float32", (None, 3))).fixed_rows is None
