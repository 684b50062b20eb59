"""Notes on the rows and their split, shown at the end of a run and in its report: equal rows, missing classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from taxiway.components.contract import EVAL_SPLIT, TEST_SPLIT, find_judging_split
from taxiway.components.example_gen.config import SplitConfig
from taxiway.components.example_gen.splits.strata import FEWEST_ROWS, find_missing_classes
from taxiway.components.text.lists import join_first

EQUAL_SHARE = 0.01
"""Share of rows that repeat another one, from which on a note says so."""
LIKE_TRAIN_SHARE = 0.05
"""Share of evaluation rows with the features of a training row, from which on a note says so."""
_CLASSES_SHOWN = 3
REMEDIES = {"file": "data.split.files.test", "time": "data.split.test_cutoff"}
"""What makes a third split, where a share does not."""


@dataclass(frozen=True)
class DataNote:
    """One note: `rule` is its name; `split` and `column` say where, if it is about one."""

    rule: str
    explanation: str
    split: str = ""
    column: str = ""


def make_footer_notes(footers: int, first_cells: Sequence[str]) -> tuple[DataNote, ...]:
    """That rows were taken for footers (`data.csv.footer`), by their first cells, and left out."""
    if not footers:
        return ()
    what = "1 row is a footer and is" if footers == 1 else f"{footers:,} rows are footers and are"
    return (
        DataNote(
            "footers",
            f"{what} left out: the first cell is {_quote_names(first_cells)} (data.csv.footer)",
        ),
    )


def make_split_notes(
    config: SplitConfig,
    classes: Sequence[str],
    class_rows: Mapping[str, Sequence[int]],
    equal_rows: int,
    like_train: int,
) -> tuple[DataNote, ...]:
    """The notes on the split.

    Args:
        config: The section `data.split`.
        classes: The label's classes; none for a regression.
        class_rows: The rows of each class, by split.
        equal_rows: Rows that repeat an earlier one in every column, the label's included.
        like_train: Rows of the split that judges with the features of a training row.
    """
    judging = find_judging_split(class_rows)
    return (
        *_note_two_splits(config, class_rows),
        *_note_equal_rows(equal_rows, sum(map(sum, class_rows.values()))),
        *_note_rows_like_train(config, like_train, sum(class_rows[judging]), judging),
        *_note_missing_classes(config, classes, class_rows),
    )


def _note_two_splits(config: SplitConfig, class_rows: Mapping[str, Sequence[int]]) -> list[DataNote]:
    if TEST_SPLIT in class_rows:
        return []
    why = (
        f"the data has too few rows for a split 'test' with {FEWEST_ROWS} rows of each class"
        if config.test is None and config.by != "file"
        else "data.split asks for no split 'test'"
    )
    remedy = REMEDIES.get(config.by if config.by == "file" or config.cutoff else "", "data.split.test: 0.15")
    return [
        DataNote(
            "judged_on_eval",
            f"the rows that judge the model also chose it: {why}. Its numbers lean to the good side; {remedy} sets "
            "rows apart that nothing looks at before",
            split=EVAL_SPLIT,
        )
    ]


def _note_equal_rows(equal_rows: int, rows: int) -> list[DataNote]:
    if equal_rows < max(1, EQUAL_SHARE * rows):
        return []
    return [
        DataNote(
            "equal_rows",
            f"{_format_share(equal_rows, rows)} rows repeat another row in every column, the label "
            f"included: if they are "
            "copies and not events of their own, take them out of the data",
        )
    ]


def _note_rows_like_train(config: SplitConfig, like_train: int, judged: int, split: str) -> list[DataNote]:
    if like_train < max(1, LIKE_TRAIN_SHARE * judged):
        return []
    remedy = "" if config.by == "entity" else "; data.split.by: entity keeps the rows of one customer, say, together"
    return [
        DataNote(
            "features_in_both_splits",
            f"{_format_share(like_train, judged)} rows of {split!r} have the values of a training row in "
            f"every column but "
            f"the label: what is measured is mostly how well known rows are known{remedy}",
            split=split,
        )
    ]


def _note_missing_classes(
    config: SplitConfig, classes: Sequence[str], class_rows: Mapping[str, Sequence[int]]
) -> list[DataNote]:
    if not classes:
        return []
    by = {
        "hash": "there are too few",
        "entity": f"{config.column!r} keeps its rows together",
        "time": "none is then",
        "file": "its files have none",
    }
    return [
        DataNote(
            "class_missing_in_split",
            f"no row of class {_quote_names(names)} in the split {split!r} ({by[config.by]}): nothing is "
            f"learned or proved "
            "of it there; another data.split.salt, by or share may change it",
            split=split,
        )
        for split, names in find_missing_classes(class_rows, classes).items()
        if names
    ]


def _format_share(some: int, of_all: int) -> str:
    return f"{some:,} of {of_all:,} ({some / max(of_all, 1):.1%})"


def _quote_names(names: Sequence[str]) -> str:
    return join_first([repr(name) for name in names], _CLASSES_SHOWN)
