"""What may be chosen about the data and the label. Nothing heavy is imported here."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from taxiway.components.config_section import Section
from taxiway.components.contract import Task
from taxiway.components.example_gen.labels.expression import parse_expression
from taxiway.components.example_gen.labels.label_text import format_label
from taxiway.components.tables.config import TableConfig

TRAIN_SHARE, EVAL_SHARE, TEST_SHARE = 0.7, 0.15, 0.15
TRAIN_SHARE_OF_TWO, EVAL_SHARE_OF_TWO = 0.8, 0.2


class SplitConfig(Section):
    """Which rows train, which choose (`eval`) and which judge (`test`).

    Where shares are named and `test` is not, there are two splits, as before there were three: `eval` judges too.
    """

    by: Literal["hash", "entity", "time", "file"] = "hash"
    """`hash`: at random by the content of the rows, each class of the label by its share; `entity`: rows with one value
    of `column` stay together; `time`: the latest rows of `column` are `test`, those before them `eval`; `file`:
    as `files` says."""
    column: str = ""
    """The entity or time column; not for `hash`."""
    train: float = Field(TRAIN_SHARE, gt=0, lt=1)
    """Share of the rows that train."""
    eval: float = Field(EVAL_SHARE, gt=0, lt=1)
    """Share of the rows that stop training and choose: checkpoint, threshold, temperature, variant."""
    test: float | None = Field(None, ge=0, lt=1)
    """Share of the rows that judge, and that nothing else reads; 0: `eval` judges too. Empty: 0.15, or 0 where shares
    are named, or where `test` would have fewer than 20 rows of a class. What the three leave is left out."""
    files: dict[Literal["eval", "test"], str] = {}
    """For `file`: patterns of the names of files, `{eval: "*_valid.csv", test: "*_test.csv"}`; the other files train.
    Without `test`, `eval` judges too."""
    cutoff: str = ""
    """For `time`: rows from here on evaluate, earlier ones train (a number or an ISO date); shares are then not used.
    Empty: the quantile of `train`."""
    test_cutoff: str = ""
    """For `time` with `cutoff`: rows from here on are `test`. Empty: `eval` judges too."""
    salt: str = ""
    """Another word, another split."""

    @model_validator(mode="before")
    @classmethod
    def _fill_shares(cls, given: object) -> object:
        """Shares that are not named: configurations from before there were three splits mean what they meant."""
        if not isinstance(given, dict):
            return given
        if "test" in given:
            return {**_rest_of(given), **given} if _is_share(given["test"]) else given
        if given.get("cutoff") or "train" in given or "eval" in given:
            two = {"train": TRAIN_SHARE_OF_TWO, "eval": EVAL_SHARE_OF_TWO, "test": 0.0}
            return {**two, **given}
        return given

    @property
    def test_share(self) -> float:
        """The share of `test` where there are rows enough."""
        return TEST_SHARE if self.test is None else self.test

    @model_validator(mode="after")
    def _check_split(self) -> SplitConfig:
        if self.train + self.eval + self.test_share > 1 + 1e-9:
            named = ", ".join(f"{name} {getattr(self, name):g}" for name in ("train", "eval"))
            raise ValueError(f"{named} and test {self.test_share:g} are together more than 1")
        if self.by in ("hash", "file") and self.column:
            raise ValueError("column has a meaning only with by: entity or by: time")
        if (self.by == "file") != ("eval" in self.files):
            raise ValueError("by: file needs files.eval, and files has a meaning only there")
        if self.by in ("entity", "time") and not self.column:
            raise ValueError(f"by: {self.by} needs the name of a column")
        if self.cutoff and self.by != "time":
            raise ValueError("cutoff has a meaning only with by: time")
        if self.test_cutoff and not self.cutoff:
            raise ValueError("test_cutoff has a meaning only with a cutoff, where eval begins")
        return self


def _is_share(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1


def _rest_of(given: dict[str, Any]) -> dict[str, float]:
    """The shares beside a named `test`: `eval` as by default, and `train` what these two leave."""
    evaluates = given.get("eval", EVAL_SHARE if given["test"] else EVAL_SHARE_OF_TWO)
    rest = 1 - given["test"] - evaluates if _is_share(evaluates) else TRAIN_SHARE
    return {"eval": evaluates, "train": rest if rest > 0 else TRAIN_SHARE}


class DataConfig(TableConfig):
    """Where the rows are and how they become examples of three splits."""

    split: SplitConfig = SplitConfig()
    """Which rows train, which choose and which judge."""
    max_bad_rows: int = Field(0, ge=0)
    """Rows that cannot be read are counted and sampled into `bad_rows.jsonl`; more than this many end the run."""
    shard_mib: int = Field(64, ge=1)
    """Size at which another file of examples is begun, in MiB before compression. One is also begun at a sixteenth of
    the rows, but at no fewer than 25,000 and at 250,000."""


class LabelConfig(Section):
    """What is predicted. It is materialized when examples are made: an int64 class index, or a float32 value."""

    column: str = Field("label", min_length=1)
    """The column that holds the label, or the name of the column that `expression` makes."""
    expression: str = ""
    """Instead of a column of the data: arithmetic, comparisons and `and`, `or`, `not` over columns, such as
    `tips > 0.2 * fare`. Names that Python would not take, such as `Arr Delay`, are written in backquotes."""
    task: Task = "binary"
    """`binary`, `multiclass` or `regression`."""
    classes: tuple[str, ...] = ()
    """The labels in the order of their class indices. Empty: those in the data, sorted (numbers as numbers)."""
    positive: str = ""
    """For `binary`: the label of class 1. Empty: the second of `classes`."""
    spellings: dict[str, str] = Field({})
    """Spellings of a label that mean a class: `{"yes ": Yes, YES: Yes}`."""
    missing: Literal["drop", "refuse"] = "drop"
    """Rows without a label: left out and counted, or an error."""

    @field_validator("expression")
    @classmethod
    def _check_expression(cls, expression: str) -> str:
        if expression:
            parse_expression(expression)
        return expression

    @field_validator("classes", mode="before")
    @classmethod
    def _convert_classes(cls, classes: object) -> object:
        return tuple(_read_label(c) for c in classes) if isinstance(classes, (list, tuple)) else classes

    @field_validator("positive", mode="before")
    @classmethod
    def _convert_positive(cls, positive: object) -> object:
        return _read_label(positive)

    @field_validator("spellings", mode="before")
    @classmethod
    def _convert_spellings(cls, spellings: object) -> object:
        return (
            {str(_read_label(k)): _read_label(v) for k, v in spellings.items()}
            if isinstance(spellings, dict)
            else spellings
        )

    @model_validator(mode="after")
    def _check_label(self) -> LabelConfig:
        if self.spellings and self.expression:
            raise ValueError("spellings have no meaning for an expression, which compares the column's own texts")
        if self.task == "regression" and (self.classes or self.positive):
            raise ValueError("classes and positive have no meaning for a regression")
        if self.task == "multiclass" and self.positive:
            raise ValueError("positive has a meaning only for task: binary")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes names a label twice: {', '.join(self.classes)}")
        if self.task == "binary" and self.classes and len(self.classes) != 2:
            raise ValueError(f"binary has two classes, not {len(self.classes)}; more are task: multiclass")
        if self.positive and self.classes and self.positive not in self.classes:
            raise ValueError(f"positive {self.positive!r} is not one of classes {', '.join(self.classes)}")
        return self


def _read_label(label: object) -> object:
    """YAML reads `classes: [0, 1]` as numbers and `[no, yes]` as booleans: labels are compared as text."""
    return format_label(label) if isinstance(label, (bool, int, float)) else label
