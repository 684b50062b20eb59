"""Trigger conditions: CEL over the whole executor input, as in `backend/src/v2/expression/expression.go`."""

from __future__ import annotations

import json
import re
from typing import Any

import celpy
from celpy import celtypes
from celpy.celparser import CELParseError
from celpy.evaluation import CELEvalError

from taxiway.pipeline.emulator import errors
from taxiway.pipeline.emulator.errors import TaskFailedError

_MAPS = frozenset({"artifacts", "parameters"})
"""Fields that are maps from data to messages."""
_VALUES = frozenset({"parameterValues", "metadata"})
"""Fields that hold data all the way down."""


def evaluate_condition(executor_input: dict[str, Any], condition: str) -> bool:
    """Whether the task runs.

    Args:
        executor_input: `ExecutorInput`, JSON values; the outputs are not yet there.

    Raises:
        TaskFailedError: It is no CEL, names what is not there, or gives no boolean: driver and run fail.
    """
    environment = celpy.Environment()
    try:
        program = environment.program(environment.compile(condition), functions=_FUNCTIONS)
        result = program.evaluate(_make_activation(executor_input))
    except (CELParseError, CELEvalError) as error:
        raise TaskFailedError(
            f"evaluation error: {condition}: {_describe_expression_error(error)}", errors.EXPRESSION
        ) from error
    if not isinstance(result, celtypes.BoolType):
        raise TaskFailedError(f"evaluation error: return type is not bool, got {result!r}", errors.EXPRESSION)
    return bool(result)


def _make_activation(executor_input: dict[str, Any]) -> Any:
    """A message has all its fields; its JSON leaves out those that are empty."""
    inputs = {"artifacts": {}, "parameterValues": {}, "parameters": {}, **executor_input.get("inputs", {})}
    outputs = {"artifacts": {}, "parameters": {}, "outputFile": "", **executor_input.get("outputs", {})}
    return celpy.json_to_cel(_convert_message({"inputs": inputs, "outputs": outputs}))


def _convert_message(value: Any) -> Any:
    """JSON names as the proto's own (`parameterValues` is `parameter_values` in CEL), keys of maps as they are."""
    if isinstance(value, list):
        return [_convert_message(inner) for inner in value]
    return (
        {_to_snake_case(key): _convert_field(key, inner) for key, inner in value.items()}
        if isinstance(value, dict)
        else value
    )


def _convert_field(name: str, value: Any) -> Any:
    if name in _VALUES:
        return _convert_data(value)
    if name in _MAPS and isinstance(value, dict):
        return {key: _convert_message(inner) for key, inner in value.items()}
    return _convert_message(value)


def _convert_data(value: Any) -> Any:
    """Numbers become doubles: protobuf's `Value` knows no integers."""
    if isinstance(value, dict):
        return {key: _convert_data(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_convert_data(inner) for inner in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _to_snake_case(name: str) -> str:
    return re.sub(r"[A-Z]", lambda match: f"_{match[0].lower()}", name)


def _parse_json(text: Any) -> Any:
    return celpy.json_to_cel(json.loads(str(text)))


def _compare_equal(left: Any, right: Any) -> Any:
    """An error is equal to nothing: celpy compares it with a string and says no."""
    for side in (left, right):
        if isinstance(side, CELEvalError):
            return side
    return celtypes.BoolType(left == right)


def _compare_unequal(left: Any, right: Any) -> Any:
    same = _compare_equal(left, right)
    return same if isinstance(same, CELEvalError) else celtypes.BoolType(not same)


_FUNCTIONS: dict[str, Any] = {"parseJson": _parse_json, "_==_": _compare_equal, "_!=_": _compare_unequal}


def _describe_expression_error(error: Exception) -> str:
    missing = re.search(r"no such key', <class 'KeyError'>, \(StringType\(\\*'(.*?)\\*'\)", repr(error.args))
    if missing:
        return f"no such key: {missing[1]}"
    return str(error.args[0] if error.args else error).splitlines()[0]
