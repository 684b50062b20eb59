"""What may be chosen about the data and the label. Nothing heavy is imported here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from components.configuration import Section
from components.contract import Task
from components.example_gen.expression import parse
from components.tables.config import TableConfig


class SplitConfig(Section):
    """Which rows train and which evaluate."""

    by: Literal["hash", "entity", "time"] = "hash"
    """`hash`: at random by the content of the rows, each class of the label by its share; `entity`: rows with one value
    of `column` stay together; `time`: the latest rows of `column` evaluate."""
    column: str = ""
    """The entity or time column; not for `hash`."""
    train: float = Field(0.8, gt=0, lt=1)
    """Share of the rows that train."""
    eval: float = Field(0.2, gt=0, lt=1)
    """Share of the rows that evaluate. What `train` and `eval` leave is left out."""
    cutoff: str = ""
    """For `time`: rows from here on evaluate, earlier ones train (a number or an ISO date); `train` and `eval` are
    then not used. Empty: the quantile of `train`."""
    salt: str = ""
    """Another word, another split."""

    @model_validator(mode="after")
    def _check(self) -> SplitConfig:
        if self.train + self.eval > 1 + 1e-9:
            raise ValueError(f"train {self.train:g} and eval {self.eval:g} are together more than 1")
        if self.by == "hash" and self.column:
            raise ValueError("column has a meaning only with by: entity or by: time")
        if self.by != "hash" and not self.column:
            raise ValueError(f"by: {self.by} needs the name of a column")
        if self.cutoff and self.by != "time":
            raise ValueError("cutoff has a meaning only with by: time")
        return self


class DataConfig(TableConfig):
    """Where the rows are and how they become train and eval examples."""

    split: SplitConfig = SplitConfig()
    """Which rows train and which evaluate."""
    max_bad_rows: int = Field(0, ge=0)
    """Rows that cannot be read are counted and sampled into `bad_rows.jsonl`; more than this many end the run."""
    shard_mib: int = Field(128, ge=1)
    """Size at which another file of examples is begun, in MiB before compression."""


class LabelConfig(Section):
    """What is predicted. It is materialized when examples are made: an int64 class index, or a float32 value."""

    column: str = Field("label", min_length=1)
    """The column that holds the label, or the name of the column that `expression` makes."""
    expression: str = ""
    """Instead of a column of the data: arithmetic, comparisons and `and`, `or`, `not` over columns, such as
    `tips > 0.2 * fare`. Names that Python would not take, such as `Arr Delay`, stand in backquotes."""
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
    def _expression(cls, expression: str) -> str:
        if expression:
            parse(expression)
        return expression

    @field_validator("classes", mode="before")
    @classmethod
    def _texts(cls, classes: object) -> object:
        return tuple(_text(c) for c in classes) if isinstance(classes, (list, tuple)) else classes

    @field_validator("positive", mode="before")
    @classmethod
    def _positive(cls, positive: object) -> object:
        return _text(positive)

    @field_validator("spellings", mode="before")
    @classmethod
    def _spellings(cls, spellings: object) -> object:
        return {str(_text(k)): _text(v) for k, v in spellings.items()} if isinstance(spellings, dict) else spellings

    @model_validator(mode="after")
    def _check(self) -> LabelConfig:
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


def _text(label: object) -> object:
    """YAML reads `classes: [0, 1]` as numbers and `[no, yes]` as booleans: labels are compared as text."""
    if isinstance(label, bool):
        return str(label).lower()
    return str(label) if isinstance(label, (int, float)) else label
