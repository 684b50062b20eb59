"""Trigger conditions: CEL over the whole executor input, as in `backend/src/v2/expression/expression.go`."""

from __future__ import annotations

import json
import re
from typing import Any

import celpy
from celpy import celtypes
from celpy.celparser import CELParseError
from celpy.evaluation import CELEvalError

from pipeline.emulator import refusals
from pipeline.emulator.refusals import TaskFailedError

_MAPS = frozenset({"artifacts", "parameters"})
"""Fields that are maps from data to messages."""
_VALUES = frozenset({"parameterValues", "metadata"})
"""Fields that hold data all the way down."""


def holds(executor_input: dict[str, Any], condition: str) -> bool:
    """Whether the task runs.

    Args:
        executor_input: `ExecutorInput`, JSON values; the outputs are not yet there.

    Raises:
        TaskFailedError: It is no CEL, names what is not there, or gives no boolean: driver and run fail.
    """
    environment = celpy.Environment()
    try:
        program = environment.program(environment.compile(condition), functions=_FUNCTIONS)
        result = program.evaluate(_activation(executor_input))
    except (CELParseError, CELEvalError) as error:
        raise TaskFailedError(f"evaluation error: {condition}: {_plain(error)}", refusals.EXPRESSION) from error
    if not isinstance(result, celtypes.BoolType):
        raise TaskFailedError(f"evaluation error: return type is not bool, got {result!r}", refusals.EXPRESSION)
    return bool(result)


def _activation(executor_input: dict[str, Any]) -> Any:
    return celpy.json_to_cel(_as_fields(executor_input))


def _as_fields(value: Any) -> Any:
    """JSON names as the proto's own (`parameterValues` is `parameter_values` in CEL), keys of maps as they are."""
    if isinstance(value, list):
        return [_as_fields(inner) for inner in value]
    return {_snake(key): _field(key, inner) for key, inner in value.items()} if isinstance(value, dict) else value


def _field(name: str, value: Any) -> Any:
    if name in _VALUES:
        return _as_data(value)
    if name in _MAPS and isinstance(value, dict):
        return {key: _as_fields(inner) for key, inner in value.items()}
    return _as_fields(value)


def _as_data(value: Any) -> Any:
    """Numbers become doubles: protobuf's `Value` knows no integers."""
    if isinstance(value, dict):
        return {key: _as_data(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_as_data(inner) for inner in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda match: f"_{match[0].lower()}", name)


def _parse_json(text: Any) -> Any:
    return celpy.json_to_cel(json.loads(str(text)))


def _equal(left: Any, right: Any) -> Any:
    """An error is equal to nothing: celpy compares it with a string and says no."""
    for side in (left, right):
        if isinstance(side, CELEvalError):
            return side
    return celtypes.BoolType(left == right)


def _unequal(left: Any, right: Any) -> Any:
    same = _equal(left, right)
    return same if isinstance(same, CELEvalError) else celtypes.BoolType(not same)


_FUNCTIONS: dict[str, Any] = {"parseJson": _parse_json, "_==_": _equal, "_!=_": _unequal}


def _plain(error: Exception) -> str:
    missing = re.search(r"no such key', <class 'KeyError'>, \(StringType\(\\*'(.*?)\\*'\)", repr(error.args))
    if missing:
        return f"no such key: {missing[1]}"
    return str(error.args[0] if error.args else error).splitlines()[0]
