"""TensorFlow Serving's gRPC API, on its own messages, over `api.ServingApi`.

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

from taxiway.components.serving.protocol import wire_format
from taxiway.components.serving.protocol.api_errors import (
    GRPC_MESSAGE_LIMIT,
    ApiError,
    ErrorCode,
    escape_surrogates,
    make_invalid_argument_error,
    shorten_message,
)
from taxiway.components.serving.protocol.limits import Limits, RequestDeadline
from taxiway.components.serving.request_log.request_trace import RequestTrace
from taxiway.components.serving.server.api import ServingApi

LOG = logging.getLogger(__name__)
PREDICTION, MODELS = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"
NOT_OFFERED = {PREDICTION: ("Classify", "Regress", "MultiInference"), MODELS: ("HandleReloadConfigRequest",)}
WAITING_CALLS = 240
"""Calls that may wait for a thread; one more is answered RESOURCE_EXHAUSTED."""
IDLE_SECONDS = 300.0
"""A connection without a call for so long is closed; clients open another one by themselves."""

_STATUS = {code.value[0]: code for code in grpc.StatusCode}


def answer_call(
    api: ServingApi,
    method: str,
    message: bytes,
    call: RequestDeadline,
    held: contextlib.ExitStack,
    trace: RequestTrace,
) -> bytes:
    """Answers one call.

    Args:
        api: Answers, and the limits.
        method: Name of the method, such as `Predict`.
        message: The request as it came.
        call: Time limit of the call.
        held: Stack that takes what the call reserves; to be closed when the client has the answer.
        trace: Trace of the call.

    Raises:
        ApiError: The request is wrong.
    """
    if method in NOT_OFFERED[PREDICTION] or method in NOT_OFFERED[MODELS]:
        raise ApiError(ErrorCode.UNIMPLEMENTED, f"This server does not offer {method}; Predict answers every signature")
    call.check_active()
    wire_format.check_outline(message)
    memory = held.enter_context(api.memory.reserve_bytes(wire_format.estimate_parsed_bytes(message), call))
    if method == "Predict":
        wire_format.check_predict(message)
        request = _parse_message(predict_pb2.PredictRequest, message)
        api.place_request(request.model_spec.name, message, trace)
        answer = api.predict(request, call, memory, trace)
    elif method == "GetModelMetadata":
        answer = api.get_metadata(_parse_message(get_model_metadata_pb2.GetModelMetadataRequest, message), trace)
    else:
        answer = api.get_status(_parse_message(get_model_status_pb2.GetModelStatusRequest, message), trace)
    return bytes(answer.SerializeToString())


def _parse_message(kind: Any, message: bytes) -> Any:
    try:
        return kind.FromString(message)
    except DecodeError as error:
        raise make_invalid_argument_error(f"The message is no {kind.DESCRIPTOR.name}: {error}") from error


def _find_request_id(context: grpc.ServicerContext) -> str:
    """The metadata `x-request-id`; empty where there is none."""
    return next((str(value) for key, value in context.invocation_metadata() or () if key == "x-request-id"), "")


class _CallHandlers:
    """Handles the calls of one server."""

    def __init__(self, api: ServingApi) -> None:
        self._api = api
        self._watch = _DeadlineWatch()

    def make_handler(self, method: str) -> grpc.RpcMethodHandler:
        def handle_call(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            return self._handle_call(method, messages, context)

        return grpc.stream_unary_rpc_method_handler(handle_call)

    def _handle_call(self, method: str, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        trace = self._api.recorder.begin("GRPC", context.peer(), method)
        trace.request_id = _find_request_id(context)
        try:
            return self._answer_traced(method, messages, context, trace)
        finally:
            self._api.recorder.end(trace)

    def _answer_traced(
        self, method: str, messages: Iterator[bytes], context: grpc.ServicerContext, trace: RequestTrace
    ) -> bytes:
        limits, held = self._api.limits, contextlib.ExitStack()
        try:
            with self._watch.limit_time(limits.body_seconds, context.cancel):
                message = next(messages, None)
            if message is None:
                raise ApiError(ErrorCode.UNIMPLEMENTED, "A call takes exactly one request message")
            call = RequestDeadline(min(limits.compute_seconds, context.time_remaining()), context.is_active)
            answer = answer_call(self._api, method, message, call, held, trace)
        except ApiError as error:
            trace.status = error.code.name
            held.close()
            context.abort(_STATUS[error.code.value], _format_message(error.message))
        except grpc.RpcError:  # the client has gone
            trace.status = ErrorCode.CANCELLED.name
            held.close()
            raise
        except Exception:
            trace.status = ErrorCode.INTERNAL.name
            held.close()
            LOG.exception("a call could not be answered: a fault of this server")
            context.abort(grpc.StatusCode.INTERNAL, "Internal error; the server's log has more")
        held.enter_context(self._watch.limit_time(limits.send_seconds, context.cancel))
        if not context.add_callback(held.close):  # the client has gone
            held.close()
        return answer


def _format_message(message: str) -> str:
    return shorten_message(escape_surrogates(message), GRPC_MESSAGE_LIMIT)


class _DeadlineWatch:
    """Ends what takes too long, in one thread for all calls."""

    LOOK_SECONDS = 0.2

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: dict[object, tuple[float, Callable[[], object]]] = {}
        threading.Thread(target=self._end_late_calls, name="grpc-watch", daemon=True).start()

    @contextlib.contextmanager
    def limit_time(self, seconds: float, end: Callable[[], object]) -> Iterator[None]:
        """Calls `end` unless the block ends in time."""
        key = object()
        with self._lock:
            self._watched[key] = (time.monotonic() + seconds, end)
        try:
            yield
        finally:
            with self._lock:
                self._watched.pop(key, None)

    def _end_late_calls(self) -> None:
        while True:
            time.sleep(self.LOOK_SECONDS)
            now = time.monotonic()
            with self._lock:
                late = [key for key, (until, _) in self._watched.items() if until <= now]
                ends = [self._watched.pop(key)[1] for key in late]
            for end in ends:
                with contextlib.suppress(Exception):  # it may have ended in between
                    end()


def start_server(api: ServingApi, address: str) -> tuple[grpc.Server, int]:
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
        options=_build_options(limits),
        maximum_concurrent_rpcs=limits.threads + WAITING_CALLS,
    )
    calls = _CallHandlers(api)
    for service, offered in ((PREDICTION, ("Predict", "GetModelMetadata")), (MODELS, ("GetModelStatus",))):
        handlers = {method: calls.make_handler(method) for method in (*offered, *NOT_OFFERED[service])}
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])
    port = server.add_insecure_port(address)
    server.start()
    return server, port


def _build_options(limits: Limits) -> list[tuple[str, int]]:
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
