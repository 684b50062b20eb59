"""What the constructors of components take: sections as objects or plain dicts, tasks in words, folders.

A component keeps a section as JSON in an execution property; that it is JSON is nobody's concern but its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from taxiway.components.config_section import Section
from taxiway.components.contract import Task
from taxiway.components.errors import ConfigError, suggest_matches

SectionT = TypeVar("SectionT", bound=Section)
TASKS: tuple[Task, ...] = get_args(Task)


def parse_section(kind: type[SectionT], given: SectionT | Mapping[str, Any] | None, argument: str) -> SectionT:
    """The section that an argument gives: an object of its class, or its keys and values.

    Args:
        kind: Class of the section.
        given: Object, mapping, or None for the defaults.
        argument: Name of the argument, for the error.

    Raises:
        ConfigError: It is neither, or a key or value is wrong.
    """
    if isinstance(given, kind):
        return given
    if given is not None and not isinstance(given, Mapping):
        shown = "a text" if isinstance(given, str) else type(given).__name__
        raise ConfigError(
            f"{argument} is {shown}: {str(given)[:80]!r}.",
            f"Pass {kind.__name__}(...) or a dict with its keys: {', '.join(kind.model_fields)}.",
        )
    try:
        return kind.model_validate(given or {})
    except ValidationError as error:
        raise ConfigError(
            f"{argument}: {format_validation_error(error, kind)}", f"The keys are those of taxiway.{kind.__name__}."
        ) from error


def check_task(task: str) -> Task:
    """The task, if it is one.

    Raises:
        ConfigError: It is no task's word.
    """
    for known in TASKS:
        if task == known:
            return known
    raise ConfigError(f"task is {task!r}, which is no task.", suggest_matches(str(task), TASKS))


def make_absolute(folder: str | Path) -> str:
    """The folder as an execution property holds it: steps may run in another working directory. Empty stays so."""
    return str(Path(folder).absolute()) if str(folder) else ""


def format_validation_error(error: ValidationError, kind: type[BaseModel]) -> str:
    """Pydantic's error in our words: unknown keys with their nearest matches, values as they were given."""
    return "; ".join(_format_detail(detail, kind) for detail in error.errors())


def _format_detail(detail: Any, kind: type[BaseModel]) -> str:
    location = [str(part) for part in detail["loc"]]
    key = ".".join(location)
    if detail["type"] == "extra_forbidden":
        return f"unknown key {key!r}. {suggest_matches(location[-1], _list_known_keys(kind, location[:-1]))}".strip()
    if detail["type"] == "missing":
        return f"the key {key!r} is missing"
    value = detail.get("input")
    shown = "" if isinstance(value, dict) else f" (given: {value!r})"
    return f"{key or 'the configuration'}: {detail['msg'].removeprefix('Value error, ')}{shown}"


def _list_known_keys(kind: type[BaseModel], location: list[str]) -> list[str]:
    """The keys that the section at `location` takes."""
    section: Any = kind
    for name in location:
        field = getattr(section, "model_fields", {}).get(name)
        if field is None:
            return []
        candidates = (field.annotation, *get_args(field.annotation))
        section = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
    return list(getattr(section, "model_fields", {}))
