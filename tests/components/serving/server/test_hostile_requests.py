"""What clients may send to the embedded server: every answer says what is wrong, and none is a fault of the server.

The application and the calls are asked without sockets, on one small model.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import predict_pb2

from taxiway.components.serving.protocol import tensor_protos
from taxiway.components.serving.protocol.api_errors import ApiError, ErrorCode
from taxiway.components.serving.protocol.limits import Limits, RequestDeadline
from taxiway.components.serving.request_log.request_trace import RequestTrace
from taxiway.components.serving.server import grpc_server, rest
from taxiway.components.serving.server.api import ServingApi
from taxiway.components.serving.server.repository import ModelRepository
from tests.components.serving.asgi import ask

PREDICT = "/v1/models/taxi:predict"
LIMITS = Limits(request_bytes=4_000_000, bodies_bytes=8_000_000, rows=1000, threads=2)
EXAMPLES = int(os.environ.get("TAXIWAY_FUZZ_EXAMPLES", "60"))
FUZZ = settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def api(taxi_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingApi]:
    base = tmp_path_factory.mktemp("serving") / "taxi"
    base.mkdir()
    (base / "1").symlink_to(taxi_model)
    repository = ModelRepository("taxi", base)
    repository.refresh()
    yield ServingApi({"taxi": repository}, LIMITS)
    repository.stop()


@pytest.fixture(scope="module")
def app(api: ServingApi) -> Any:
    return rest.build_application(api)


def raw(values: str) -> str:
    return f'{{"signature_name": "serving_raw", "inputs": {{"fare_usd": {values}, "company": ["a"], "seats": [1]}}}}'


def refused(app: Any, body: str | bytes, path: str = PREDICT) -> str:
    """The error of a request that is the client's fault."""
    content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    status, answer = ask(app, "POST", path, content)
    assert status == 400, (status, answer)
    return str(json.loads(answer)["error"])


@pytest.mark.parametrize("depth", [2, 31, 32, 33, 64, 900, 100_000])
@pytest.mark.parametrize("format_", ["instances", "inputs"])
def test_values_nested_deep(app: Any, depth: int, format_: str) -> None:
    nested = "[" * depth + "1.0" + "]" * depth
    assert refused(app, raw(nested))
    assert refused(app, f'{{"{format_}": {nested}}}')
    assert refused(app, f'{{"signature_name": {nested}}}')


@pytest.mark.parametrize("digits", [20, 309, 310, 400, 4300, 4301, 5000, 100_000])
def test_integers_of_many_digits(app: Any, digits: int) -> None:
    for number in ("9" * digits, "-" + "9" * digits):
        assert refused(app, raw("[1.0]").replace("[1]", f"[{number}]"))
        assert refused(app, f'{{"instances": [{{"examples": {number}}}]}}')
        if digits > 309:
            assert "too big" in refused(app, raw(f"[{number}]")) and "too big" in refused(app, f'{{"x": {number}}}')


def test_a_number_above_a_double_is_not_infinity(app: Any) -> None:
    for number in ("1e400", "1E+400", "-1e309", "1" + "0" * 320 + ".0"):
        assert "too big" in refused(app, raw(f"[{number}]"))
    status, answer = ask(app, "POST", PREDICT, raw("[1e-400]").encode())
    assert status == 200 and b"outputs" in answer


@pytest.mark.parametrize("half", ["\\ud800", "\\udfff", "a\\ud83d", "\\udc00\\ud800"])
def test_half_of_a_surrogate_pair(app: Any, half: str) -> None:
    body = f'{{"signature_name": "serving_raw", "inputs": {{"fare_usd": [1.0], "company": ["{half}"], "seats": [1]}}}}'
    assert "surrogate" in refused(app, body)
    assert refused(app, f'{{"signature_name": "{half}", "instances": [1]}}')
    assert refused(app, f'{{"instances": [{{"{half}": 1}}]}}')
    assert refused(app, f'{{"inputs": {{"{half}": 1}}}}')


@pytest.mark.parametrize("digits", [19, 20, 400, 4300, 5000, 60_000])
def test_versions_of_many_digits(app: Any, digits: int) -> None:
    for path in (f"/versions/{'9' * digits}", f"/versions/{'9' * digits}/metadata"):
        for method, tail in (("GET", ""), ("POST", ":predict")):
            status, answer = ask(app, method, f"/v1/models/taxi{path}{tail}", b"{}")
            assert status in (400, 404) and json.loads(answer)["error"]
    assert ask(app, "GET", f"/v1/models/taxi/versions/{'0' * digits}1")[0] == 200
    assert ask(app, "GET", "/v1/models/taxi/versions/١")[0] == 400  # digits of another script


def test_a_signature_that_is_an_op(api: ServingApi, app: Any) -> None:
    """TensorFlow's initializer is listed as a signature whose output is an op; predict_util.cc refuses it."""
    for body in ('"instances": [1]', '"instances": [{}]', '"inputs": {}', '"inputs": 1'):
        problem = refused(app, f'{{"signature_name": "__saved_model_init_op", {body}}}')
        assert "Expected prediction signature method_name" in problem
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "taxi", "__saved_model_init_op"
    code, message = call(api, request.SerializeToString())
    assert code is ErrorCode.INVALID_ARGUMENT and "method_name" in message


def test_an_error_does_not_repeat_a_megabyte(app: Any) -> None:
    assert len(refused(app, json.dumps({"signature_name": "x" * 1_000_000, "instances": [1]}))) < 3000


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**31, 2**63, 2**64, -(2**63) - 1, 10**308, 10**309, 10**4000]),
    st.floats(),
    st.text(st.characters(), max_size=8),
    st.sampled_from(["\ud800", "serving_raw", "b64", "fare_usd", "Blue", "\x00", "AA=="]),
    st.fixed_dictionaries({"b64": st.text(max_size=6)}),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["fare_usd", "company", "seats", "examples", "b64", "x", "\udc80"]), inner)
    ),
    max_leaves=12,
)
BODIES = st.dictionaries(st.sampled_from(["instances", "inputs", "x"]), VALUES, max_size=2).flatmap(
    lambda body: st.sampled_from(
        [body] + [{**body, "signature_name": n} for n in ("serving_raw", "serving_default", "", "x", "\udc80", 1)]
    )
)
RIGHT = {"fare_usd": 1.5, "company": "Blue", "seats": 2}


@FUZZ
@given(body=BODIES)
def test_any_json(app: Any, body: dict[str, Any]) -> None:
    status, answer = ask(app, "POST", PREDICT, json.dumps(body).encode())
    assert status in (200, 400), (status, answer)
    json.loads(answer)


@FUZZ
@given(rows=st.lists(st.dictionaries(st.sampled_from(list(RIGHT)), VALUES, max_size=2), min_size=1, max_size=3))
def test_rows_with_one_wrong_value(app: Any, rows: list[dict[str, Any]]) -> None:
    for body in (
        {"signature_name": "serving_raw", "instances": [{**RIGHT, **row} for row in rows]},
        {"signature_name": "serving_raw", "inputs": {name: [{**RIGHT, **row}[name] for row in rows] for name in RIGHT}},
    ):
        status, answer = ask(app, "POST", PREDICT, json.dumps(body).encode())
        assert status in (200, 400), (status, answer)
        json.loads(answer)


@FUZZ
@given(
    body=st.binary(max_size=64) | st.text(max_size=64).map(lambda text: text.encode("utf-8", "surrogatepass")),
    method=st.sampled_from(["GET", "POST", "PUT", "OPTIONS", "HEAD", "X"]),
    path=st.text(st.characters(), max_size=20).map(lambda text: "/v1/models/taxi" + text) | st.just(PREDICT),
    headers=st.dictionaries(
        st.sampled_from(["host", "origin", "content-type", "content-length", "sec-fetch-site"]),
        st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=12),
    ),
)
def test_any_bytes_to_any_path(app: Any, body: bytes, method: str, path: str, headers: dict[str, str]) -> None:
    status, answer = ask(app, method, path, body, headers)
    assert status < 500 or status == 501, (status, answer)
    json.loads(answer)
    status, answer = ask(
        app, "POST", PREDICT, json.dumps({"signature_name": "serving_raw", "instances": [RIGHT]}).encode()
    )
    assert (status, len(json.loads(answer)["predictions"])) == (200, 1)


# ---- gRPC ----


def call(api: ServingApi, message: bytes, method: str = "Predict") -> tuple[ErrorCode, str]:
    """The answer to a call; what the call reserved is given back."""
    with contextlib.ExitStack() as held:
        try:
            grpc_server.answer_call(api, method, message, RequestDeadline(60), held, RequestTrace("GRPC"))
        except ApiError as error:
            return error.code, error.message
        return ErrorCode.OK, ""


def request_of(proto: Any, alias: str = "examples", signature: str = "serving_default") -> bytes:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "taxi", signature
    request.inputs[alias].CopyFrom(proto)
    return bytes(request.SerializeToString())


def tensor(sizes: list[int], **fields: Any) -> Any:
    proto = tensor_pb2.TensorProto(**{"dtype": types_pb2.DT_STRING, **fields})
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    return proto


@pytest.mark.parametrize(
    "proto",
    [
        tensor([2**26], string_val=[b"x"]),
        tensor([2**26], string_val=[]),
        tensor([5], string_val=[b"x"] * 4),
        tensor([2], string_val=[b"x"] * 3),
        tensor([], string_val=[]),
        tensor([2**31, 2**31, 2**31], string_val=[b"x"]),
        tensor([2**62, 4], string_val=[b"x"]),
        tensor([-1], string_val=[b"x"]),
        tensor([-1, -1], string_val=[b"x"]),
        tensor([2**62, 0]),
        tensor([0, 2**40]),
        tensor([1] * 33, string_val=[b"x"]),
        tensor([1] * 300, string_val=[b"x"]),
        tensor([1], tensor_content=b"x"),
        tensor([1], float_val=[1.0]),
        tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, tensor_shape={"unknown_rank": True}, string_val=[b"x"]),
    ],
)
def test_a_tensor_holds_as_many_values_as_its_shape_says(api: ServingApi, proto: Any) -> None:
    code, message = call(api, request_of(proto))
    assert code is ErrorCode.INVALID_ARGUMENT and ("input examples" in message or "tensor_content" in message), message


@pytest.mark.parametrize("dtype", [types_pb2.DT_FLOAT, types_pb2.DT_INT64])
@pytest.mark.parametrize("size", [0, 1, 2, 7, 2**26])
def test_packed_values_and_content_are_counted(api: ServingApi, dtype: int, size: int) -> None:
    field, itemsize = ("float_val", 4) if dtype == types_pb2.DT_FLOAT else ("int64_val", 8)
    for given_ in (1, 2, 3):
        for fields in ({field: [1] * given_}, {"tensor_content": b"\0" * (itemsize * given_)}):
            proto = tensor([size], dtype=dtype, **fields)
            with contextlib.nullcontext() if given_ == size else pytest.raises(ApiError, match="the shape"):
                tensor_protos.check_values("x", proto, LIMITS)
    with pytest.raises(ApiError, match="the shape"):
        tensor_protos.check_values("x", tensor([1], dtype=dtype, tensor_content=b"\0" * (itemsize + 1)), LIMITS)


@pytest.mark.parametrize("dtype", [0, 1, 3, 8, 14, 20, 21, 23, 101, 107, 9999, -1])
def test_a_wrong_dtype_is_the_clients_fault(api: ServingApi, dtype: int) -> None:
    code, message = call(api, request_of(tensor([1], dtype=dtype)))
    assert code is ErrorCode.INVALID_ARGUMENT and "expects string, but" in message


def test_bytes_that_are_no_message_are_the_clients_fault(api: ServingApi) -> None:
    for method in ("Predict", "GetModelMetadata", "GetModelStatus"):
        code, message = call(api, b"\xff\xff\xff", method)
        assert code is ErrorCode.INVALID_ARGUMENT and "The message is no" in message
        assert call(api, b"\x00", method)[0] is ErrorCode.INVALID_ARGUMENT


def test_a_small_integer_type_is_not_wrapped() -> None:
    proto = tensor([1], dtype=types_pb2.DT_INT8, int_val=[300])
    with pytest.raises(ApiError, match="outside of int8"):
        tensor_protos.decode_tensor("x", proto, proto, LIMITS)


SIZES = st.lists(st.integers(-2, 4) | st.sampled_from([2**26, 2**31, 2**62, -(2**63)]), max_size=4)
PROTOS = st.builds(
    tensor,
    SIZES,
    dtype=st.integers(0, 25) | st.sampled_from([101, 9999]),
    string_val=st.lists(st.binary(max_size=3), max_size=3),
    float_val=st.lists(st.floats(width=32), max_size=3),
    int64_val=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
    tensor_content=st.just(b"") | st.binary(max_size=16),
)


@FUZZ
@given(proto=PROTOS)
def test_any_tensor(api: ServingApi, proto: Any) -> None:
    code, message = call(api, request_of(proto))
    assert code in (ErrorCode.OK, ErrorCode.INVALID_ARGUMENT), (code, message)
    if code is ErrorCode.OK:
        assert math.prod(dim.size for dim in proto.tensor_shape.dim) == len(proto.string_val)


@FUZZ
@given(
    columns=st.dictionaries(st.sampled_from(["fare_usd", "company", "seats", "x"]), PROTOS, max_size=4),
    filter_=st.lists(st.sampled_from(["predicted_label", "probabilities", "x", ""]), max_size=2),
)
def test_any_columns(api: ServingApi, columns: dict[str, Any], filter_: list[str]) -> None:
    request = predict_pb2.PredictRequest(output_filter=filter_)
    request.model_spec.name, request.model_spec.signature_name = "taxi", "serving_raw"
    for alias, proto in columns.items():
        request.inputs[alias].CopyFrom(proto)
    code, message = call(api, request.SerializeToString())
    assert code in (ErrorCode.OK, ErrorCode.INVALID_ARGUMENT), (code, message)


@FUZZ
@given(message=st.binary(max_size=64), method=st.sampled_from(["Predict", "GetModelMetadata", "GetModelStatus"]))
def test_any_bytes_as_a_call(api: ServingApi, message: bytes, method: str) -> None:
    code, text = call(api, message, method)
    assert code in (ErrorCode.OK, ErrorCode.INVALID_ARGUMENT, ErrorCode.NOT_FOUND, ErrorCode.FAILED_PRECONDITION), (
        code,
        text,
    )


# ---- what a request may take ----


def test_one_value_is_not_spread_over_many_rows(api: ServingApi, app: Any) -> None:
    body = {"fare_usd": [1.0], "company": ["a", "b", "c"], "seats": [1, 2, 3]}
    problem = refused(app, json.dumps({"signature_name": "serving_raw", "inputs": body}))
    assert "fare_usd has 1, company has 3" in problem
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "taxi", "serving_raw"
    for alias, values in body.items():
        dtype = {"fare_usd": np.float32, "seats": np.int64}.get(alias, object)
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(np.array(values, dtype)))
    code, message = call(api, request.SerializeToString())
    assert code is ErrorCode.INVALID_ARGUMENT and "fare_usd has 1, company has 3" in message


def test_too_many_rows(api: ServingApi, app: Any) -> None:
    assert call(api, request_of(tensor([1000], string_val=[b""] * 1000)))[0] is ErrorCode.OK
    code, message = call(api, request_of(tensor([1001], string_val=[b""] * 1001)))
    assert code is ErrorCode.INVALID_ARGUMENT and "1001 rows" in message and "--max-rows" in message
    assert "1001 rows" in refused(app, json.dumps({"instances": [""] * 1001}))


def test_everything_reserved_is_given_back(api: ServingApi, app: Any) -> None:
    refused(app, raw("[1.0, 2.0]"))
    ask(app, "POST", PREDICT, raw("[1.0]").encode())
    call(api, request_of(tensor([1], string_val=[b""])))
    call(api, request_of(tensor([2], string_val=[b""])))
    assert api.memory.held_bytes == 0 and app._bodies.held_bytes == 0


def test_a_large_message_of_fields_that_become_much_more(api: ServingApi) -> None:
    """Two bytes each, which protobuf makes a hundred of."""
    many = 200_000
    for field in (b"\x72\x00", b"\x7a\x00"):  # resource_handle_val, variant_val
        inner = field * many
        assert call(api, _nested(inner))[0] is ErrorCode.INVALID_ARGUMENT
    dims = b"\x12\x00" * many
    assert call(api, _nested(b"\x12" + _length(dims) + dims))[0] is ErrorCode.INVALID_ARGUMENT
    entries = b"".join(b"\x12" + _length(e) + e for e in (b"\x0a\x04%04x" % n for n in range(60_000)))
    assert call(api, entries)[0] is ErrorCode.INVALID_ARGUMENT
    texts = tensor([150_000], string_val=[b"x"] * 150_000)
    assert "150000 rows" in call(api, request_of(texts))[1]


def _length(content: bytes) -> bytes:
    size, out = len(content), b""
    while size > 0x7F:
        out, size = out + bytes([size & 0x7F | 0x80]), size >> 7
    return out + bytes([size])


def _nested(proto: bytes) -> bytes:
    entry = b"\x0a\x08examples\x12" + _length(proto) + proto
    return b"\x0a\x06\x0a\x04taxi\x12" + _length(entry) + entry
