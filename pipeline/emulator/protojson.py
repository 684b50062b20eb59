"""Messages as the backend writes them: Go's `protojson`, which differs from Python's JSON where steps can see it."""

from __future__ import annotations

import json
from typing import Any


def write_message(value: Any) -> str:
    """One line without spaces; whole numbers without a point, letters beyond ASCII as they are."""
    return json.dumps(simplify_numbers(value), ensure_ascii=False, separators=(",", ":"))


def write_stable_message(value: Any) -> str:
    """As the workflow compiler writes it: once more through `encoding/json` (`stablyMarshalJSON`)."""
    return write_message(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def simplify_numbers(value: Any) -> Any:
    """Whole numbers as integers: protobuf knows doubles only, and Go writes 6.0 as 6."""
    if isinstance(value, dict):
        return {key: simplify_numbers(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [simplify_numbers(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e21 else value


def drop_empty(values: dict[str, Any]) -> dict[str, Any]:
    """Without empty maps and lists, as messages leave them out."""
    return {key: value for key, value in values.items() if value not in ({}, [], ())}
