"""A configuration as commented YAML: every key with its default, its meaning, and what was found out about it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import BaseModel

WIDTH = 110


def render(model: BaseModel, comments: Mapping[str, list[str]], header: str) -> str:
    """The model's values, section by section.

    Args:
        model: The configuration.
        comments: What stands above a key, by dotted key.
        header: Lines at the top.
    """
    lines = [*_comment(header, ""), *_section(model, comments, "", "")]
    return "\n".join(lines) + "\n"


def _section(model: BaseModel, comments: Mapping[str, list[str]], path: str, indent: str) -> Iterator[str]:
    for name, info in type(model).model_fields.items():
        key = f"{path}{name}"
        value = getattr(model, name)
        if not indent:
            yield ""
        if not _is_section(value):
            yield from _comment(_plain(info.description or ""), indent)
        else:
            yield from _comment(_plain(info.description or type(value).__doc__ or ""), indent)
        for note in comments.get(key, ()):
            yield from _comment(f"-> {note}", indent)
        yield from _entry(name, value, comments, key, indent)


def _is_section(value: object) -> bool:
    return isinstance(value, BaseModel)


def _entry(name: str, value: object, comments: Mapping[str, list[str]], key: str, indent: str) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield f"{indent}{name}:"
        yield from _section(value, comments, f"{key}.", indent + "  ")
        return
    plain = value_of(value)
    if isinstance(plain, dict) and plain:
        yield f"{indent}{name}:"
        for inner, item in plain.items():
            yield f"{indent}  {_scalar(inner)}: {_flow(item)}"
    else:
        yield f"{indent}{name}: {_flow(plain)}"


def value_of(value: Any) -> Any:
    """Pydantic's values as what YAML writes."""
    if isinstance(value, BaseModel):
        return {name: value_of(v) for name, v in value.model_dump(mode="json", exclude_unset=True).items()}
    if isinstance(value, Mapping):
        return {key: value_of(v) for key, v in value.items()}
    return [value_of(v) for v in value] if isinstance(value, (list, tuple)) else value


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**9, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _scalar(value: Any) -> str:
    return _flow(value)


def _comment(text: str, indent: str) -> Iterator[str]:
    for paragraph in text.split("\n"):
        for line in textwrap.wrap(paragraph, WIDTH - len(indent) - 2, break_on_hyphens=False) or ([""] if text else []):
            yield f"{indent}# {line}".rstrip()


def _plain(description: str) -> str:
    """A docstring as one paragraph."""
    first = description.split("\n\n")[0]
    return re.sub(r"\s+", " ", first).replace("``", "`").strip()
