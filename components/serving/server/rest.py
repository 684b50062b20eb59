"""TensorFlow Serving's REST API as an ASGI application, over `api.ServingApi`.

The paths, the errors and the form of the answers follow tensorflow/serving's api_rest.md, http_rest_api_handler.cc and
http_rest_api_util.cc. Classify and Regress are not offered.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import re
import threading
from concurrent import futures
from typing import Any
from urllib.parse import unquote

import tensorflow as tf
from google.protobuf import json_format
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from taxiway.components.contract import SERVING_DEFAULT
from taxiway.components.serving.protocol import json_answers, json_requests
from taxiway.components.serving.protocol.api_errors import (
    HTTP_STATUS,
    ApiError,
    ErrorCode,
    make_invalid_argument_error,
    shorten_message,
)
from taxiway.components.serving.protocol.limits import RequestDeadline, estimate_json_bytes
from taxiway.components.serving.request_log.request_trace import RequestTrace
from taxiway.components.serving.server.api import SIGNATURE_DEF, ServingApi, check_method
from taxiway.components.serving.server.request_bodies import BodyError, RequestBodies
from taxiway.components.serving.server.request_origins import OriginRules
from taxiway.components.serving.server.server_metrics import CONTENT_TYPE
from taxiway.components.serving.versions.kubernetes_manifest import METRICS_PATH
from taxiway.components.stack_seam import make_json_options

LOG = logging.getLogger(__name__)
HEALTH, READY = "/healthz", "/readyz"
METRICS = ("/metrics", METRICS_PATH)
"""Prometheus' own path, and TensorFlow Serving's."""
CHUNK_BYTES = 1 << 16
"""An answer is sent in pieces, each after the client has taken those before."""
CLOSED_BY_CLIENT = 499
BODY_STATUS = {408: ErrorCode.DEADLINE_EXCEEDED, 503: ErrorCode.UNAVAILABLE}
"""Status, in metrics and logs, of a body that is not received; of the others, INVALID_ARGUMENT."""

_WHICH = r"(?:(?:/versions/(?P<version>[0-9]+))|(?:/labels/(?P<label>[^/:]+)))?"
_POST = re.compile(rf"(?i)/v1/models/(?P<model>[^/:]+){_WHICH}:(?P<method>classify|regress|predict)")
_GET = re.compile(rf"(?i)/v1/models(?:/(?P<model>[^/:]+))?{_WHICH}(?:/(?P<part>metadata))?")


def build_application(api: ServingApi, rules: OriginRules | None = None) -> ASGIApp:
    """The ASGI application.

    Args:
        api: Answers, and the limits.
        rules: Rules for hosts and pages; None: those of a server on loopback.
    """
    return _RestApplication(api, rules or OriginRules("127.0.0.1"))


class _RestApplication:
    def __init__(self, api: ServingApi, rules: OriginRules) -> None:
        self._api, self._rules = api, rules
        self._bodies = RequestBodies(api.limits)
        self._threads = futures.ThreadPoolExecutor(api.limits.threads, "rest")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        refusal = self._rules.find_refusal(request.method, Headers(scope=scope))
        if refusal:
            await _send_answer(send, refusal[0], _format_error(refusal[1]))
        elif scope["path"] in METRICS:
            await _send_answer(send, 200, self._api.recorder.metrics.format_text().decode(), CONTENT_TYPE)
        elif scope["path"] in (HEALTH, READY):
            await _send_answer(send, *(_check_health if scope["path"] == HEALTH else _check_ready)(self._api))
        else:
            await self._answer_model_request(request, send)

    async def _answer_model_request(self, request: Request, send: Send) -> None:
        trace = self._api.recorder.begin("REST", request.client.host if request.client else "")
        trace.request_id = request.headers.get("x-request-id", "")
        try:
            with contextlib.ExitStack() as held:  # body and memory, until the answer is taken
                status, content = await self._answer_request(request, held, trace)
                if status != CLOSED_BY_CLIENT:
                    await _send_answer(send, status, content)
        finally:
            self._api.recorder.end(trace)

    async def _answer_request(
        self, request: Request, held: contextlib.ExitStack, trace: RequestTrace
    ) -> tuple[int, str]:
        try:
            body = await held.enter_context(self._bodies.reserve_body()).read_body(request)
            return 200, await self._answer_in_thread(request, body, held, trace)
        except BodyError as error:
            trace.status = BODY_STATUS.get(error.status, ErrorCode.INVALID_ARGUMENT).name
            return error.status, _format_error(error.message)
        except ApiError as error:
            trace.status = error.code.name
            return HTTP_STATUS[error.code], _format_error(error.message)
        except ClientDisconnect:
            trace.status = ErrorCode.CANCELLED.name
            return CLOSED_BY_CLIENT, ""
        except Exception:
            trace.status = ErrorCode.INTERNAL.name
            LOG.exception("a request could not be answered: a fault of this server")
            return 500, _format_error("Internal error; the server's log has more")

    async def _answer_in_thread(
        self, request: Request, body: bytearray, held: contextlib.ExitStack, trace: RequestTrace
    ) -> str:
        """Answers in a thread, and no longer than the client listens: its turn, its wait for memory, and what has not
        begun end with the connection; what TensorFlow computes already ends with the request's time.
        """
        gone, used = threading.Event(), contextlib.ExitStack()
        call = RequestDeadline(self._api.limits.compute_seconds, lambda: not gone.is_set())
        handle = functools.partial(
            _handle_request, self._api, request.method, _get_raw_path(request.scope), body, call, used, trace
        )
        work = self._threads.submit(handle)
        answer: asyncio.Future[Any] = asyncio.wrap_future(work)
        answer.add_done_callback(
            lambda finished: finished.cancelled() or finished.exception()
        )  # asyncio logs an exception that is never retrieved
        closed: asyncio.Future[Any] = asyncio.ensure_future(_wait_for_close(request))
        try:
            finished, _ = await asyncio.wait({answer, closed}, return_when=asyncio.FIRST_COMPLETED)
            if answer not in finished:
                raise ClientDisconnect
            return str(answer.result())
        finally:
            gone.set()
            closed.cancel()
            if work.done() or work.cancel():
                held.enter_context(used)
            else:  # what it holds is held for as long as its thread works
                used.push(held.pop_all())
                work.add_done_callback(lambda _: used.close())


async def _wait_for_close(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _send_answer(send: Send, status: int, content: str, kind: str = "application/json") -> None:
    # Half of a surrogate pair, which JSON can hold and UTF-8 cannot, becomes the escape that JSON has for it.
    body = memoryview(content.encode("utf-8", "backslashreplace"))
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for start in range(0, len(body), CHUNK_BYTES):
        await send({"type": "http.response.body", "body": body[start : start + CHUNK_BYTES], "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _format_error(message: str) -> str:
    return json.dumps({"error": shorten_message(message)}, ensure_ascii=False)


def _get_raw_path(scope: Scope) -> str:
    raw = scope.get("raw_path") or scope["path"].encode("utf-8", "replace")
    return str(raw.decode("ascii", "replace"))


def _check_health(api: ServingApi) -> tuple[int, str]:
    """503 when a serving directory is not followed any more: the server still answers, with old models."""
    problems = api.list_problems()
    if problems:
        return 503, json.dumps({"status": "unavailable", "problems": problems})
    return 200, json.dumps({"status": "ok"})


def _check_ready(api: ServingApi) -> tuple[int, str]:
    """503 as long as a model has no version that answers."""
    unready = api.list_unready()
    if unready:
        return 503, json.dumps({"status": "unavailable", "models": unready})
    return 200, json.dumps({"status": "ok"})


def _handle_request(
    api: ServingApi,
    method: str,
    path: str,
    body: bytearray,
    call: RequestDeadline,
    held: contextlib.ExitStack,
    trace: RequestTrace,
) -> str:
    match = {"POST": _POST, "GET": _GET}[method].fullmatch(path) if method in ("GET", "POST") else None
    if match is None:
        raise make_invalid_argument_error(f"Malformed request: {method} {path}")
    spec = _parse_spec(match)
    if method == "POST":
        trace.api = match["method"].title()
        return _answer_predict(api, spec, body, call, held, trace)
    if not spec.name:
        raise make_invalid_argument_error("Missing model name in request.")
    trace.api = "GetModelMetadata" if match["part"] else "GetModelStatus"
    return _answer_metadata(api, spec, trace) if match["part"] else _answer_status(api, spec, trace)


def _parse_spec(match: re.Match[str]) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=unquote(match["model"] or ""))
    if match["version"]:
        digits = match["version"].lstrip("0") or "0"
        if len(digits) > len(str(2**63)) or int(digits) >= 2**63:
            raise make_invalid_argument_error(f"Failed to convert version: {match['version']} to numeric.")
        spec.version.value = int(digits)
    if match["label"]:
        spec.version_label = unquote(match["label"])
    return spec


def _answer_predict(
    api: ServingApi,
    spec: model_pb2.ModelSpec,
    body: bytearray,
    call: RequestDeadline,
    held: contextlib.ExitStack,
    trace: RequestTrace,
) -> str:
    if trace.api != "Predict":
        raise ApiError(
            ErrorCode.UNIMPLEMENTED,
            f"This server does not offer {trace.api.lower()}; ask the same signature by :predict",
        )
    call.check_active()
    api.place_request(spec.name, body, trace)
    memory = held.enter_context(api.memory.reserve_bytes(estimate_json_bytes(body), call))
    document = json_requests.parse_body(body)
    name = json_requests.read_signature_name(document) or SERVING_DEFAULT
    with api.hold_version(spec, trace) as (_, servable):
        # One version for the types and the answer, although a new one may come in between.
        signature = servable.signatures.get(name)
        if signature is None:
            raise _make_no_signature_error(name)
        trace.signature = name
        check_method(signature)
        parsed = json_requests.parse_predict(document, _map_dtypes(signature.inputs))
        outputs = api.compute_outputs(servable, name, parsed.inputs, call, memory, sent=parsed.inputs, trace=trace)
    return json_answers.format_answer(outputs, parsed.format)


def _make_no_signature_error(name: str) -> ApiError:
    return make_invalid_argument_error(f'Serving signature name: "{name}" not found in signature def')


def _map_dtypes(inputs: Any) -> dict[str, str]:
    """Alias to dtype as TensorFlow's `DataTypeString` names it."""
    names = {alias: tf.dtypes.as_dtype(info.dtype).name for alias, info in inputs.items()}
    return {alias: {"float32": "float", "float64": "double"}.get(name, name) for alias, name in names.items()}


def _answer_status(api: ServingApi, spec: model_pb2.ModelSpec, trace: RequestTrace) -> str:
    response = api.get_status(get_model_status_pb2.GetModelStatusRequest(model_spec=spec), trace)
    return json_format.MessageToJson(response, **make_json_options(), preserving_proto_field_name=True, indent=1)


def _answer_metadata(api: ServingApi, spec: model_pb2.ModelSpec, trace: RequestTrace) -> str:
    request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=[SIGNATURE_DEF])
    response = api.get_metadata(request, trace)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata[SIGNATURE_DEF].Unpack(signatures)
    parts = [
        json_format.MessageToDict(part, **make_json_options(), preserving_proto_field_name=True)
        for part in (response.model_spec, signatures)
    ]
    return json.dumps({"model_spec": parts[0], "metadata": {SIGNATURE_DEF: parts[1]}}, indent=1)
