"""Rows drawn from a signature's types and shapes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from taxiway.components.errors import UsageError
from taxiway.components.optimizer.given_model.parsed_examples import ParsedFeature
from taxiway.components.optimizer.given_model.random_rows import (
    RandomRows,
    choose_row_shape,
    find_integer_limits,
    read_words,
)
from taxiway.components.optimizer.given_model.signatures import TensorSpec
from tests.components.optimizer.given_model.signature_specs import make_signature

WORDS = ("good", "bad")


def make_rows(*inputs, shapes=None, features=(), limits=None, images=False):
    return RandomRows(make_signature(*inputs), shapes or {}, WORDS, features, limits or {}, 1, images)


def test_types_and_shapes_are_the_signatures():
    drawn = make_rows(
        ("counts", "int32", (None, 4)),
        ("half", "float16", (None, 2)),
        ("wide", "float64", (None,)),
        ("flag", "bool", (None,)),
        ("text", "string", (None, 2)),
        limits={"counts": 9},
    ).draw_rows(50)
    assert {name: (values.dtype.name, values.shape) for name, values in drawn.items()} == {
        "counts": ("int32", (50, 4)),
        "half": ("float16", (50, 2)),
        "wide": ("float64", (50,)),
        "flag": ("bool", (50,)),
        "text": ("object", (50, 2)),
    }
    assert set(drawn["counts"].ravel()) == set(range(9))
    assert {word for text in drawn["text"].ravel() for word in text.decode().split()} == set(WORDS)


def test_a_stream_gives_the_same_rows_and_another_other_ones():
    rows = make_rows(("x", "float32", (None, 3)))
    first, again, other = (rows.draw_rows(5, stream)["x"].tolist() for stream in (1, 1, 2))
    assert first == again != other


def test_a_mask_lets_every_position_count():
    drawn = make_rows(("input_mask", "int32", (None, 4)), limits={"input_mask": 2}).draw_rows(3)
    assert drawn["input_mask"].tolist() == [[1] * 4] * 3


def test_pixels_lie_between_0_and_1_and_take_no_second_copy():
    pixels = make_rows(("image", "float32", (None, None, None, 3))).draw_rows(2)["image"]
    assert pixels.shape == (2, 64, 64, 3)
    assert pixels.dtype == np.float32 and pixels.min() >= 0 and pixels.max() < 1 and pixels.std() > 0.2
    assert pixels.base is None


def test_texts_that_the_model_decodes_are_files_of_images():
    drawn = make_rows(("image", "string", (None,)), shapes={"image": (20, 30, 3)}, images=True).draw_rows(2)["image"]
    assert [tf.io.decode_image(file).shape.as_list() for file in drawn] == [[20, 30, 3]] * 2
    assert drawn[0] != drawn[1]


def test_the_only_feature_of_texts_holds_the_images():
    features = (ParsedFeature("image/encoded", "string", 1), ParsedFeature("age", "int64", 1))
    (row,) = make_rows(("examples", "string", (None,)), features=features, images=True).draw_rows(1)["examples"]
    parsed = tf.train.Example.FromString(row).features.feature
    assert tf.io.decode_image(parsed["image/encoded"].bytes_list.value[0]).shape == (64, 64, 3)
    assert len(parsed["age"].int64_list.value) == 1


def test_an_image_has_two_sides_and_colours():
    with pytest.raises(UsageError, match=r"--shape image=20,30 is no shape of an image(.|\n)*image=224,224,3"):
        make_rows(("image", "string", (None,)), shapes={"image": (20, 30)}, images=True).draw_rows(1)


@pytest.mark.parametrize(
    ("shape", "given", "chosen"),
    [
        ((None, 3), {}, (3,)),
        ((None, None), {}, (16,)),
        ((None, None, None, 3), {}, (64, 64, 3)),
        ((None, None, 3), {"x": (5, 3)}, (5, 3)),
        (None, {"x": (2, 2)}, (2, 2)),
    ],
)
def test_free_dimensions_are_chosen_or_given(shape, given, chosen):
    assert choose_row_shape(TensorSpec("x", "float32", shape), given) == chosen


@pytest.mark.parametrize(
    ("shape", "given", "said"),
    [
        (None, {}, "rank of its input 'x'"),
        ((None, 3), {"x": (4,)}, r"--shape x=4 does not fit the signature's x float32 \[\?, 3\]"),
        ((None, 3), {"x": (3, 1)}, "does not fit"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(shape, given, said):
    with pytest.raises(UsageError, match=said):
        choose_row_shape(TensorSpec("x", "float32", shape), given)


@pytest.mark.parametrize("size", [2, 3, 17, 1000, 32767])
def test_the_model_is_asked_how_large_an_index_may_be(size):
    def probe(tensors):
        if (tensors["item"] >= size).any() or (tensors["kind"] >= 5).any():
            raise tf.errors.InvalidArgumentError(None, None, "indices are not in the table")

    rows = make_rows(("item", "int64", (None,)), ("kind", "int32", (None, 2)), ("x", "float32", (None,)))
    assert find_integer_limits(rows.signature, rows, probe) == {"item": size, "kind": 5}


def test_numbers_that_are_no_index_go_as_far_as_their_type():
    rows = make_rows(("item", "int64", (None,)), ("small", "int8", (None,)), ("byte", "uint8", (None,)))
    assert find_integer_limits(rows.signature, rows, lambda _: None) == {"item": 2**15, "small": 2**7, "byte": 2**8}


def test_words_are_those_of_the_vocabulary_files(tmp_path):
    assert "alpha" in read_words(tmp_path)
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "words").write_text("one\t3\n\ntwo\n")
    (tmp_path / "assets" / "binary").write_bytes(b"\0\1")
    assert read_words(tmp_path) == ["one", "two"]
