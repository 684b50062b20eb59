"""What may be chosen about explaining a model. Nothing heavy is imported here."""

from __future__ import annotations

from pydantic import Field, model_validator

from taxiway.components.config_section import Section


class ExplanationConfig(Section):
    """What the pushed model's answers rest on: the importance of its columns, partial dependence, the largest errors.
    It is computed after the push, in a process of its own."""

    enabled: bool = True
    """Whether the pipeline has the node ModelExplainer."""
    rows: int = Field(1000, ge=50)
    """Rows of the split that judges, at most, drawn at random, on which columns are shuffled and set to values."""
    repeats: int = Field(5, ge=3, le=200)
    """How often each column is shuffled. The interval of its importance is over these."""
    dependence_columns: int = Field(8, ge=0)
    """So many columns, the most important ones, get a partial dependence."""
    largest_errors: int = Field(20, ge=0, le=1000)
    """So many rows, those of the largest error, are listed with all their values, in the artifact and in the report. 0:
    none, where the rows must not be shown."""
    groups: dict[str, tuple[str, ...]] = Field({})
    """Columns that are shuffled together because they tell the same, beside the calendar parts of a time, by a name:
    `{pickup: [pickup_latitude, pickup_longitude]}`."""
    timeout_seconds: float = Field(60, gt=0)
    """Time for all of it. What is not computed by then is left out, and the report says so."""
    seed: int = 1
    """Of the rows that are drawn and of the shuffles."""

    @model_validator(mode="after")
    def _check_groups(self) -> ExplanationConfig:
        columns = [column for group in self.groups.values() for column in group]
        twice = sorted({column for column in columns if columns.count(column) > 1})
        if twice:
            raise ValueError(
                f"{', '.join(map(repr, twice))} stands in groups twice: a column is shuffled with one group"
            )
        return self
