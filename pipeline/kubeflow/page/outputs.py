"""The artifacts that Kubeflow's page shows: their names, their types, and which node writes which. No tfx."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from taxiway.components.contract import Task
from taxiway.pipeline.nodes import NODES

METRICS, CURVES, SUMMARY, REPORT, RECORD = "metrics", "curves", "summary", "report", "record"
TYPES = {
    METRICS: "system.Metrics",
    CURVES: "system.ClassificationMetrics",
    SUMMARY: "system.Markdown",
    REPORT: "system.HTML",
    RECORD: "system.Artifact",
}
"""By the output's name, which is the title above what the page shows."""
FILES = frozenset({SUMMARY, REPORT, RECORD})
"""Outputs that are one file each; the others are metadata alone."""
FINAL_NODE = "Report"
"""The last step: an exit handler."""
NODE_OUTPUTS: dict[str, tuple[str, ...]] = {
    "DataGate": (SUMMARY,),
    "Trainer": (METRICS,),
    "Evaluator": (METRICS, CURVES, SUMMARY),
    "ModelOptimizer": (METRICS, SUMMARY),
    "OptimizedEvaluator": (METRICS, CURVES, SUMMARY),
    "ServingValidator": (SUMMARY,),
    "Pusher": (SUMMARY,),
    FINAL_NODE: (METRICS, SUMMARY, REPORT),
}


@dataclass(frozen=True)
class PageFacts:
    """What the compiler tells a node of the pipeline.

    Attributes:
        label: The label's column.
        task: Kind of the label.
        metric: The main metric.
        model: Name of the model.
    """

    label: str = ""
    task: Task | None = None
    metric: str = ""
    model: str = ""


def list_page_outputs(node: str, task: Task | None) -> tuple[str, ...]:
    """The outputs that a node has for the page, the record of its execution last.

    Args:
        node: Id of the node.
        task: Kind of the label; a regression has no curves that the page could draw.
    """
    shown = tuple(name for name in NODE_OUTPUTS.get(node, ()) if name != CURVES or task != "regression")
    return (*shown, RECORD) if node in NODES else shown


def define_outputs(names: tuple[str, ...]) -> dict[str, Any]:
    """`ComponentOutputsSpec.artifacts` of these outputs, as JSON values."""
    return {name: {"artifactType": {"schemaTitle": TYPES[name], "schemaVersion": "0.0.1"}} for name in names}
