"""TensorFlow Serving's API on protos: Predict, GetModelMetadata, GetModelStatus, and their errors.

What it answers follows tensorflow/serving itself: `predict_util.cc`, `get_model_metadata_impl.cc`,
`get_model_status_impl.cc`, `server_core.cc`; the tests cite them case by case.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2, predict_pb2

from taxiway.components.contract import SERVING_DEFAULT
from taxiway.components.saved_models.session import SavedModelSession, Tensors
from taxiway.components.serving.protocol import tensor_protos
from taxiway.components.serving.protocol.api_errors import (
    ApiError,
    ErrorCode,
    make_invalid_argument_error,
    make_no_servable_error,
    make_unknown_label_error,
)
from taxiway.components.serving.protocol.limits import (
    ANSWER_FACTOR,
    ROW_BYTES,
    VALUE_BYTES,
    Limits,
    MemoryBudget,
    RequestDeadline,
    Reservation,
)
from taxiway.components.serving.request_log.request_trace import RequestTrace
from taxiway.components.serving.server.repository import ModelRepository, VersionStatus
from taxiway.components.serving.server.request_recorder import RequestRecorder, keep_exchange
from taxiway.components.serving.server.shadow import AnsweredRequest, ShadowComparison

SIGNATURE_DEF = "signature_def"
PREDICT_METHODS = tuple(f"tensorflow/serving/{name}" for name in ("predict", "classify", "regress"))


class ServingApi:
    """The models of one server, and what their requests may take."""

    def __init__(
        self,
        repositories: dict[str, ModelRepository],
        limits: Limits | None = None,
        recorder: RequestRecorder | None = None,
        shadows: Mapping[str, ShadowComparison] | None = None,
    ) -> None:
        self._repositories, self._shadows = repositories, shadows or {}
        self.limits = limits or Limits()
        self.recorder = recorder or RequestRecorder()
        self.memory = MemoryBudget(self.limits.memory_bytes)

    def list_problems(self) -> dict[str, str]:
        """Model to why its directory is not followed any more; empty where all are well."""
        problems = {name: repository.describe_problem() for name, repository in self._repositories.items()}
        return {name: problem for name, problem in problems.items() if problem}

    def list_unready(self) -> list[str]:
        """The models of which no version answers."""
        available = VersionStatus.AVAILABLE
        statuses = {name: repository.list_statuses() for name, repository in self._repositories.items()}
        return [name for name, found in statuses.items() if all(state is not available for state, _ in found.values())]

    @contextlib.contextmanager
    def hold_version(
        self, spec: model_pb2.ModelSpec, trace: RequestTrace | None = None
    ) -> Iterator[tuple[int, SavedModelSession]]:
        """Holds the version that a request names, and notes model and version on its trace.

        Raises:
            ApiError: It names none that is available.
        """
        if not spec.name:
            raise make_invalid_argument_error("ModelSpec has no name specified.")
        number, label = _parse_version_choice(spec)
        repository = self._repositories.get(spec.name)
        if repository is None:
            raise make_unknown_label_error(label) if label else make_no_servable_error(spec.name, number)
        if trace:
            trace.model = spec.name
        if trace and number is None and not label:
            number = repository.find_candidate("canary", trace.split_point)
        with repository.hold_version(number, label) as held:
            if trace:
                trace.version = held[0]
            yield held

    def place_request(self, name: str, content: bytes | bytearray, trace: RequestTrace) -> None:
        """Gives a Predict request its place among the candidate's and the live version's, where there is a candidate.

        Args:
            name: The model.
            content: The request's bytes, which stand for it where it has no id.
            trace: Trace of this request.
        """
        repository = self._repositories.get(name)
        if repository and repository.has_candidate:
            trace.split_point = compute_split_point(trace.request_id.encode("utf-8", "replace") or content)

    def _mirror(self, name: str, inputs: Tensors, answer: Tensors, seconds: float, trace: RequestTrace) -> None:
        """Has the candidate answer the same later, where it is a shadow and the live version answered by default."""
        shadow, repository = self._shadows.get(trace.model), self._repositories.get(trace.model)
        if shadow is None or repository is None:
            return
        candidate = repository.find_candidate("shadow", trace.split_point)
        if candidate is not None and candidate != trace.version:
            shadow.offer(AnsweredRequest(candidate, trace.version, name, inputs, answer, trace.rows, seconds))

    def predict(
        self, request: predict_pb2.PredictRequest, call: RequestDeadline, held: Reservation, trace: RequestTrace
    ) -> predict_pb2.PredictResponse:
        """Answers a Predict request.

        Args:
            request: Message of the gRPC API.
            call: Time limit of the call.
            held: Reservation in `memory` for this request.
            trace: Trace of this request.

        Raises:
            ApiError: The request is wrong; in TensorFlow Serving's words where it has them.
        """
        with self.hold_version(request.model_spec, trace) as (number, servable):
            name = request.model_spec.signature_name or SERVING_DEFAULT
            signature = servable.signatures.get(name)
            if signature is None:
                raise ApiError(ErrorCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
            trace.signature = name
            check_method(signature)
            inputs = _parse_inputs(signature, request, self.limits)
            outputs = _select_outputs(signature, request)
            answer = self.compute_outputs(
                servable, name, inputs, call, held, sent=set(request.inputs), outputs=outputs, trace=trace
            )
        response = predict_pb2.PredictResponse()
        response.model_spec.name, response.model_spec.signature_name = request.model_spec.name, name
        response.model_spec.version.value = number
        for alias, values in answer.items():
            response.outputs[alias].CopyFrom(tensor_protos.encode_tensor(values, signature.outputs[alias].dtype))
        return response

    def compute_outputs(
        self,
        servable: SavedModelSession,
        name: str,
        inputs: Tensors,
        call: RequestDeadline,
        held: Reservation,
        *,
        sent: Collection[str],
        trace: RequestTrace,
        outputs: Collection[str] = (),
    ) -> Tensors:
        """Runs a signature within the limits on rows, answer, memory and time.

        Args:
            servable: The version.
            name: The signature.
            inputs: Alias to array.
            call: The request's time.
            held: Reservation in `memory` for this request.
            sent: The inputs that the client sent; the others are the signature's defaults.
            trace: Trace of this request; its rows and, where it is sampled, its tensors are noted there.
            outputs: Aliases of the wanted outputs; empty: all.

        Raises:
            ApiError: The request is above a limit, or what the graph says of the values.
        """
        signature = servable.signatures[name]
        rows = trace.rows = tensor_protos.check_rows(signature, inputs, sent, self.limits)
        expected_bytes = tensor_protos.estimate_answer_bytes(signature, outputs or list(signature.outputs), rows)
        self._check_answer(expected_bytes)
        values = sum(int(np.size(array)) for array in inputs.values())
        before = held.held_bytes + values * VALUE_BYTES + rows * ROW_BYTES
        held.grow_to(before + expected_bytes * ANSWER_FACTOR)
        call.check_active()
        began = time.perf_counter()
        answer = run_signature(servable, name, inputs, list(outputs), call.remaining_seconds)
        seconds = time.perf_counter() - began
        answer_bytes = sum(tensor_protos.count_array_bytes(array) for array in answer.values())
        self._check_answer(answer_bytes)
        held.grow_to(before + answer_bytes * ANSWER_FACTOR)
        self._mirror(name, inputs, answer, seconds, trace)
        keep_exchange(trace, servable.folder, {alias: inputs[alias] for alias in sent if alias in inputs}, answer)
        return answer

    def _check_answer(self, size: int) -> None:
        if size > self.limits.answer_bytes:
            raise make_invalid_argument_error(
                f"the answer would be {size / 1e6:.0f} MB, and at most {self.limits.answer_bytes / 1e6:.0f} MB are "
                "given: send fewer rows, ask for fewer outputs, or start the server with a larger --max-answer-mb"
            )

    def get_metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, trace: RequestTrace | None = None
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Answers a GetModelMetadata request: the signatures.

        Raises:
            ApiError: Another field is asked for, or no available version is named.
        """
        if not request.HasField("model_spec"):
            raise make_invalid_argument_error("Missing ModelSpec")
        if not request.metadata_field:
            raise make_invalid_argument_error("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != SIGNATURE_DEF:
                raise make_invalid_argument_error(f"Metadata field {field} is not supported")
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        with self.hold_version(request.model_spec, trace) as (number, servable):
            signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=servable.signatures)
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = number
        response.metadata[SIGNATURE_DEF].Pack(signatures)
        return response

    def get_status(
        self, request: get_model_status_pb2.GetModelStatusRequest, trace: RequestTrace | None = None
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Answers a GetModelStatus request: the state of one version, or of all.

        Raises:
            ApiError: The model or version is not known.
        """
        if not request.HasField("model_spec"):
            raise make_invalid_argument_error("Missing ModelSpec")
        spec = request.model_spec
        repository = self._repositories.get(spec.name)
        statuses = repository.list_statuses() if repository else {}
        if trace and repository:
            trace.model = spec.name
        number, label = _parse_version_choice(spec)
        if label and repository:
            number = repository.resolve_label(label)
        if number is not None and number not in statuses:
            raise ApiError(ErrorCode.NOT_FOUND, f"Could not find version {number} of model {spec.name}")
        if not statuses:
            raise ApiError(ErrorCode.NOT_FOUND, f"Could not find any versions of model {spec.name}")
        response = get_model_status_pb2.GetModelStatusResponse()
        for version, (state, error) in statuses.items():
            if number in (None, version):
                added = response.model_version_status.add(version=version, state=state.value)
                added.status.error_code = ErrorCode.UNKNOWN if error else ErrorCode.OK
                added.status.error_message = error
        return response


def compute_split_point(key: bytes | bytearray) -> float:
    """A number from 0 (included) to 1 (not) for a request's id or bytes: the same for the same, evenly spread."""
    return int.from_bytes(hashlib.blake2b(key, digest_size=6).digest(), "big") / 2**48


def run_signature(
    servable: SavedModelSession, name: str, inputs: Tensors, outputs: list[str], seconds: float
) -> Tensors:
    """Runs a signature; what the graph or the session says of the values becomes the answer.

    Raises:
        ApiError: With TensorFlow's code and message.
    """
    try:
        return servable.run(name, inputs, outputs, timeout_seconds=seconds)
    except tf.errors.OpError as error:
        raise ApiError(_to_error_code(error.error_code), error.message) from error
    except UnicodeDecodeError as error:  # TensorFlow quotes the client's bytes and cannot read its own message
        raise make_invalid_argument_error(error.object.decode("utf-8", "replace")) from error
    except (ValueError, TypeError, OverflowError) as error:  # the session's own check of shapes and types
        raise make_invalid_argument_error(str(error)) from error


def _to_error_code(number: int) -> ErrorCode:
    return ErrorCode(number) if number in set(ErrorCode) else ErrorCode.UNKNOWN


def check_method(signature: Any) -> None:
    """Raises:
    ApiError: The signature is none to ask, such as TensorFlow's initializer (predict_util.cc).
    """
    if signature.method_name not in PREDICT_METHODS:
        raise make_invalid_argument_error(
            f"Expected prediction signature method_name to be one of {{{', '.join(PREDICT_METHODS)}}}. "
            f"Was: {signature.method_name}"
        )


def _parse_version_choice(spec: model_pb2.ModelSpec) -> tuple[int | None, str]:
    chosen = spec.WhichOneof("version_choice")
    return (spec.version.value if chosen == "version" else None), (spec.version_label if chosen else "")


def _parse_inputs(signature: Any, request: predict_pb2.PredictRequest, limits: Limits) -> Tensors:
    sent, expected = set(request.inputs), set(signature.inputs)
    if len(sent) > len(expected) or (len(sent) < len(expected) and not signature.defaults):
        raise make_invalid_argument_error(
            f"input size does not match signature: {len(sent)}!={len(expected)} len({{{_join_names(sent)}}}) != "
            f"len({{{_join_names(expected)}}}). Sent extra: {{{_join_names(sent - expected)}}}. "
            f"Missing but required: {{{_join_names(expected - sent)}}}.",
        )
    protos = dict(signature.defaults) | dict(request.inputs)
    missing = sorted(expected - set(protos)) or sorted(sent - expected)
    if missing:
        raise make_invalid_argument_error(
            f"input tensor alias not found in signature: {missing[0]}. "
            f"Inputs expected to be in the set {{{_join_names(expected)}}}."
        )
    return {
        alias: tensor_protos.decode_tensor(alias, protos[alias], signature.inputs[alias], limits) for alias in expected
    }


def _join_names(names: set[str]) -> str:
    return ",".join(sorted(names))


def _select_outputs(signature: Any, request: predict_pb2.PredictRequest) -> list[str]:
    wanted = list(request.output_filter)
    for alias in wanted:
        if alias not in signature.outputs:
            raise make_invalid_argument_error(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{{{_join_names(set(signature.outputs))}}}."
            )
    if len(set(wanted)) != len(wanted):
        twice = next(alias for alias in wanted if wanted.count(alias) > 1)
        raise make_invalid_argument_error(f"duplicate output tensor alias: {twice}")
    return wanted
