"""Nested settings, such as a configuration, as one flat table, and what differs between two tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flatten_settings(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested sections as `{"a.b": value}`; an empty section is a value."""
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        flat |= flatten_settings(inner, f"{prefix}.{name}" if prefix else str(name))
    return flat


def list_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """`(name, before, after)` of everything that differs; None where one side has nothing."""
    sides = [(name, before.get(name), after.get(name)) for name in sorted({*before, *after})]
    return [(name, old, new) for name, old, new in sides if old != new or _is_flag(old) != _is_flag(new)]


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)  # Python takes True for 1
