"""What the data gate lets pass."""

from __future__ import annotations

from pydantic import Field

from components.configuration import Section


class GatesConfig(Section):
    """Conditions on the data, judged before Transform."""

    min_rows: int = Field(10, ge=1)
    """Fewest rows that each split must hold."""
    allow_anomalies: tuple[str, ...] = ()
    """Anomaly types of TFDV that are reported but do not stop the run, such as `ENUM_TYPE_UNEXPECTED_STRING_VALUES`."""
