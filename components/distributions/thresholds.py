"""Largest distances between two distributions of a column. Nothing heavy is imported here."""

from __future__ import annotations

from pydantic import Field

from taxiway.components.config_section import Section


class Distances(Section):
    """Largest distances between two distributions of a column, for columns whose schema states none."""

    infinity_norm: float | None = Field(0.1, gt=0, le=1)
    """For text: the largest change of one value's share. `null`: only where the schema has a threshold."""
    jensen_shannon: float | None = Field(0.1, gt=0, le=1)
    """For numbers: the Jensen-Shannon divergence of the histograms. `null`: only where the schema has a threshold."""
