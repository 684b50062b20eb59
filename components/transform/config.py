"""What may be chosen about features and preprocessing."""

from __future__ import annotations

from pydantic import Field

from components.configuration import Section


class FeaturesConfig(Section):
    """Overrides of what the schema says about the columns. Every other column is used by its type."""

    leave_out: dict[str, str] = Field(default_factory=dict)
    """Columns that are no features, each with the reason: identifiers, constants, what gives the label away."""
    categorical: tuple[str, ...] = ()
    """Integer columns whose numbers are names (a district, a tract): they get a vocabulary, not a z-score."""
    numeric: tuple[str, ...] = ()
    """Integer columns that count or measure although the schema calls them categorical."""


class PreprocessingConfig(Section):
    """The function that Transform runs, and the settings of the built-in one."""

    function: str = "components.transform.preprocessing.preprocessing_fn"
    """Dotted path of a function with TFT's own signature: `preprocessing_fn(inputs)` or `(inputs, custom_config)`."""
    quantile_buckets: int = Field(16, ge=0, le=1000)
    """Quantile buckets for each numeric column, beside its z-score; 0 for none."""
    vocabulary_size: int = Field(1000, ge=1)
    """Values kept for each categorical column on average; all these columns share one vocabulary, by frequency."""
    vocabulary_min_frequency: int = Field(1, ge=1)
    """Values seen less often in the training split are out of vocabulary."""
    oov_buckets: int = Field(1, ge=1)
    """Hash buckets of each categorical column for values out of vocabulary."""
