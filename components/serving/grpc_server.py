"""TensorFlow Serving's gRPC API, on its own messages, over `api.Api`.

The calls are the protos' own, one message each way. They are handled as bytes and as streams of one message, which is
the same on the wire: so what a message becomes can be reserved before it is parsed, bytes that are no message are the
client's fault, and a client that does not send its message can be ended.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from components.serving import wire
from components.serving.api import Api
from components.serving.api_errors import ApiError, Code
from components.serving.limits import Call, Limits

LOG = logging.getLogger(__name__)
MESSAGE_LIMIT = 1024
"""Longer error messages are cut, as `grpc_status_util.cc` does."""
PREDICTION, MODELS = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"
NOT_OFFERED = {PREDICTION: ("Classify", "Regress", "MultiInference"), MODELS: ("HandleReloadConfigRequest",)}
WAITING_CALLS = 240
"""Calls that may wait for a thread; one more is answered RESOURCE_EXHAUSTED."""
IDLE_SECONDS = 300.0
"""A connection without a call for so long is closed; clients open another one by themselves."""

_STATUS = {code.value[0]: code for code in grpc.StatusCode}


def answer_bytes(api: Api, method: str, message: bytes, call: Call, held: contextlib.ExitStack) -> bytes:
    """Answers one call.

    Args:
        api: Answers, and the limits.
        method: Such as `Predict`.
        message: The request as it came.
        call: Its time.
        held: Takes what the call reserves; to be closed when the client has the answer.

    Raises:
        ApiError: What is wrong with the request.
    """
    if method in NOT_OFFERED[PREDICTION] or method in NOT_OFFERED[MODELS]:
        raise ApiError(Code.UNIMPLEMENTED, f"This server does not offer {method}; Predict answers every signature")
    call.check()
    wire.check_outline(message)
    memory = held.enter_context(api.memory.reserve(wire.parsed_bytes(message), call))
    if method == "Predict":
        wire.check_predict(message)
        answer = api.predict(_parse(predict_pb2.PredictRequest, message), call, memory)
    elif method == "GetModelMetadata":
        answer = api.metadata(_parse(get_model_metadata_pb2.GetModelMetadataRequest, message))
    else:
        answer = api.status(_parse(get_model_status_pb2.GetModelStatusRequest, message))
    return bytes(answer.SerializeToString())


def _parse(kind: Any, message: bytes) -> Any:
    try:
        return kind.FromString(message)
    except DecodeError as error:
        raise ApiError(Code.INVALID_ARGUMENT, f"The message is no {kind.DESCRIPTOR.name}: {error}") from error


class _Calls:
    """Handles the calls of one server."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._watch = _Watch()

    def handler(self, method: str) -> grpc.RpcMethodHandler:
        def handle(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            return self._handle(method, messages, context)

        return grpc.stream_unary_rpc_method_handler(handle)

    def _handle(self, method: str, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        limits, held = self._api.limits, contextlib.ExitStack()
        try:
            with self._watch.limit(limits.body_seconds, context.cancel):
                message = next(messages, None)
            if message is None:
                raise ApiError(Code.UNIMPLEMENTED, "A call takes exactly one request message")
            call = Call(min(limits.compute_seconds, context.time_remaining()), context.is_active)
            answer = answer_bytes(self._api, method, message, call, held)
        except ApiError as error:
            held.close()
            context.abort(_STATUS[error.code.value], _cut(error.message))
        except grpc.RpcError:  # the client has gone
            held.close()
            raise
        except Exception:
            held.close()
            LOG.exception("a call could not be answered: a fault of this server")
            context.abort(grpc.StatusCode.INTERNAL, "Internal error; the server's log has more")
        held.enter_context(self._watch.limit(limits.send_seconds, context.cancel))
        if not context.add_callback(held.close):  # the client has gone
            held.close()
        return answer


def _cut(message: str) -> str:
    clean = message.encode("utf-8", "backslashreplace").decode("utf-8")
    return clean if len(clean) <= MESSAGE_LIMIT else clean[:MESSAGE_LIMIT] + "...TRUNCATED"


class _Watch:
    """Ends what takes too long, in one thread for all calls."""

    LOOK_SECONDS = 0.2

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: dict[object, tuple[float, Callable[[], object]]] = {}
        threading.Thread(target=self._run, name="grpc-watch", daemon=True).start()

    @contextlib.contextmanager
    def limit(self, seconds: float, end: Callable[[], object]) -> Iterator[None]:
        """Calls `end` unless the block ends in time."""
        key = object()
        with self._lock:
            self._watched[key] = (time.monotonic() + seconds, end)
        try:
            yield
        finally:
            with self._lock:
                self._watched.pop(key, None)

    def _run(self) -> None:
        while True:
            time.sleep(self.LOOK_SECONDS)
            now = time.monotonic()
            with self._lock:
                late = [key for key, (until, _) in self._watched.items() if until <= now]
                ends = [self._watched.pop(key)[1] for key in late]
            for end in ends:
                with contextlib.suppress(Exception):  # it may have ended in between
                    end()


def start(api: Api, address: str) -> tuple[grpc.Server, int]:
    """Starts the server.

    Args:
        api: Answers, and the limits.
        address: `host:port`; port 0 takes a free one.

    Returns:
        The server and its port.

    Raises:
        RuntimeError: The address is taken.
    """
    limits = api.limits
    server = grpc.server(
        futures.ThreadPoolExecutor(limits.threads, "grpc"),
        options=_options(limits),
        maximum_concurrent_rpcs=limits.threads + WAITING_CALLS,
    )
    calls = _Calls(api)
    for service, offered in ((PREDICTION, ("Predict", "GetModelMetadata")), (MODELS, ("GetModelStatus",))):
        handlers = {method: calls.handler(method) for method in (*offered, *NOT_OFFERED[service])}
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])
    port = server.add_insecure_port(address)
    server.start()
    return server, port


def _options(limits: Limits) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", limits.request_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # two servers on one port would share it in silence
        ("grpc.max_allowed_incoming_connections", limits.connections),
        ("grpc.max_concurrent_streams", 100),
        ("grpc.server_handshake_timeout_ms", int(limits.header_seconds * 1e3)),
        ("grpc.max_connection_idle_ms", int(IDLE_SECONDS * 1e3)),
        ("grpc.http2.bdp_probe", 0),  # or a connection's window grows with what it sends, read or not
    ]
