"""TensorFlow Serving's REST API as an ASGI application, over `api.Api`.

The paths, the errors and the form of the answers follow tensorflow/serving's api_rest.md, http_rest_api_handler.cc and
http_rest_api_util.cc. Classify and Regress are not offered.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

import tensorflow as tf
from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from components.contract import SERVING_DEFAULT
from components.serving import json_tensor
from components.serving.api import SIGNATURE_DEF, Api, run
from components.serving.api_errors import HTTP_STATUS, ApiError, Code

_WHICH = r"(?:(?:/versions/(?P<version>\d+))|(?:/labels/(?P<label>[^/:]+)))?"
_POST = re.compile(rf"(?i)/v1/models/(?P<model>[^/:]+){_WHICH}:(?P<method>classify|regress|predict)")
_GET = re.compile(rf"(?i)/v1/models(?:/(?P<model>[^/:]+))?{_WHICH}(?:/(?P<part>metadata))?")


def application(api: Api, max_request_bytes: int) -> Starlette:
    """The ASGI application.

    Args:
        api: Answers.
        max_request_bytes: Larger bodies are answered 413 without being read to their end.
    """

    async def endpoint(request: Request) -> Response:
        try:
            body = await _body(request, max_request_bytes)
            content = await run_in_threadpool(_handle, api, request.method, request.scope["raw_path"].decode(), body)
        except _TooLargeError:
            message = f"The request is larger than {max_request_bytes} bytes"
            return _respond(json.dumps({"error": message}), 413)
        except ApiError as error:
            return _respond(json.dumps({"error": error.message}, ensure_ascii=False), HTTP_STATUS[error.code])
        return _respond(content, 200)

    methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
    return Starlette(routes=[Route("/{path:path}", endpoint, methods=methods)])


class _TooLargeError(Exception):
    pass


async def _body(request: Request, limit: int) -> bytes:
    if int(request.headers.get("content-length") or 0) > limit:
        raise _TooLargeError
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _TooLargeError
    return bytes(body)


def _respond(content: str, status: int) -> Response:
    return Response(content, status_code=status, media_type="application/json")


def _handle(api: Api, method: str, path: str, body: bytes) -> str:
    found = {"POST": _POST, "GET": _GET}[method].fullmatch(path) if method in ("GET", "POST") else None
    if found is None:
        raise ApiError(Code.INVALID_ARGUMENT, f"Malformed request: {method} {path}")
    spec = _spec(found)
    if method == "POST":
        return _post(api, found["method"].lower(), spec, body)
    if not spec.name:
        raise ApiError(Code.INVALID_ARGUMENT, "Missing model name in request.")
    return _metadata(api, spec) if found["part"] else _status(api, spec)


def _spec(found: re.Match[str]) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=unquote(found["model"] or ""))
    if found["version"]:
        if int(found["version"]) >= 2**63:
            raise ApiError(Code.INVALID_ARGUMENT, f"Failed to convert version: {found['version']} to numeric.")
        spec.version.value = int(found["version"])
    if found["label"]:
        spec.version_label = unquote(found["label"])
    return spec


def _post(api: Api, method: str, spec: model_pb2.ModelSpec, body: bytes) -> str:
    if method != "predict":
        raise ApiError(Code.UNIMPLEMENTED, f"This server does not offer {method}; ask the same signature by :predict")
    document = json_tensor.parse_body(body)
    name = json_tensor.signature_name(document)
    with api.use(spec) as (_, servable):
        # One version for the types and the answer, although a new one may come in between.
        signature = servable.signatures.get(name or SERVING_DEFAULT)
        if signature is None:
            raise _no_signature(name or SERVING_DEFAULT)
        parsed = json_tensor.parse_predict(document, _types(signature.inputs))
        outputs = run(servable, name or SERVING_DEFAULT, parsed.inputs, [])
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
