"""Values in JSON: what a client writes is what the server reads."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxiway.components.serving.protocol.api_errors import ApiError, ErrorCode, escape_surrogates, shorten_message
from taxiway.components.serving.protocol.json_values import encode_bytes, get_converter, quote_value


@given(st.binary(max_size=40))
def test_bytes_of_a_client_arrive_as_they_were(value: bytes) -> None:
    written = json.loads(json.dumps(encode_bytes(value)))
    assert get_converter("string")(written) == value
    assert isinstance(written, dict) == (value.decode("utf-8", "ignore").encode() != value)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("int8", 128), ("uint8", -1), ("int64", 1.0), ("bool", 1), ("float", True), ("string", 1), ("string", {"b64": 1})],
)
def test_a_value_of_another_type_is_the_client_s_mistake(dtype: str, value: object) -> None:
    with pytest.raises(ApiError) as error:
        get_converter(dtype)(value)
    assert error.value.code is ErrorCode.INVALID_ARGUMENT


def test_a_dtype_that_json_has_no_values_of() -> None:
    with pytest.raises(ApiError, match="Conversion of JSON values to type: half") as error:
        get_converter("half")
    assert error.value.code is ErrorCode.UNIMPLEMENTED


def test_messages_are_cut_and_can_be_sent() -> None:
    assert shorten_message("a" * 5, 5) == "aaaaa" and shorten_message("a" * 6, 5) == "aaaaa...TRUNCATED"
    assert escape_surrogates("a\ud800") == "a\\ud800"
    assert len(quote_value(["x" * 1000])) == 256
