"""The kinds of columns that are known from a curated schema, against those that the values of these files suggest.

A later span is read as the schema says wherever its values allow: fractions that happen to be whole are still
fractions, words that look like numbers are still words, and a column without a value is of the kind that it had. Where
the values are really others they are read as they are, and the data gate says so; it has the statistics.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence

from components.errors import DataError
from components.example_gen.notes import Note

_NUMBERS = ("int", "float")


def apply_known(
    kinds: Mapping[str, str], known: Mapping[str, str], needed: Collection[str]
) -> tuple[dict[str, str], tuple[Note, ...], tuple[str, ...]]:
    """Decides how each column is read.

    Args:
        kinds: Inferred from the values.
        known: Of the schema; columns that it does not know are read as inferred.
        needed: Columns that the configuration names: they are never left out.

    Returns:
        The kinds; notes on new columns that hold no value and are left out; the columns of text that are read as
        numbers, whose words will be bad rows.
    """
    if not known:
        return dict(kinds), (), ()
    empty = [name for name, kind in kinds.items() if kind == "null" and name not in known and name not in needed]
    decided = {name: kind_as_known(kind, known.get(name, kind)) for name, kind in kinds.items() if name not in empty}
    text_read = [name for name, kind in decided.items() if kinds[name] == "string" and kind != "string"]
    return decided, tuple(_empty_note(name) for name in empty), tuple(text_read)


def kind_as_known(inferred: str, known: str) -> str:
    """The kind to read a column by: the known one, unless the values are really of another.

    Fractions in a column of whole numbers, times or booleans in one of numbers stay what they are. Text in a column of
    anything else is read as that: a word among numbers is a bad row, which is told with its value.
    """
    base = known.partition(":")[0]
    if inferred in ("null", "string") or base == "string":
        return known
    if base == "float":
        return "float" if inferred in _NUMBERS else inferred
    if base == "time" and inferred == "int":
        return known
    return inferred


def _empty_note(column: str) -> Note:
    return Note(
        "new_empty_column",
        "the column is new and holds no value in any row: it was left out (data.leave_out silences this)",
        column=column,
    )


@contextlib.contextmanager
def explained(text_read: Sequence[str]) -> Iterator[None]:
    """Adds to the error of too many bad rows that the schema said how the columns are read."""
    try:
        yield
    except DataError as error:
        if not text_read:
            raise
        listed = ", ".join(map(repr, text_read[:3]))
        raise DataError(
            error.problem,
            f"{error.remedy} The schema says that {listed} holds no text: name a word that means missing in "
            f"data.csv.null_values, or write type: BYTES for the column in the schema if text is right from now on.",
        ) from error
