"""The numbers that versions were given in a serving directory. None is given twice, also where its version is gone.

What names a version by its number outlives it: verdicts, the request log, the figures of a shadow. A later version of
the same number would be judged by them. The number of a live version is a time and only grows; that of a candidate is
chosen here. Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Iterable

from taxiway.components.errors import ServingError

Ranges = tuple[tuple[int, int], ...]
"""Numbers as ranges, first and last, ascending; a gap lies between two of them."""
MOST_RANGES = 100
"""Beyond it the lowest ones become one, with the gaps between them: no candidate needs a number from so long ago."""


def add_numbers(given: Ranges, numbers: Iterable[int]) -> Ranges:
    """The ranges with further numbers."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted([*given, *((number, number) for number in numbers)]):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    old, kept = merged[:-MOST_RANGES], merged[-MOST_RANGES:]
    return ((old[0][0], kept[0][1]), *kept[1:]) if old else tuple(kept)


def choose_number(live: int, present: Iterable[int], given: Ranges = ()) -> int:
    """The highest number below the live one that no version has or had.

    Args:
        live: Number of the live version.
        present: Numbers of the versions that are there, whoever made them.
        given: Numbers that were given here.

    Raises:
        ServingError: There is none.
    """
    number = live - 1
    for first, last in reversed(add_numbers(given, present)):
        if first <= number <= last:
            number = first - 1
    if number < 1:
        raise ServingError(
            f"No number below the live version {live} is free for a candidate.",
            "Push with serving.promotion: immediate; its number is then a time, and there is room below it.",
        )
    return number
