"""Errors of TensorFlow Serving's API: a canonical code and a message, and what each is over HTTP.

The HTTP numbers are those of `ToHTTPStatusCode` in tensorflow_serving/model_servers/http_server.cc.
"""

from __future__ import annotations

from enum import IntEnum


class ErrorCode(IntEnum):
    """Canonical codes, as gRPC and TensorFlow number them."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


HTTP_STATUS = {
    ErrorCode.OK: 200,
    ErrorCode.CANCELLED: 499,
    ErrorCode.UNKNOWN: 500,
    ErrorCode.INVALID_ARGUMENT: 400,
    ErrorCode.DEADLINE_EXCEEDED: 504,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.ALREADY_EXISTS: 409,
    ErrorCode.PERMISSION_DENIED: 403,
    ErrorCode.RESOURCE_EXHAUSTED: 429,
    ErrorCode.FAILED_PRECONDITION: 400,
    ErrorCode.ABORTED: 409,
    ErrorCode.OUT_OF_RANGE: 400,
    ErrorCode.UNIMPLEMENTED: 501,
    ErrorCode.INTERNAL: 500,
    ErrorCode.UNAVAILABLE: 503,
    ErrorCode.DATA_LOSS: 500,
    ErrorCode.UNAUTHENTICATED: 401,
}


GRPC_MESSAGE_LIMIT = 1024
"""Characters of an error over gRPC, as in `grpc_status_util.cc`."""
MESSAGE_LIMIT = 2048
"""Of an error over REST or in a version's status: errors quote what the client sent, TensorFlow a graph's history."""


def shorten_message(message: str, limit: int = MESSAGE_LIMIT) -> str:
    """The message, cut where it is longer than `limit` characters."""
    return message if len(message) <= limit else message[:limit] + "...TRUNCATED"


def escape_surrogates(message: str) -> str:
    """The message as text that protobuf can hold: half of a surrogate pair has no form in UTF-8."""
    return message.encode("utf-8", "backslashreplace").decode("utf-8")


class ApiError(Exception):
    """What a request is answered with; never a fault of the server itself."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def make_invalid_argument_error(message: str) -> ApiError:
    """The client's own mistake."""
    return ApiError(ErrorCode.INVALID_ARGUMENT, message)


def make_unknown_label_error(label: str) -> ApiError:
    """No version, or none that answers, has the label."""
    return make_invalid_argument_error(f"Unrecognized servable version label: {label}")


def make_no_servable_error(model: str, number: int | None) -> ApiError:
    """The model has no such version that answers, or, without a number, none at all."""
    requested = f"Latest({model})" if number is None else f"Specific({model}, {number})"
    return ApiError(ErrorCode.NOT_FOUND, f"Servable not found for request: {requested}")
