"""TensorFlow Serving's REST API as an ASGI application, over `api.Api`.

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

from components.contract import SERVING_DEFAULT
from components.serving import json_tensor
from components.serving.api import SIGNATURE_DEF, Api, check_method
from components.serving.api_errors import HTTP_STATUS, ApiError, Code
from components.serving.bodies import Bodies, BodyError
from components.serving.limits import Call, json_bytes
from components.serving.sites import SiteRules

LOG = logging.getLogger(__name__)
HEALTH = "/healthz"
CHUNK_BYTES = 1 << 16
"""An answer is sent in pieces, each after the client has taken those before."""
MESSAGE_LIMIT = 2048
"""Longer error messages are cut: they quote what the client sent."""
CLOSED_BY_CLIENT = 499

_WHICH = r"(?:(?:/versions/(?P<version>[0-9]+))|(?:/labels/(?P<label>[^/:]+)))?"
_POST = re.compile(rf"(?i)/v1/models/(?P<model>[^/:]+){_WHICH}:(?P<method>classify|regress|predict)")
_GET = re.compile(rf"(?i)/v1/models(?:/(?P<model>[^/:]+))?{_WHICH}(?:/(?P<part>metadata))?")


def application(api: Api, rules: SiteRules | None = None) -> ASGIApp:
    """The ASGI application.

    Args:
        api: Answers, and the limits.
        rules: Which hosts and pages are answered; None: those of a server on loopback.
    """
    return _Application(api, rules or SiteRules("127.0.0.1"))


class _Application:
    def __init__(self, api: Api, rules: SiteRules) -> None:
        self._api, self._rules = api, rules
        self._bodies = Bodies(api.limits)
        self._threads = futures.ThreadPoolExecutor(api.limits.threads, "rest")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.ExitStack() as held:  # body and memory, until the answer is taken
            status, content = await self._answer(Request(scope, receive), held)
            if status != CLOSED_BY_CLIENT:
                await _send(send, status, content)

    async def _answer(self, request: Request, held: contextlib.ExitStack) -> tuple[int, str]:
        refusal = self._rules.refusal(request.method, Headers(scope=request.scope))
        if refusal:
            return refusal[0], _error(refusal[1])
        try:
            if request.scope["path"] == HEALTH:
                return _health(self._api)
            body = await held.enter_context(self._bodies.hold()).read(request)
            return 200, await self._work(request, body, held)
        except BodyError as error:
            return error.status, _error(error.message)
        except ApiError as error:
            return HTTP_STATUS[error.code], _error(error.message)
        except ClientDisconnect:
            return CLOSED_BY_CLIENT, ""
        except Exception:
            LOG.exception("a request could not be answered: a fault of this server")
            return 500, _error("Internal error; the server's log has more")

    async def _work(self, request: Request, body: bytearray, held: contextlib.ExitStack) -> str:
        """Answers in a thread, and no longer than the client listens: its turn, its wait for memory, and what has not
        begun end with the connection; what TensorFlow computes already ends with the request's time.
        """
        gone, used = threading.Event(), contextlib.ExitStack()
        call = Call(self._api.limits.compute_seconds, lambda: not gone.is_set())
        handle = functools.partial(_handle, self._api, request.method, _path(request.scope), body, call, used)
        work = self._threads.submit(handle)
        answer: asyncio.Future[Any] = asyncio.wrap_future(work)
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())  # asyncio logs what nobody asks
        closed: asyncio.Future[Any] = asyncio.ensure_future(_wait_for_close(request))
        try:
            done, _ = await asyncio.wait({answer, closed}, return_when=asyncio.FIRST_COMPLETED)
            if answer not in done:
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


async def _send(send: Send, status: int, content: str) -> None:
    # Half of a surrogate pair, which JSON can hold and UTF-8 cannot, becomes the escape that JSON has for it.
    body = memoryview(content.encode("utf-8", "backslashreplace"))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for start in range(0, len(body), CHUNK_BYTES):
        await send({"type": "http.response.body", "body": body[start : start + CHUNK_BYTES], "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _error(message: str) -> str:
    cut = message if len(message) <= MESSAGE_LIMIT else message[:MESSAGE_LIMIT] + "...TRUNCATED"
    return json.dumps({"error": cut}, ensure_ascii=False)


def _path(scope: Scope) -> str:
    raw = scope.get("raw_path") or scope["path"].encode("utf-8", "replace")
    return str(raw.decode("ascii", "replace"))


def _health(api: Api) -> tuple[int, str]:
    """Red when a serving directory is not followed any more: the server answers, with models that grow old."""
    problems = api.problems()
    if problems:
        return 503, json.dumps({"status": "unavailable", "problems": problems})
    return 200, json.dumps({"status": "ok"})


def _handle(api: Api, method: str, path: str, body: bytearray, call: Call, held: contextlib.ExitStack) -> str:
    found = {"POST": _POST, "GET": _GET}[method].fullmatch(path) if method in ("GET", "POST") else None
    if found is None:
        raise ApiError(Code.INVALID_ARGUMENT, f"Malformed request: {method} {path}")
    spec = _spec(found)
    if method == "POST":
        return _post(api, found["method"].lower(), spec, body, call, held)
    if not spec.name:
        raise ApiError(Code.INVALID_ARGUMENT, "Missing model name in request.")
    return _metadata(api, spec) if found["part"] else _status(api, spec)


def _spec(found: re.Match[str]) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=unquote(found["model"] or ""))
    if found["version"]:
        digits = found["version"].lstrip("0") or "0"
        if len(digits) > len(str(2**63)) or int(digits) >= 2**63:
            raise ApiError(Code.INVALID_ARGUMENT, f"Failed to convert version: {found['version']} to numeric.")
        spec.version.value = int(digits)
    if found["label"]:
        spec.version_label = unquote(found["label"])
    return spec


def _post(
    api: Api, method: str, spec: model_pb2.ModelSpec, body: bytearray, call: Call, held: contextlib.ExitStack
) -> str:
    if method != "predict":
        raise ApiError(Code.UNIMPLEMENTED, f"This server does not offer {method}; ask the same signature by :predict")
    call.check()
    memory = held.enter_context(api.memory.reserve(json_bytes(body), call))
    document = json_tensor.parse_body(body)
    name = json_tensor.signature_name(document) or SERVING_DEFAULT
    with api.use(spec) as (_, servable):
        # One version for the types and the answer, although a new one may come in between.
        signature = servable.signatures.get(name)
        if signature is None:
            raise _no_signature(name)
        check_method(signature)
        parsed = json_tensor.parse_predict(document, _types(signature.inputs))
        outputs = api.compute(servable, name, parsed.inputs, call, memory, sent=parsed.inputs)
    return json_tensor.answer(outputs, parsed.format)


def _no_signature(name: str) -> ApiError:
    return ApiError(Code.INVALID_ARGUMENT, f'Serving signature name: "{name}" not found in signature def')


def _types(inputs: Any) -> dict[str, str]:
    """Alias to dtype as TensorFlow's `DataTypeString` names it."""
    names = {alias: tf.dtypes.as_dtype(info.dtype).name for alias, info in inputs.items()}
    return {alias: {"float32": "float", "float64": "double"}.get(name, name) for alias, name in names.items()}


def _status(api: Api, spec: model_pb2.ModelSpec) -> str:
    response = api.status(get_model_status_pb2.GetModelStatusRequest(model_spec=spec))
    return json_format.MessageToJson(
        response, including_default_value_fields=True, preserving_proto_field_name=True, indent=1
    )


def _metadata(api: Api, spec: model_pb2.ModelSpec) -> str:
    request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=[SIGNATURE_DEF])
    response = api.metadata(request)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata[SIGNATURE_DEF].Unpack(signatures)
    parts = [
        json_format.MessageToDict(part, including_default_value_fields=True, preserving_proto_field_name=True)
        for part in (response.model_spec, signatures)
    ]
    return json.dumps({"model_spec": parts[0], "metadata": {SIGNATURE_DEF: parts[1]}}, indent=1)
