"""Long lists in a sentence: the first few, and how many more there are."""

from __future__ import annotations

from collections.abc import Sequence


def join_first(texts: Sequence[str], most: int, *, separator: str = ", ", noun: str = "") -> str:
    """`a, b and 3 more`, or `a, b and 3 more words` with a noun; all of them where there are at most `most`."""
    rest = len(texts) - most
    more = f" and {rest} more {noun}".rstrip() if rest > 0 else ""
    return separator.join(texts[:most]) + more
