"""What may be chosen about the gates."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from taxiway.components.config_section import Section
from taxiway.components.distributions.thresholds import Distances


class DriftConfig(Distances):
    """Whether the training data is like earlier training data. The schema's `drift_comparator` comes first."""

    against: Literal["none", "previous_span", "live"] = "none"
    """`previous_span`: the span before this one that passed the gate; `live`: what the live version was trained on."""


class SkewConfig(Distances):
    """Whether a model is asked about data like that it was trained on. The schema's `skew_comparator` comes first."""

    against: Literal["none", "eval", "live"] = "none"
    """`eval`: this run's training data against its evaluation data, the latest rows with `data.split.by: time`;
    `live`: the live version's training data against this run's data, which is what it is asked about now."""


class GatesConfig(Section):
    """Conditions on the data, judged before Transform; and on how many rows a verdict on a model rests."""

    min_rows: int = Field(10, ge=1)
    """Fewest rows that each split must hold."""
    min_rows_per_class: int = Field(20, ge=0)
    """Fewest evaluation rows of each class (of a regression: fewest rows) on which a model is judged. With fewer
    nothing is proved: the model is not pushed unless `--force` says so. 0: no such gate."""
    allow_anomalies: tuple[str, ...] = ()
    """Anomaly types of TFDV that are reported but do not stop the run, such as `ENUM_TYPE_UNEXPECTED_STRING_VALUES`."""
    drift: DriftConfig = DriftConfig()
    skew: SkewConfig = SkewConfig()

    @property
    def looks_back(self) -> bool:
        """Whether the verdict depends on earlier data, which is no input of the gate."""
        return self.drift.against != "none" or self.skew.against == "live"
