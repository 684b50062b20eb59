"""What may be chosen about features and preprocessing."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from taxiway.components.config_section import Section
from taxiway.components.tables.config import CalendarPart

BUILT_IN = "taxiway.components.transform.preprocessing.preprocessing_fn"
FORMER_BUILT_IN = "components.transform.preprocessing.preprocessing_fn"
"""Its name before `taxiway` was the one import name: `taxiway init` wrote it into every configuration."""


class FeaturesConfig(Section):
    """Overrides of what the schema says about the columns. Every other column is used by its type."""

    leave_out: dict[str, str] = Field(default_factory=dict)
    """Columns that are no features, each with the reason: identifiers, constants, what gives the label away."""
    categorical: tuple[str, ...] = ()
    """Integer columns whose numbers are names (a district, a tract): they get a vocabulary, not a z-score."""
    numeric: tuple[str, ...] = ()
    """Integer columns that count or measure although the schema calls them categorical."""
    calendar: dict[str, Annotated[tuple[CalendarPart, ...], Field(min_length=1)]] = Field(default_factory=dict)
    """Columns of times and the parts of the calendar (UTC) that are used of them: `{when: [month, weekday, hour]}`.
    Each part is a sine and a cosine in the transform graph, so that a served model computes them from the time that a
    request holds, seconds since 1970; the time itself, which does not come again, is no feature."""
    hashed: tuple[str, ...] = ()
    """Columns of names with more values than a vocabulary is for: each value has one of `preprocessing.hash_buckets`
    ids, which are embedded; no value is unseen, some share an id."""
    text: tuple[str, ...] = ()
    """Columns of free text: which of `preprocessing.text_buckets` its hashed words fall into."""


class PreprocessingConfig(Section):
    """The function that Transform runs, and the settings of the built-in one."""

    function: str = BUILT_IN
    """Dotted path of a function with TFT's own signature: `preprocessing_fn(inputs)` or `(inputs, custom_config)`."""
    numbers: Literal["auto", "z_scores", "quantiles"] = "auto"
    """What becomes of each numeric column. `z_scores`: its z-score beside its quantile bucket. `quantiles`: its
    position among quantile bins, its rank under a bell curve, and its distance from the median. `auto`: `quantiles`
    for `model.kind: tabular`, else `z_scores`."""
    quantile_bins: int = Field(48, ge=2, le=480)
    """For `quantiles`: bins of each numeric column."""
    quantile_buckets: int = Field(16, ge=0, le=1000)
    """For `z_scores`: quantile buckets for each numeric column, beside its z-score; 0 for none."""
    vocabulary_size: int = Field(1000, ge=1)
    """Values kept for each categorical column on average; all these columns share one vocabulary, by frequency."""
    vocabulary_min_frequency: int = Field(1, ge=1)
    """Values seen less often in the training split are out of vocabulary."""
    oov_buckets: int = Field(1, ge=1)
    """Hash buckets of each categorical column for values out of vocabulary."""
    hash_buckets: int = Field(4096, ge=2, le=2**24)
    """Ids of each column of `features.hashed`."""
    text_buckets: int = Field(256, ge=2, le=2**16)
    """Numbers of each column of `features.text`."""

    @field_validator("function")
    @classmethod
    def _rename_built_in(cls, function: str) -> str:
        return BUILT_IN if function == FORMER_BUILT_IN else function

    def resolve_numbers(self, kind: str) -> PreprocessingConfig:
        """These settings with `numbers: auto` replaced by what a model of this kind reads."""
        if self.numbers != "auto":
            return self
        return self.model_copy(update={"numbers": "quantiles" if kind == "tabular" else "z_scores"})
