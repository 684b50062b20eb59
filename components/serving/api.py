"""TensorFlow Serving's API on protos: Predict, GetModelMetadata, GetModelStatus, and their errors.

What it answers follows tensorflow/serving itself: `predict_util.cc`, `get_model_metadata_impl.cc`,
`get_model_status_impl.cc`, `server_core.cc`; the tests cite them case by case.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2, predict_pb2

from components.contract import SERVING_DEFAULT
from components.serving.api_errors import ApiError, Code
from components.serving.repository import Repository
from components.serving.servable import Servable

SIGNATURE_DEF = "signature_def"
MAX_ELEMENTS = 1 << 26
"""Largest tensor taken: a few bytes can declare a shape of terabytes."""


class Api:
    """The models of one server."""

    def __init__(self, repositories: dict[str, Repository]) -> None:
        self._repositories = repositories

    @contextlib.contextmanager
    def use(self, spec: model_pb2.ModelSpec) -> Iterator[tuple[int, Servable]]:
        """Holds the version that a request names.

        Raises:
            ApiError: It names none that is available.
        """
        if not spec.name:
            raise ApiError(Code.INVALID_ARGUMENT, "ModelSpec has no name specified.")
        number, label = _choice(spec)
        repository = self._repositories.get(spec.name)
        if repository is None:
            if label:
                raise ApiError(Code.INVALID_ARGUMENT, f"Unrecognized servable version label: {label}")
            asked = f"Latest({spec.name})" if number is None else f"Specific({spec.name}, {number})"
            raise ApiError(Code.NOT_FOUND, f"Servable not found for request: {asked}")
        with repository.use(number, label) as held:
            yield held

    def predict(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        """Answers a Predict request.

        Raises:
            ApiError: What is wrong with the request, in TensorFlow Serving's words where it has them.
        """
        with self.use(request.model_spec) as (number, servable):
            name = request.model_spec.signature_name or SERVING_DEFAULT
            signature = servable.signatures.get(name)
            if signature is None:
                raise ApiError(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
            inputs = _inputs(signature, request)
            answer = run(servable, name, inputs, _wanted(signature, request))
        response = predict_pb2.PredictResponse()
        response.model_spec.name, response.model_spec.signature_name = request.model_spec.name, name
        response.model_spec.version.value = number
        for alias, values in answer.items():
            response.outputs[alias].CopyFrom(to_proto(values, signature.outputs[alias].dtype))
        return response

    def metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Answers a GetModelMetadata request: the signatures.

        Raises:
            ApiError: Another field is asked for, or no available version is named.
        """
        if not request.HasField("model_spec"):
            raise ApiError(Code.INVALID_ARGUMENT, "Missing ModelSpec")
        if not request.metadata_field:
            raise ApiError(Code.INVALID_ARGUMENT, "GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != SIGNATURE_DEF:
                raise ApiError(Code.INVALID_ARGUMENT, f"Metadata field {field} is not supported")
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        with self.use(request.model_spec) as (number, servable):
            found = get_model_metadata_pb2.SignatureDefMap(signature_def=servable.signatures)
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = number
        response.metadata[SIGNATURE_DEF].Pack(found)
        return response

    def status(
        self, request: get_model_status_pb2.GetModelStatusRequest
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Answers a GetModelStatus request: the state of one version, or of all.

        Raises:
            ApiError: The model or version is not known.
        """
        if not request.HasField("model_spec"):
            raise ApiError(Code.INVALID_ARGUMENT, "Missing ModelSpec")
        spec = request.model_spec
        repository = self._repositories.get(spec.name)
        statuses = repository.statuses() if repository else {}
        number, label = _choice(spec)
        if label and repository:
            number = repository.label(label)
        if number is not None and number not in statuses:
            raise ApiError(Code.NOT_FOUND, f"Could not find version {number} of model {spec.name}")
        if not statuses:
            raise ApiError(Code.NOT_FOUND, f"Could not find any versions of model {spec.name}")
        response = get_model_status_pb2.GetModelStatusResponse()
        for version, (state, error) in statuses.items():
            if number in (None, version):
                added = response.model_version_status.add(version=version, state=state.value)
                added.status.error_code = Code.UNKNOWN if error else Code.OK
                added.status.error_message = error
        return response


def run(servable: Servable, name: str, inputs: dict[str, np.ndarray], outputs: list[str]) -> dict[str, np.ndarray]:
    """Runs a signature; what the graph or the session says of the values becomes the answer.

    Raises:
        ApiError: With TensorFlow's code and message.
    """
    try:
        return servable.run(name, inputs, outputs)
    except tf.errors.OpError as error:
        raise ApiError(Code(error.error_code), error.message) from error
    except UnicodeDecodeError as error:  # TensorFlow quotes the client's bytes and cannot read its own message
        raise ApiError(Code.INVALID_ARGUMENT, error.object.decode("utf-8", "replace")) from error
    except (ValueError, TypeError) as error:  # the session's own check of shapes and types
        raise ApiError(Code.INVALID_ARGUMENT, str(error)) from error


def _choice(spec: model_pb2.ModelSpec) -> tuple[int | None, str]:
    chosen = spec.WhichOneof("version_choice")
    return (spec.version.value if chosen == "version" else None), (spec.version_label if chosen else "")


def _inputs(signature: Any, request: predict_pb2.PredictRequest) -> dict[str, np.ndarray]:
    sent, known = set(request.inputs), set(signature.inputs)
    if len(sent) > len(known) or (len(sent) < len(known) and not signature.defaults):
        raise ApiError(
            Code.INVALID_ARGUMENT,
            f"input size does not match signature: {len(sent)}!={len(known)} len({{{_set(sent)}}}) != "
            f"len({{{_set(known)}}}). Sent extra: {{{_set(sent - known)}}}. "
            f"Missing but required: {{{_set(known - sent)}}}.",
        )
    protos = dict(signature.defaults) | dict(request.inputs)
    missing = sorted(known - set(protos)) or sorted(sent - known)
    if missing:
        raise ApiError(
            Code.INVALID_ARGUMENT,
            f"input tensor alias not found in signature: {missing[0]}. "
            f"Inputs expected to be in the set {{{_set(known)}}}.",
        )
    return {alias: _from_proto(alias, protos[alias], signature.inputs[alias]) for alias in known}


def _set(names: set[str]) -> str:
    return ",".join(sorted(names))


def _from_proto(alias: str, proto: Any, info: Any) -> np.ndarray:
    """A tensor of a request, checked against the signature before it reaches the graph."""
    if proto.dtype != info.dtype:
        got, expected = tf.dtypes.as_dtype(proto.dtype).name, tf.dtypes.as_dtype(info.dtype).name
        raise ApiError(Code.INVALID_ARGUMENT, f"input {alias}: expects {expected}, but {got} is provided")
    sizes = [dim.size for dim in proto.tensor_shape.dim]
    if any(size < 0 for size in sizes) or math.prod(sizes) > MAX_ELEMENTS:
        raise ApiError(Code.INVALID_ARGUMENT, f"input {alias}: a tensor of shape {sizes} is not taken")
    try:
        return tf.make_ndarray(proto)
    except (ValueError, TypeError) as error:
        raise ApiError(Code.INVALID_ARGUMENT, f"input {alias} cannot be parsed: {error}") from error


def _wanted(signature: Any, request: predict_pb2.PredictRequest) -> list[str]:
    wanted = list(request.output_filter)
    for alias in wanted:
        if alias not in signature.outputs:
            raise ApiError(
                Code.INVALID_ARGUMENT,
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{{{_set(set(signature.outputs))}}}.",
            )
    if len(set(wanted)) != len(wanted):
        twice = next(alias for alias in wanted if wanted.count(alias) > 1)
        raise ApiError(Code.INVALID_ARGUMENT, f"duplicate output tensor alias: {twice}")
    return wanted


_FIELDS = {"float32": "float_val", "float64": "double_val", "int64": "int64_val", "bool": "bool_val"}
_FIELDS |= {"uint32": "uint32_val", "uint64": "uint64_val"}
_FIELDS |= dict.fromkeys(("int32", "int16", "int8", "uint8", "uint16"), "int_val")


def to_proto(values: np.ndarray, dtype: int) -> Any:
    """A tensor with its values in the typed field, as TensorFlow Serving answers."""
    kind = tf.dtypes.as_dtype(dtype)
    proto = tensor_pb2.TensorProto(dtype=dtype)
    for size in np.shape(values):
        proto.tensor_shape.dim.add(size=size)
    if kind == tf.string:
        proto.string_val.extend(np.ravel(values).tolist())
    elif kind.name in _FIELDS:
        getattr(proto, _FIELDS[kind.name]).extend(np.ravel(values).tolist())
    else:
        return tf.make_tensor_proto(values, kind)
    return proto
