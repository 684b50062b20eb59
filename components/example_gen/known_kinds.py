"""Chooses the kind of each column: the curated schema's, or the one inferred from the values of these files.

A later span is read as the schema says wherever its values allow: fractions that happen to be whole are still
fractions, words that look like numbers are still words, and a column without a value is of the kind that it had. Where
the values are really of another kind, they are read by that kind, and the data gate reports it from the statistics.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence

from taxiway.components.errors import DataError
from taxiway.components.example_gen.notes import DataNote

_NUMBERS = ("int", "float")


def apply_known_kinds(
    kinds: Mapping[str, str], schema_kinds: Mapping[str, str], needed: Collection[str]
) -> tuple[dict[str, str], tuple[DataNote, ...], tuple[str, ...]]:
    """Decides how each column is read.

    Args:
        kinds: The kinds inferred from the values.
        schema_kinds: The schema's kinds; columns that it does not know are read as inferred.
        needed: Columns that the configuration names: they are never left out.

    Returns:
        The kinds; notes on new columns that hold no value and are left out; the columns of text that are read as
        numbers, whose words will be bad rows.
    """
    if not schema_kinds:
        return dict(kinds), (), ()
    empty = [name for name, kind in kinds.items() if kind == "null" and name not in schema_kinds and name not in needed]
    decided = {
        name: choose_kind(kind, schema_kinds.get(name, kind)) for name, kind in kinds.items() if name not in empty
    }
    text_read = [name for name, kind in decided.items() if kinds[name] == "string" and kind != "string"]
    return decided, tuple(_make_empty_note(name) for name in empty), tuple(text_read)


def choose_kind(inferred: str, schema_kind: str) -> str:
    """The kind to read a column by: the known one, unless the values are really of another.

    Fractions in a column of whole numbers, times or booleans in one of numbers stay what they are. Text in a column of
    anything else is read as that: a word among numbers is a bad row, which is told with its value.
    """
    base = schema_kind.partition(":")[0]
    if inferred in ("null", "string") or base == "string":
        return schema_kind
    if base == "float":
        return "float" if inferred in _NUMBERS else inferred
    if base == "time" and inferred == "int":
        return schema_kind
    return inferred


def _make_empty_note(column: str) -> DataNote:
    return DataNote(
        "new_empty_column",
        "the column is new and holds no value in any row: it was left out (data.leave_out silences this)",
        column=column,
    )


@contextlib.contextmanager
def explain_bad_rows(text_read: Sequence[str]) -> Iterator[None]:
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
