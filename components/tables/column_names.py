"""Names of columns in rows, as training had them: a header's spaces, and columns without a name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

UNNAMED = "unnamed_"
_PANDAS = re.compile(r"Unnamed: (\d+)")
"""How pandas calls the column in position N whose header is empty."""


def match_trained_names(names: Iterable[str], trained: Collection[str]) -> dict[str, str]:
    """The names in training of those columns that have another one here.

    Training strips the names of a header, and calls the column in position N that has none `unnamed_N`. The position is
    another where a column, the label perhaps, is left out: columns without a name are then taken in their order, if
    there are as many as in training.

    Args:
        names: The names of the rows' columns.
        trained: The names of the columns that training had.
    """
    names = list(names)
    taken = set(names) & set(trained)
    matches: dict[str, str] = {}
    for name in names:
        plain = _PANDAS.sub(rf"{UNNAMED}\1", name.strip())
        if name not in trained and plain in trained and plain not in taken:
            matches[name] = plain
            taken.add(plain)
    here = [name for name in names if _is_unnamed(name) and name not in taken and name not in matches]
    there = [name for name in trained if name.startswith(UNNAMED) and _is_unnamed(name) and name not in taken]
    if here and len(here) == len(there):
        matches.update(zip(here, there, strict=True))
    return matches


def _is_unnamed(name: str) -> bool:
    number = name.strip().removeprefix(UNNAMED)
    return not name.strip() or bool(_PANDAS.fullmatch(name.strip())) or (number != name.strip() and number.isdecimal())
