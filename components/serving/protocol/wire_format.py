"""Reads the outline of a request from its bytes, before protobuf makes objects of it.

Protobuf makes a hundred bytes of some fields that take two in the message, so the limit on a message does not bound
its memory. Here large messages are walked once; what no tensor of a request needs is refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from taxiway.components.serving.protocol.api_errors import ApiError, make_invalid_argument_error

SMALL_BYTES = 1 << 18
"""Smaller messages are parsed as they are; `estimate_parsed_bytes` counts them at their worst."""
_WORST_FACTOR, _CHECKED_FACTOR = 64, 12
MAX_TENSORS = 4096
MAX_FIELDS = 1 << 22
"""Of all tensors of a message: a text takes one field, packed numbers one for all."""
_INPUTS, _VALUE, _SHAPE = 2, 2, 2
_RESOURCES = (14, 15)
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def estimate_parsed_bytes(message: bytes) -> int:
    """At most what a message becomes as protobuf's objects, itself included."""
    return len(message) * (_WORST_FACTOR if len(message) < SMALL_BYTES else _CHECKED_FACTOR)


def check_outline(message: bytes) -> None:
    """Raises:
    ApiError: The message does not end where its last field ends (protobuf drops the rest), or has very many fields.
    """
    for count, (number, _, _) in enumerate(_read_fields(message, 0, len(message))):
        if number == 0 or count >= MAX_TENSORS:
            raise _make_refusal_error("a field 0" if number == 0 else f"more than {MAX_TENSORS} fields")


def check_predict(message: bytes) -> None:
    """Raises:
    ApiError: A large `PredictRequest` holds what no request needs.
    """
    if len(message) < SMALL_BYTES:
        return
    count = 0
    for number, start, end in _read_fields(message, 0, len(message)):
        for field, (part, first, last) in enumerate(_read_fields(message, start, end) if number == _INPUTS else ()):
            if field >= 8:
                raise _make_refusal_error("an input that is no pair of name and tensor")
            if part == _VALUE:
                count = _check_tensor(message, first, last, count)


def _check_tensor(message: bytes, start: int, end: int, count: int) -> int:
    shapes = 0
    for number, first, last in _read_fields(message, start, end):
        count += 1
        shapes += last - first if number == _SHAPE else 0
        if number in _RESOURCES or shapes > 4096 or count > MAX_FIELDS:
            raise _make_refusal_error("a tensor of more than numbers or texts, or more than 4 million fields")
    return count


def _read_fields(message: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, begin and end of each field in a part of a message."""
    while start < end:
        key, start = _read_varint(message, start, end)
        kind = key & 7
        if kind == _BYTES:
            size, start = _read_varint(message, start, end)
        elif kind == _VARINT:
            size = _read_varint(message, start, end)[1] - start
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise _make_refusal_error(f"a field of wire type {kind}")
        if start + size > end:
            raise _make_refusal_error("a field that ends behind it")
        yield key >> 3, start, start + size
        start += size


def _read_varint(message: bytes, start: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while start < end and shift < 70:
        byte = message[start]
        start += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, start
        shift += 7
    raise _make_refusal_error("a number that does not end")


def _make_refusal_error(what: str) -> ApiError:
    return make_invalid_argument_error(f"The message is no request that is taken: it holds {what}")
