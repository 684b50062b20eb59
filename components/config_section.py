"""The base of every configuration section: typed, frozen, unknown keys refused."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One section of the configuration.

    Sections are values: frozen, compared by content, written to JSON with `model_dump_json()` and read back with
    `model_validate_json()`. A component takes its section as JSON in an execution property, so that a change of a
    setting changes that component's cache key and no other's.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,  # a limit of NaN would judge nothing; the text "nan" is a number to pydantic
    )
