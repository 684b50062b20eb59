"""Artifact types of our own, and the names by which components find each other's files.

KFP accepts a type name only in the form `namespace.Name`. Verdict values are *custom* properties: typed `PROPERTIES`
on an own artifact type make the KFP compiler fail.
"""

from __future__ import annotations

from collections.abc import Sequence

from tfx.types import artifact

ROWS_PREFIX = "rows_"
"""Begins the custom properties (int) in which `Examples` say how many rows a split holds."""


class Verdict(artifact.Artifact):
    """What a gate decided. Custom properties: `passed` (int 0/1), `reason` (str). File: `verdict.json`."""

    TYPE_NAME = "taxiway.Verdict"


class OptimizationReport(artifact.Artifact):
    """What the optimizer tried, measured and chose. File: `report.json`. Custom property: `chosen` (str)."""

    TYPE_NAME = "taxiway.OptimizationReport"


class ServingReport(artifact.Artifact):
    """What the serving validator asked and was answered. File: `report.json`."""

    TYPE_NAME = "taxiway.ServingReport"


class ModelExplanation(artifact.Artifact):
    """What a model's answers rest on. File: `explanation.json`. Custom properties: `metric`, `split`, `error` (str)."""

    TYPE_NAME = "taxiway.ModelExplanation"


class ExportedModel(artifact.Artifact):
    """A variant for another runtime than the one pushed to. Custom property: `runtime` (str)."""

    TYPE_NAME = "taxiway.ExportedModel"


def read_row_counts(examples: Sequence[artifact.Artifact], splits: Sequence[str]) -> dict[str, int]:
    """The rows of splits as `Examples` artifacts tell them; a split that one of them does not tell is left out."""
    names = {split: f"{ROWS_PREFIX}{split}" for split in splits}
    counted = {split: name for split, name in names.items() if all(each.has_custom_property(name) for each in examples)}
    return {split: sum(each.get_int_custom_property(name) for each in examples) for split, name in counted.items()}
