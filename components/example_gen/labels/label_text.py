"""Labels as text: the one spelling that the configuration, the data and the schema are compared in."""

from __future__ import annotations


def format_label(value: object) -> str | None:
    """A label as text: 1 and 1.0 are `1`, booleans are `false` and `true`; None where there is no label."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return None if value is None else str(value)
