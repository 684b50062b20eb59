"""Malformed requests: the server must answer each, refuse what is wrong with an error, and survive all of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from taxiway.components.contract import EXAMPLES_INPUT, SERVING_DEFAULT, SERVING_RAW
from taxiway.components.errors import ServingError
from taxiway.components.serving.protocol.limits import Limits
from taxiway.components.serving.requests.clients import GrpcClient, RestClient, ServerError
from taxiway.components.serving.requests.from_examples import RequestBuilder
from taxiway.components.serving.requests.warmup import build_predict_request
from taxiway.components.serving.validation.comparison import ServingFinding

MANY_ROWS = 10_000
MANY_BYTES = Limits.request_bytes * 3 // 4
"""Of one request of many rows: a wide table's have to fit into the largest message that a server takes by default."""


def probe_server(grpc: GrpcClient, rest: RestClient, builder: RequestBuilder) -> Iterator[ServingFinding]:
    """Sends every malformed request, then checks that the server still answers."""
    for name, refused, send in _build_cases(grpc, rest, builder):
        yield _check_case(name, refused, send)
    yield _check_case("an honest request after all of them", False, lambda: _ask_one_row(grpc, builder))


def _build_cases(
    grpc: GrpcClient, rest: RestClient, builder: RequestBuilder
) -> Iterator[tuple[str, bool | None, Callable[[], object]]]:
    """Name, whether it must be refused (None: either way), and the request."""
    examples, number = np.array([b"\xff garbage \x00"], object), np.ones(1, np.float32)
    yield "garbage bytes as an example", True, lambda: grpc.predict(SERVING_DEFAULT, {EXAMPLES_INPUT: examples})
    yield (
        "a number as an example",
        True,
        lambda: grpc.predict(SERVING_DEFAULT, {EXAMPLES_INPUT: number}),
    )
    yield "no input", True, lambda: grpc.predict(SERVING_DEFAULT, {})
    yield "an unknown signature", True, lambda: grpc.predict("no such signature", {EXAMPLES_INPUT: examples})
    yield "a shape of terabytes", True, lambda: grpc.send_request(_build_huge_request())
    yield "an empty batch", None, lambda: grpc.predict(SERVING_DEFAULT, {EXAMPLES_INPUT: np.array([], object)})
    many = repeat_row(builder.build_request(SERVING_DEFAULT, slice(0, 1))[EXAMPLES_INPUT])
    yield f"{len(many)} rows", False, lambda: grpc.predict(SERVING_DEFAULT, {EXAMPLES_INPUT: many})
    for body in (b"", b"\x00\xff\xfe", b"[" * 100_000, b'{"instances": null}', b'{"signature_name": 1}'):
        yield f"the REST body {body[:24]!r}", True, functools.partial(_post_raw, rest, body)
    if SERVING_RAW in builder.signatures:
        row = builder.build_request(SERVING_RAW, slice(0, 1))
        numbers = {alias: np.ones(1, np.float64) for alias in row}
        yield "numbers for every column", True, lambda: grpc.predict(SERVING_RAW, numbers)
        yield (
            "a column that the model has not",
            True,
            lambda: grpc.predict(SERVING_RAW, {**row, "no such": number}),
        )
        yield "no column at all over REST", True, lambda: rest.predict(SERVING_RAW, {})


def repeat_row(row: np.ndarray) -> np.ndarray:
    """Many times the one serialized row, shape `[rows]`."""
    return row.repeat(max(1, min(MANY_ROWS, MANY_BYTES // max(1, len(row[0])))))


def _check_case(name: str, refused: bool | None, send: Callable[[], object]) -> ServingFinding:
    try:
        send()
        answered = "answered"
    except ServerError as error:
        if error.status in ("UNAVAILABLE", "UNKNOWN", "INTERNAL", "DEADLINE_EXCEEDED", 500, 503, 504):
            return ServingFinding(
                f"malformed: {name}", False, f"{name}: the server fails with {error.status}: {error.message}"
            )
        answered = f"refused as {error.status}"
    except ServingError as error:
        return ServingFinding(f"malformed: {name}", False, f"{name}: {error.problem}")
    passed = refused is None or refused == answered.startswith("refused")
    return ServingFinding(f"malformed: {name}", passed, f"{name}: {answered}")


def _ask_one_row(grpc: GrpcClient, builder: RequestBuilder) -> object:
    return grpc.predict(SERVING_DEFAULT, builder.build_request(SERVING_DEFAULT, slice(0, 1)))


def _post_raw(rest: RestClient, body: bytes) -> None:
    status, text = rest.post_body(body)
    if status != 200:
        raise ServerError(status, text[:200])


def _build_huge_request() -> object:
    request = build_predict_request("", SERVING_DEFAULT, {EXAMPLES_INPUT: np.array([b"x"], object)})
    request.inputs[EXAMPLES_INPUT].tensor_shape.CopyFrom(tf.TensorShape([2**20, 2**20]).as_proto())
    return request
