"""Renders a configuration as YAML, with the meaning of every key and what was found in the data as comments."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import BaseModel

WIDTH = 110


def render_yaml(model: BaseModel, comments: Mapping[str, list[str]], header: str) -> str:
    """Renders every key of a configuration, section by section.

    Args:
        model: Configuration to render.
        comments: Comments above a key, by dotted key.
        header: Lines at the top.
    """
    lines = [*_render_comment(header, ""), *_render_section(model, comments, "", "")]
    return "\n".join(lines) + "\n"


def _render_section(model: BaseModel, comments: Mapping[str, list[str]], path: str, indent: str) -> Iterator[str]:
    for name, info in type(model).model_fields.items():
        key = f"{path}{name}"
        value = getattr(model, name)
        if not indent:
            yield ""
        docstring = type(value).__doc__ if isinstance(value, BaseModel) else ""
        yield from _render_comment(_flatten_docstring(info.description or docstring or ""), indent)
        for note in comments.get(key, ()):
            yield from _render_comment(f"-> {note}", indent)
        yield from _render_entry(name, value, comments, key, indent)


def _render_entry(name: str, value: object, comments: Mapping[str, list[str]], key: str, indent: str) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield f"{indent}{name}:"
        yield from _render_section(value, comments, f"{key}.", indent + "  ")
        return
    plain = to_plain_value(value)
    if isinstance(plain, dict) and plain:
        yield f"{indent}{name}:"
        for inner, item in plain.items():
            yield f"{indent}  {_render_value(inner)}: {_render_value(item)}"
    else:
        yield f"{indent}{name}: {_render_value(plain)}"


def to_plain_value(value: Any) -> Any:
    """Pydantic's values as mappings, lists and scalars for YAML."""
    if isinstance(value, BaseModel):
        return {name: to_plain_value(v) for name, v in value.model_dump(mode="json", exclude_unset=True).items()}
    if isinstance(value, Mapping):
        return {key: to_plain_value(v) for key, v in value.items()}
    return [to_plain_value(v) for v in value] if isinstance(value, (list, tuple)) else value


def _render_value(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**9, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _render_comment(text: str, indent: str) -> Iterator[str]:
    for paragraph in text.split("\n"):
        for line in textwrap.wrap(paragraph, WIDTH - len(indent) - 2, break_on_hyphens=False) or ([""] if text else []):
            yield f"{indent}# {line}".rstrip()


def _flatten_docstring(description: str) -> str:
    """A docstring as one paragraph."""
    first = description.split("\n\n")[0]
    return re.sub(r"\s+", " ", first).replace("``", "`").strip()
