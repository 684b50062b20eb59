"""What a person should know of the rows before believing a number: said at the end of a run and in its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.example_gen.config import SplitConfig
from components.example_gen.strata import missing_classes

EQUAL_SHARE = 0.01
"""Share of rows that repeat another one from which on it is said."""
LIKE_TRAIN_SHARE = 0.05
"""Share of evaluation rows with the features of a training row from which on it is said."""
_CLASSES_SHOWN = 3


@dataclass(frozen=True)
class Note:
    """One thing; `rule` is its name, `split` and `column` say where, if anywhere."""

    rule: str
    explanation: str
    split: str = ""
    column: str = ""


def footer_notes(footers: int, first_cells: Sequence[str]) -> tuple[Note, ...]:
    """That rows were taken for footers (`data.csv.footer`), by their first cells, and left out."""
    if not footers:
        return ()
    what = "1 row is a footer and is" if footers == 1 else f"{footers:,} rows are footers and are"
    return (Note("footers", f"{what} left out: the first cell is {_listed(first_cells)} (data.csv.footer)"),)


def split_notes(
    config: SplitConfig,
    classes: Sequence[str],
    class_rows: Mapping[str, Sequence[int]],
    equal_rows: int,
    like_train: int,
) -> tuple[Note, ...]:
    """What is to be said of the split.

    Args:
        config: How it was split.
        classes: The label's; none for a regression.
        class_rows: By split, the rows of each class.
        equal_rows: Rows that repeat an earlier one in every column, the label's included.
        like_train: Evaluation rows with the features of a training row.
    """
    rows, evaluated = sum(map(sum, class_rows.values())), sum(class_rows["eval"])
    return (
        *_equal_rows(equal_rows, rows),
        *_like_train(config, like_train, evaluated),
        *_missing_classes(config, classes, class_rows),
    )


def _equal_rows(equal_rows: int, rows: int) -> list[Note]:
    if equal_rows < max(1, EQUAL_SHARE * rows):
        return []
    return [
        Note(
            "equal_rows",
            f"{_share(equal_rows, rows)} rows repeat another row in every column, the label included: if they are "
            "copies and not events of their own, take them out of the data",
        )
    ]


def _like_train(config: SplitConfig, like_train: int, evaluated: int) -> list[Note]:
    if like_train < max(1, LIKE_TRAIN_SHARE * evaluated):
        return []
    remedy = "" if config.by == "entity" else "; data.split.by: entity keeps the rows of one customer, say, together"
    return [
        Note(
            "features_in_both_splits",
            f"{_share(like_train, evaluated)} evaluation rows have the values of a training row in every column but "
            f"the label: what is measured is mostly how well known rows are known{remedy}",
            split="eval",
        )
    ]


def _missing_classes(
    config: SplitConfig, classes: Sequence[str], class_rows: Mapping[str, Sequence[int]]
) -> list[Note]:
    if not classes:
        return []
    by = {"hash": "there are too few", "entity": f"{config.column!r} keeps its rows together", "time": "none is then"}
    return [
        Note(
            "class_missing_in_split",
            f"no row of class {_listed(names)} in the split {split!r} ({by[config.by]}): nothing is learned or proved "
            "of it there; another data.split.salt, by or share may change it",
            split=split,
        )
        for split, names in missing_classes(class_rows, classes).items()
        if names
    ]


def _share(some: int, of_all: int) -> str:
    return f"{some:,} of {of_all:,} ({some / max(of_all, 1):.1%})"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _CLASSES_SHOWN} more" if len(names) > _CLASSES_SHOWN else ""
    return ", ".join(map(repr, names[:_CLASSES_SHOWN])) + more
