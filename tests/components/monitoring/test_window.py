"""Requests become columns: tensors with their defaults, examples, absent inputs, masked ones."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import tensorflow as tf

from taxiway.components.monitoring import window
from taxiway.components.monitoring.window import MIXED, RequestWindow, collect_window
from taxiway.components.saved_models.signature_inputs import SignatureInput

INPUTS = {
    "fare_usd": SignatureInput("Fare (USD)", "float32", -3.4028234663852886e38),
    "company": SignatureInput("company", "string", ""),
    "seats": SignatureInput("seats", "int64", -(2**63)),
    "must": SignatureInput("must", "int64", None),
}


@dataclass
class Exchange:
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray] = field(default_factory=dict)


def collect(*requests: Exchange) -> RequestWindow:
    return collect_window(requests, INPUTS, "probabilities")


def test_defaults_absent_inputs_and_what_is_not_finite_are_missing() -> None:
    raw = Exchange(
        {
            "fare_usd": np.array([1.5, -3.4028234663852886e38, np.nan], np.float32),
            "company": np.array([b"Blue", b"", b"x"], object),
            "must": np.array([0, 1, 2]),
        },
        {"probabilities": np.array([[0.1], [0.2], [0.3]], np.float32)},
    )
    example = tf.train.Example()
    example.features.feature["seats"].int64_list.value.append(4)
    example.features.feature["company"].bytes_list.value.append(b"Green")
    example.features.feature["trip"].int64_list.value.append(77)
    examples = Exchange({"examples": np.array([example.SerializeToString()], object)})
    found = collect(raw, examples)
    assert (found.rows, found.requests) == (4, 2)
    assert found.list_first_values("Fare (USD)") == [1.5, None, None, None]
    assert found.list_first_values("company") == [b"Blue", None, b"x", b"Green"]
    assert found.list_first_values("seats") == [None, None, None, 4]
    assert found.list_first_values("must") == [0, 1, 2, None]
    assert found.list_first_values("trip") == [None, None, None, 77]
    assert found.scores is not None
    np.testing.assert_allclose(found.scores[:, 0], [0.1, 0.2, 0.3, np.nan], rtol=1e-6)
    np.testing.assert_array_equal(found.read_numbers("Fare (USD)"), [1.5])


def test_one_value_stands_for_all_rows_and_lists_stay_lists() -> None:
    found = collect(Exchange({"seats": np.array([3]), "wide": np.array([[1, 2], [3, 4]])}))
    assert found.list_first_values("seats") == [3, 3]
    assert found.columns["wide"].to_pylist() == [[1, 2], [3, 4]]


def test_a_column_of_two_types_cannot_be_read() -> None:
    found = collect(Exchange({"seats": np.array([3])}), Exchange({"seats": np.array([b"0f0f"], object)}))
    assert found.unreadable == {"seats": MIXED} and found.columns == {}


def test_requests_of_one_row_keep_their_order_among_others() -> None:
    single = [Exchange({"must": np.array([n]), "company": np.array([b"%d" % n], object)}) for n in range(30)]
    others = [Exchange({"must": np.array([100, 101])}), Exchange({"company": np.array([b"x"], object)})]
    found = collect(*single[:20], *others, *single[20:])
    numbers = [*range(20), 100, 101, None, *range(20, 30)]
    assert found.list_first_values("must") == numbers and found.requests == 32 and found.rows == 33
    assert found.list_first_values("company")[19:24] == [b"19", None, None, b"x", b"20"]


def test_examples_whose_columns_differ_in_type_are_read_one_by_one() -> None:
    texts = []
    for kind, value in (("int64_list", 3), ("bytes_list", b"0f0f"), ("int64_list", 4)):
        example = tf.train.Example()
        getattr(example.features.feature["seats"], kind).value.append(value)
        example.features.feature["must"].int64_list.value.append(1)
        texts.append(example.SerializeToString())
    found = collect(*(Exchange({"examples": np.array([text], object)}) for text in texts))
    assert found.unreadable == {"seats": MIXED} and found.list_first_values("must") == [1, 1, 1]


def test_a_request_whose_texts_are_no_examples_is_left_out_with_its_answer() -> None:
    good = tf.train.Example()
    good.features.feature["must"].int64_list.value.append(7)
    other = tf.train.Example()
    other.features.feature["must"].bytes_list.value.append(b"7")
    texts = {
        "good": [good.SerializeToString()],
        "cut": [good.SerializeToString()[:-3]],
        "json": [b'{"must": 7}'],
        "contradict": [good.SerializeToString(), other.SerializeToString()],
    }
    scores = {"probabilities": np.array([[0.5]], np.float32)}
    sent = [
        Exchange({"examples": np.array(texts[name], object)}, scores) for name in ("good", "cut", "json", "contradict")
    ]
    found = collect(*sent, sent[0])
    assert (found.rows, found.requests, found.damaged) == (2, 2, 3)
    assert found.list_first_values("must") == [7, 7]
    assert found.scores is not None and found.scores.tolist() == [[0.5], [0.5]]
    assert collect(sent[1]).damaged == 1


def test_of_too_many_rows_every_so_many_request_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "MOST_ROWS", 100)
    found = collect(*(Exchange({"must": np.full(10, number)}) for number in range(64)))
    assert found.every == 8 and found.rows == 80
    assert sorted(set(found.list_first_values("must"))) == list(range(0, 64, 8))


def test_types_of_other_signatures_are_those_of_examples() -> None:
    found = collect(
        Exchange({"wide": np.array([1.5], np.float64), "seats": np.array([3], np.int32), "on": np.array([True])}),
        Exchange(
            {"wide": np.array([2.5], np.float32), "seats": np.array([4], np.int64), "on": np.array([0], np.uint8)}
        ),
        Exchange({"grid": np.array([[["a"], ["b"]]])}),
    )
    assert found.unreadable == {}
    assert found.columns["wide"].to_pylist() == [[1.5], [2.5], None]
    assert found.columns["on"].to_pylist() == [[1], [0], None]
    assert found.columns["grid"].to_pylist() == [None, None, [b"a", b"b"]]


def test_requests_without_rows_are_left_out_and_without_inputs_they_have_those_of_their_answers() -> None:
    scores = {"probabilities": np.array([[0.1], [0.2]], np.float32)}
    empty = {"probabilities": np.zeros((0, 1), np.float32)}
    found = collect(
        Exchange({"wide": np.zeros((0, 3))}, empty),
        Exchange({"seats": np.zeros(0, np.int64)}, empty),
        Exchange({}, scores),
        Exchange({"seats": np.array([3, 4])}, scores),
    )
    assert (found.rows, found.requests, found.unreadable) == (4, 2, {})
    assert found.columns["seats"].to_pylist() == [None, None, [3], [4]] and set(found.columns) == {"seats"}
    assert found.scores is not None and found.scores.shape == (4, 1)
    assert collect().rows == 0
