"""On which machines pods run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from taxiway.components.config_section import Section
from taxiway.pipeline.resources.names import LabelName, LabelValue


class Toleration(Section):
    """Lets pods run on nodes with a taint, as in a Kubernetes pod's `tolerations`."""

    key: str = ""
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    """Empty: every effect."""
    toleration_seconds: int | None = Field(None, ge=0)
    """For `NoExecute`: how long a pod stays."""

    @model_validator(mode="after")
    def _check_operator(self) -> Toleration:
        if self.operator == "Exists" and self.value:
            raise ValueError("with operator Exists there is no value: leave it out, or use Equal")
        if self.operator == "Equal" and not self.key:
            raise ValueError("operator Equal needs a key; Exists without a key tolerates every taint")
        return self


class Requirement(Section):
    """One condition on the labels of a machine or a pod."""

    key: LabelName
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = "In"
    """`Gt` and `Lt` compare whole numbers, of machines only."""
    values: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_values(self) -> Requirement:
        fewest, most = {"Exists": (0, 0), "DoesNotExist": (0, 0), "Gt": (1, 1), "Lt": (1, 1)}.get(
            self.operator, (1, 999)
        )
        if not fewest <= len(self.values) <= most:
            wanted = {0: "no values", 1: "one value"}.get(most, "one value or more")
            raise ValueError(f"operator {self.operator} takes {wanted}, and {list(self.values)} was given")
        if self.operator in ("Gt", "Lt") and not self.values[0].lstrip("-").isdigit():
            raise ValueError(f"operator {self.operator} compares whole numbers, and {self.values[0]!r} is none")
        return self


class NodeAffinity(Section):
    """Machines that pods must, or had better, run on. Of several terms without a weight one must hold."""

    expressions: tuple[Requirement, ...] = ()
    """On the machine's labels; all of a term must hold."""
    fields: tuple[Requirement, ...] = ()
    """On its fields, of which Kubernetes has `metadata.name`."""
    weight: int | None = Field(None, ge=1, le=100)
    """How much it is preferred; not set: it is required."""

    @model_validator(mode="after")
    def _check_term(self) -> NodeAffinity:
        if not self.expressions and not self.fields:
            raise ValueError("a term without expressions and fields matches nothing")
        return self


class PodAffinity(Section):
    """Pods beside which pods must run, or with `anti` must not. No release of Kubeflow up to 2.17 applies it."""

    expressions: tuple[Requirement, ...] = ()
    """On the other pods' labels."""
    labels: dict[LabelName, LabelValue] = Field({})
    topology_key: LabelName
    """What counts as beside, such as `kubernetes.io/hostname`."""
    namespaces: tuple[str, ...] = ()
    weight: int | None = Field(None, ge=1, le=100)
    anti: bool = False
