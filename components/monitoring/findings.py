"""What a check of a window found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "missing_column",
    "missing_share",
    "new_values",
    "skew",
    "drift",
    "out_of_range",
    "scores",
    "label_shift",
    "calibration",
    "metric",
]


@dataclass(frozen=True)
class Difference:
    """One measured difference between a window and what it is compared with.

    Attributes:
        kind: Kind of the check.
        column: The column; empty for scores.
        measure: What `value` is, in words.
        value, limit: Measured, and the most that is allowed.
        by_chance: What rows of the same distribution reach by chance.
        text: What a person reads where it exceeds its limit.
    """

    kind: Kind
    column: str
    measure: str
    value: float
    limit: float
    by_chance: float
    text: str

    @property
    def exceeds(self) -> bool:
        """Whether it is larger than allowed, for whatever reason; a limit of 0 allows no difference."""
        return self.value > self.limit

    @property
    def blocks(self) -> bool:
        """Whether it is larger than allowed and than chance explains."""
        return self.exceeds and (self.limit == 0 or self.value > self.by_chance)
