"""`NAME=VALUE` on the command line, the value in YAML: `--set section.key=value`, `--param name=value`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from taxiway.components.errors import UsageError
from taxiway.pipeline.yaml_text import parse_yaml


def parse_assignment(option: str, text: str, example: str, error: type[UsageError] = UsageError) -> tuple[str, Any]:
    """One name and its value.

    Args:
        option: Name of the option, such as `--param`.
        text: Text that followed it.
        example: A correct one, for the message.
        error: Class of the error that is raised.

    Raises:
        UsageError: It is of another form, or the value is no YAML.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise error(f"{option} {text!r} is not of the form NAME=VALUE.", f"Such as {option} {example}.")
    try:
        return name, parse_yaml(value)
    except yaml.YAMLError as problem:
        raise error(
            f"{option} {name}: {value[:200]!r} is not a YAML value: {str(problem)[:200]}",
            "Quote what holds colons or brackets.",
        ) from problem


def parse_assignments(option: str, texts: Iterable[str], example: str) -> dict[str, Any]:
    """Several of them; of two with one name the last one counts.

    Raises:
        UsageError: One is of another form, or its value is no YAML.
    """
    return dict(parse_assignment(option, text, example) for text in texts)
