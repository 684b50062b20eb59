"""TensorFlow Serving's API on protos: Predict, GetModelMetadata, GetModelStatus, and their errors.

What it answers follows tensorflow/serving itself: `predict_util.cc`, `get_model_metadata_impl.cc`,
`get_model_status_impl.cc`, `server_core.cc`; the tests cite them case by case.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2, predict_pb2

from components.contract import SERVING_DEFAULT
from components.serving import tensors
from components.serving.api_errors import ApiError, Code
from components.serving.limits import ANSWER_FACTOR, ROW_BYTES, VALUE_BYTES, Call, Limits, MemoryBudget, Reservation
from components.serving.repository import Repository
from components.serving.servable import Servable, Tensors

SIGNATURE_DEF = "signature_def"
PREDICT_METHODS = tuple(f"tensorflow/serving/{name}" for name in ("predict", "classify", "regress"))


class Api:
    """The models of one server, and what their requests may take."""

    def __init__(self, repositories: dict[str, Repository], limits: Limits | None = None) -> None:
        self._repositories = repositories
        self.limits = limits or Limits()
        self.memory = MemoryBudget(self.limits.memory_bytes)

    def problems(self) -> dict[str, str]:
        """Model to why its directory is not followed any more; empty where all are well."""
        found = {name: repository.problem() for name, repository in self._repositories.items()}
        return {name: problem for name, problem in found.items() if problem}

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

    def predict(
        self, request: predict_pb2.PredictRequest, call: Call, held: Reservation
    ) -> predict_pb2.PredictResponse:
        """Answers a Predict request.

        Args:
            request: Of the gRPC API.
            call: Its time.
            held: Of `memory`, for this request.

        Raises:
            ApiError: What is wrong with the request, in TensorFlow Serving's words where it has them.
        """
        with self.use(request.model_spec) as (number, servable):
            name = request.model_spec.signature_name or SERVING_DEFAULT
            signature = servable.signatures.get(name)
            if signature is None:
                raise ApiError(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
            check_method(signature)
            inputs = _inputs(signature, request, self.limits)
            outputs = _wanted(signature, request)
            answer = self.compute(servable, name, inputs, call, held, sent=set(request.inputs), outputs=outputs)
        response = predict_pb2.PredictResponse()
        response.model_spec.name, response.model_spec.signature_name = request.model_spec.name, name
        response.model_spec.version.value = number
        for alias, values in answer.items():
            response.outputs[alias].CopyFrom(tensors.to_proto(values, signature.outputs[alias].dtype))
        return response

    def compute(
        self,
        servable: Servable,
        name: str,
        inputs: Tensors,
        call: Call,
        held: Reservation,
        *,
        sent: Collection[str],
        outputs: Collection[str] = (),
    ) -> Tensors:
        """Runs a signature within the limits on rows, answer, memory and time.

        Args:
            servable: The version.
            name: The signature.
            inputs: Alias to array.
            call: The request's time.
            held: Of `memory`, for this request.
            sent: The inputs that the client sent; the others are the signature's defaults.
            outputs: The wanted ones; empty: all.

        Raises:
            ApiError: The request is above a limit, or what the graph says of the values.
        """
        signature = servable.signatures[name]
        rows = tensors.check_rows(signature, inputs, sent, self.limits)
        expected = tensors.expected_bytes(signature, outputs or list(signature.outputs), rows)
        self._check_answer(expected)
        values = sum(int(np.size(array)) for array in inputs.values())
        before = held.held_bytes + values * VALUE_BYTES + rows * ROW_BYTES
        held.grow_to(before + expected * ANSWER_FACTOR)
        call.check()
        answer = run(servable, name, inputs, list(outputs), call.remaining_seconds)
        made = sum(tensors.array_bytes(array) for array in answer.values())
        self._check_answer(made)
        held.grow_to(before + made * ANSWER_FACTOR)
        return answer

    def _check_answer(self, size: int) -> None:
        if size > self.limits.answer_bytes:
            raise ApiError(
                Code.INVALID_ARGUMENT,
                f"the answer would be {size / 1e6:.0f} MB, and at most {self.limits.answer_bytes / 1e6:.0f} MB are "
                "given: send fewer rows, ask for fewer outputs, or start the server with a larger --max-answer-mb",
            )

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


def run(servable: Servable, name: str, inputs: Tensors, outputs: list[str], seconds: float) -> Tensors:
    """Runs a signature; what the graph or the session says of the values becomes the answer.

    Raises:
        ApiError: With TensorFlow's code and message.
    """
    try:
        return servable.run(name, inputs, outputs, timeout_seconds=seconds)
    except tf.errors.OpError as error:
        raise ApiError(_code(error.error_code), error.message) from error
    except UnicodeDecodeError as error:  # TensorFlow quotes the client's bytes and cannot read its own message
        raise ApiError(Code.INVALID_ARGUMENT, error.object.decode("utf-8", "replace")) from error
    except (ValueError, TypeError, OverflowError) as error:  # the session's own check of shapes and types
        raise ApiError(Code.INVALID_ARGUMENT, str(error)) from error


def _code(number: int) -> Code:
    return Code(number) if number in set(Code) else Code.UNKNOWN


def check_method(signature: Any) -> None:
    """Raises:
    ApiError: The signature is none to ask, such as TensorFlow's initializer (predict_util.cc).
    """
    if signature.method_name not in PREDICT_METHODS:
        raise ApiError(
            Code.INVALID_ARGUMENT,
            f"Expected prediction signature method_name to be one of {{{', '.join(PREDICT_METHODS)}}}. "
            f"Was: {signature.method_name}",
        )


def _choice(spec: model_pb2.ModelSpec) -> tuple[int | None, str]:
    chosen = spec.WhichOneof("version_choice")
    return (spec.version.value if chosen == "version" else None), (spec.version_label if chosen else "")


def _inputs(signature: Any, request: predict_pb2.PredictRequest, limits: Limits) -> Tensors:
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
    return {alias: tensors.from_proto(alias, protos[alias], signature.inputs[alias], limits) for alias in known}


def _set(names: set[str]) -> str:
    return ",".join(sorted(names))


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
