"""Requests that no honest client sends: each must be answered, with an error where it is wrong, and end no server."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from components.contract import EXAMPLES_INPUT, SERVING_DEFAULT, SERVING_RAW
from components.errors import ServingError
from components.serving.client import GrpcClient, RestClient, ServerError
from components.serving.requests import RequestMaker
from components.serving.verdict import Finding
from components.serving.warmup import predict_request

MANY_ROWS = 10_000


def probe(grpc: GrpcClient, rest: RestClient, maker: RequestMaker) -> Iterator[Finding]:
    """Sends everything malformed, then looks whether the server still answers."""
    for name, refused, send in _cases(grpc, rest, maker):
        yield _judge(name, refused, send)
    yield _judge("an honest request after all of them", False, lambda: _one_row(grpc, maker))


def _cases(
    grpc: GrpcClient, rest: RestClient, maker: RequestMaker
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
    yield "a shape of terabytes", True, lambda: grpc.send(_huge_request())
    yield "an empty batch", None, lambda: grpc.predict(SERVING_DEFAULT, {EXAMPLES_INPUT: np.array([], object)})
    many = maker.request(SERVING_DEFAULT, slice(0, 1))[EXAMPLES_INPUT].repeat(MANY_ROWS)
    yield f"{MANY_ROWS} rows", False, lambda: grpc.predict(SERVING_DEFAULT, {EXAMPLES_INPUT: many})
    for body in (b"", b"\x00\xff\xfe", b"[" * 100_000, b'{"instances": null}', b'{"signature_name": 1}'):
        yield f"the REST body {body[:24]!r}", True, functools.partial(_raw, rest, body)
    if SERVING_RAW in maker.signatures:
        row = maker.request(SERVING_RAW, slice(0, 1))
        numbers = {alias: np.ones(1, np.float64) for alias in row}
        yield "numbers for every column", True, lambda: grpc.predict(SERVING_RAW, numbers)
        yield (
            "a column that the model has not",
            True,
            lambda: grpc.predict(SERVING_RAW, {**row, "no such": number}),
        )
        yield "no column at all over REST", True, lambda: rest.predict(SERVING_RAW, {})


def _judge(name: str, refused: bool | None, send: Callable[[], object]) -> Finding:
    try:
        send()
        answered = "answered"
    except ServerError as error:
        if error.status in ("UNAVAILABLE", "UNKNOWN", "INTERNAL", "DEADLINE_EXCEEDED", 500, 503, 504):
            return Finding(
                f"malformed: {name}", False, f"{name}: the server fails with {error.status}: {error.message}"
            )
        answered = f"refused as {error.status}"
    except ServingError as error:
        return Finding(f"malformed: {name}", False, f"{name}: {error.problem}")
    passed = refused is None or refused == answered.startswith("refused")
    return Finding(f"malformed: {name}", passed, f"{name}: {answered}")


def _one_row(grpc: GrpcClient, maker: RequestMaker) -> object:
    return grpc.predict(SERVING_DEFAULT, maker.request(SERVING_DEFAULT, slice(0, 1)))


def _raw(rest: RestClient, body: bytes) -> None:
    status, text = rest.raw(body)
    if status != 200:
        raise ServerError(status, text[:200])


def _huge_request() -> object:
    request = predict_request("", SERVING_DEFAULT, {EXAMPLES_INPUT: np.array([b"x"], object)})
    request.inputs[EXAMPLES_INPUT].tensor_shape.CopyFrom(tf.TensorShape([2**20, 2**20]).as_proto())
    return request
