"""TensorFlow Serving's gRPC API, on its own service stubs, over `api.Api`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
from typing import Any, TypeVar

import grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from components.serving.api import Api
from components.serving.api_errors import ApiError, Code

MESSAGE_LIMIT = 1024
"""Longer error messages are cut, as `grpc_status_util.cc` does."""

_STATUS = {code.value[0]: code for code in grpc.StatusCode}
Request = TypeVar("Request")
Answer = TypeVar("Answer")


def _answer(method: Callable[[Request], Answer], request: Request, context: grpc.ServicerContext) -> Answer:
    try:
        return method(request)
    except ApiError as error:
        cut = error.message if len(error.message) <= MESSAGE_LIMIT else error.message[:MESSAGE_LIMIT] + "...TRUNCATED"
        context.abort(_STATUS[error.code.value], cut)
        raise  # abort has raised already


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]
    """Predict and GetModelMetadata; the calls on `tf.Example` inputs are answered UNIMPLEMENTED."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def Predict(  # noqa: N802
        self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        return _answer(self._api.predict, request, context)

    def GetModelMetadata(  # noqa: N802
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        return _answer(self._api.metadata, request, context)

    def Classify(  # noqa: N802
        self, request: classification_pb2.ClassificationRequest, context: grpc.ServicerContext
    ) -> classification_pb2.ClassificationResponse:
        return _answer(_not_offered, request, context)

    def Regress(  # noqa: N802
        self, request: regression_pb2.RegressionRequest, context: grpc.ServicerContext
    ) -> regression_pb2.RegressionResponse:
        return _answer(_not_offered, request, context)

    def MultiInference(  # noqa: N802
        self, request: inference_pb2.MultiInferenceRequest, context: grpc.ServicerContext
    ) -> inference_pb2.MultiInferenceResponse:
        return _answer(_not_offered, request, context)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):  # type: ignore[misc]
    """GetModelStatus. What is served follows the serving directory, so HandleReloadConfigRequest is not offered."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def GetModelStatus(  # noqa: N802
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        return _answer(self._api.status, request, context)

    def HandleReloadConfigRequest(  # noqa: N802
        self, request: model_management_pb2.ReloadConfigRequest, context: grpc.ServicerContext
    ) -> model_management_pb2.ReloadConfigResponse:
        return _answer(_not_offered, request, context)


def _not_offered(request: Any) -> Any:
    name = type(request).__name__
    raise ApiError(Code.UNIMPLEMENTED, f"This server does not offer {name}; Predict answers every signature")


def start(api: Api, address: str, *, threads: int, max_request_bytes: int) -> tuple[grpc.Server, int]:
    """Starts the server.

    Args:
        api: Answers.
        address: `host:port`; port 0 takes a free one.
        threads: Requests computed at once.
        max_request_bytes: Larger requests are answered RESOURCE_EXHAUSTED.

    Returns:
        The server and its port.

    Raises:
        RuntimeError: The address is taken.
    """
    options = [
        ("grpc.max_receive_message_length", max_request_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # two servers on one port would share it in silence
    ]
    server = grpc.server(futures.ThreadPoolExecutor(threads, "grpc"), options=options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(api), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(api), server)
    port = server.add_insecure_port(address)
    server.start()
    return server, port
