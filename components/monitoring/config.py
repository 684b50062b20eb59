"""What may be chosen about `taxiway monitor`. Nothing heavy is imported here."""

from __future__ import annotations

from pydantic import Field

from taxiway.components.config_section import Section
from taxiway.components.distributions.thresholds import Distances


class MonitoringConfig(Section):
    """When the traffic of a served version is no longer what it was trained for.

    A difference counts where it is larger than its limit here and than what chance reaches. The schema's
    `skew_comparator` and `drift_comparator` come first.
    """

    min_rows: int = Field(200, ge=20)
    """Fewest logged rows of a window; with fewer nothing is judged."""
    leave_out: tuple[str, ...] = ()
    """Columns that are not judged, such as a month that is a number: a day has one. Times, and the parts that
    `data.calendar` makes of them, never are."""
    missing_share: float = Field(0.05, gt=0, le=1)
    """Largest change of a column's share of missing values from training."""
    new_values_share: float = Field(0.02, gt=0, le=1)
    """Largest share of values that training never saw, above the share that its own rare values let expect."""
    outside_share: float = Field(0.01, gt=0, le=1)
    """Largest share of numbers outside the range of training."""
    skew: Distances = Distances()
    """From the training statistics: L-infinity of the values' shares, and of numbers below each decile of training;
    Jensen-Shannon divergence of numbers."""
    drift: Distances = Distances()
    """The same from the version's window before."""
    scores: Distances = Distances()
    """Of the served scores from those on `eval`: the L-infinity distance of the share below each decile, and the
    change of a class's mean probability; the Jensen-Shannon divergence of their histograms."""
    label_share: float = Field(0.1, gt=0, le=1)
    """With labels: largest change of a class's share from training."""
    metric_drop: float = Field(0.1, gt=0)
    """With labels: how much worse than promised the main metric may be, as a share of what was promised."""
