"""Clients of TensorFlow Serving's API, for any server of it. REST needs no TensorFlow; gRPC needs its protos."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np

from taxiway.components.errors import ServingError
from taxiway.components.serving.protocol.json_values import encode_bytes

Tensors = dict[str, np.ndarray]


class ServerError(ServingError):
    """A server answered with an error.

    Attributes:
        status: HTTP status, or the gRPC code's name.
    """

    def __init__(self, status: int | str, message: str) -> None:
        super().__init__(f"The server answered {status}: {message}")
        self.status, self.message = status, message


class RestClient:
    """One model over REST."""

    def __init__(
        self, url: str, model: str, *, version: int | None = None, label: str = "", timeout_seconds: float = 60
    ) -> None:
        """Args:
        url: Address such as `http://127.0.0.1:8501`.
        model: Name of the model on the server.
        version: Number of the version to ask.
        label: Label of the version to ask. Without number and label: the latest.
        timeout_seconds: Time limit of one request.

        Raises:
            ServingError: It is no HTTP address.
        """
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ServingError(f"{url!r} is no address of a server.", "Give one such as http://127.0.0.1:8501.")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout_seconds)
        self._url = url
        self._path = parts.path.rstrip("/") + f"/v1/models/{quote(model, safe='')}"
        if version is not None:
            self._path += f"/versions/{version}"
        elif label:
            self._path += f"/labels/{quote(label, safe='')}"

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def get_status(self) -> list[dict[str, Any]]:
        """`model_version_status` of the model's versions."""
        return list(self._request_json("GET", self._path)["model_version_status"])

    def get_signatures(self) -> dict[str, Any]:
        """The signatures, by name, as JSON of `SignatureDef`."""
        return dict(self._request_json("GET", f"{self._path}/metadata")["metadata"]["signature_def"]["signature_def"])

    def predict(self, signature: str, columns: Mapping[str, Any]) -> dict[str, Any] | list[Any]:
        """Asks in column format.

        Args:
            signature: Name of the signature.
            columns: Input's alias to nested lists of JSON values, or arrays; bytes become base64 objects.

        Returns:
            `outputs`: by alias, or the values alone where the signature has one output.

        Raises:
            ServerError: The server's own error.
            ServingError: No server answers.
        """
        inputs = {alias: encode_values(values) for alias, values in columns.items()}
        body = {"signature_name": signature, "inputs": inputs}
        answer = self._request_json("POST", f"{self._path}:predict", json.dumps(body, allow_nan=True))["outputs"]
        return answer if isinstance(answer, dict) else list(answer)

    def post_body(self, body: bytes) -> tuple[int, str]:
        """Posts bytes to `:predict` as they are, and returns status and text."""
        return self._send_with_retry("POST", f"{self._path}:predict", body)

    def _send_once(self, method: str, path: str, body: bytes | None) -> tuple[int, str]:
        self._connection.request(method, path, body, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        return response.status, response.read().decode("utf-8", "replace")

    def _request_json(self, method: str, path: str, body: str = "") -> dict[str, Any]:
        status, text = self._send_with_retry(method, path, body.encode() or None)
        try:
            answer = json.loads(text)
        except ValueError:
            raise ServerError(status, text[:200]) from None
        if status != 200:
            raise ServerError(status, str(answer.get("error", answer)))
        return dict(answer)

    def _send_with_retry(self, method: str, path: str, body: bytes | None) -> tuple[int, str]:
        kept_open = self._connection.sock is not None
        try:
            try:
                return self._send_once(method, path, body)
            except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected):
                if not kept_open:
                    raise
                self._connection.close()  # the server closes what was idle for some seconds
                return self._send_once(method, path, body)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()  # the next request opens it again
            raise ServingError(
                f"No server answers at {self._url}: {error or type(error).__name__}.",
                "Start one (taxiway serve), or correct the address.",
            ) from error


def encode_values(values: Any) -> Any:
    """Arrays, lists and bytes as JSON values: text where bytes are UTF-8, else a base64 object."""
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if isinstance(values, (list, tuple)):
        return [encode_values(value) for value in values]
    return encode_bytes(values) if isinstance(values, bytes) else values


def decode_outputs(outputs: dict[str, Any] | list[Any], only: str) -> Tensors:
    """`outputs` of a REST answer as arrays, texts as bytes.

    Args:
        outputs: Result of `RestClient.predict`.
        only: The name of the output where the answer has no names.
    """
    named = outputs if isinstance(outputs, dict) else {only: outputs}
    return {name: _decode_array(values) for name, values in named.items()}


def _decode_array(values: Any) -> np.ndarray:
    array = np.array(values)
    if array.dtype.kind == "U":
        return np.array([text.encode() for text in array.ravel()], object).reshape(array.shape)
    return array


class GrpcClient:
    """One model over gRPC, on the stubs of tensorflow-serving-api."""

    def __init__(
        self, target: str, model: str, *, version: int | None = None, label: str = "", timeout_seconds: float = 60
    ) -> None:
        """Args:
        target: `host:port`.
        model: Name of the model on the server.
        version: Number of the version to ask.
        label: Label of the version to ask. Without number and label: the latest.
        timeout_seconds: Time limit of one request.
        """
        import grpc
        from tensorflow_serving.apis import model_pb2, prediction_service_pb2_grpc

        self._channel = grpc.insecure_channel(
            target, options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        )
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._errors = grpc.RpcError
        self._timeout_seconds = timeout_seconds
        self._spec = model_pb2.ModelSpec(name=model, version_label=label)
        if version is not None:
            self._spec.version.value = version

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray]) -> Tensors:
        """Asks for all outputs of a signature.

        Raises:
            ServerError: The server's own error, or that there is none.
        """
        import tensorflow as tf

        from taxiway.components.serving.requests.warmup import build_predict_request

        request = build_predict_request("", signature, dict(inputs))
        request.model_spec.MergeFrom(self._spec)
        response = self.send_request(request)
        return {alias: tf.make_ndarray(proto) for alias, proto in response.outputs.items()}

    def send_request(self, request: Any) -> Any:
        """Sends a `PredictRequest` as it is.

        Raises:
            ServerError: The server's own error, or that there is none.
        """
        try:
            return self._stub.Predict(request, timeout=self._timeout_seconds, wait_for_ready=False)
        except self._errors as error:
            raise ServerError(error.code().name, error.details()) from error
