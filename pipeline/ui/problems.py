"""A part of a page that cannot be read says why in its place; the rest of the page stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from taxiway.components.errors import TaxiwayError

T = TypeVar("T")


def read_or_explain(read: Callable[[], T], missing: T) -> tuple[T, str]:
    """What was read, and an empty text; where it cannot be read, `missing` and the reason."""
    try:
        return read(), ""
    except (TaxiwayError, OSError) as error:
        return missing, explain_error(error)


def explain_error(error: Exception) -> str:
    """What is wrong, in words: of a file that cannot be read its name, and what to do."""
    if isinstance(error, TaxiwayError) or not isinstance(error, OSError) or error.filename is None:
        return str(error)
    remedy = " Give this user the right to read it." if isinstance(error, PermissionError) else ""
    return f"{error.filename} cannot be read: {error.strerror}.{remedy}"


def list_or_explain(read: Callable[[], list[T]]) -> tuple[list[T], str]:
    """The same of a list, which is empty where it cannot be read."""
    return read_or_explain(read, list[T]())
