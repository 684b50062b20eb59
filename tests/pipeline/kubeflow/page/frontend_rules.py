"""What the frontend of Kubeflow Pipelines 2.17 draws of an artifact, and what it refuses, in its own order.

From `MetricsVisualizations.tsx`, `ROCCurveHelper.tsx` and `MarkdownViewer.tsx`; the metadata is what the backend has
stored of an `ExecutorOutput` (`metadata/converter.go`: a list becomes `{"list": ...}`, an object `{"struct": ...}`).
"""

from __future__ import annotations

import json
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

RESERVED = {"display_name", "store_session_info"}
MAX_MARKDOWN = 400_000


def store(name: str, metadata: dict[str, Any]) -> dict[str, Any]:
    """The custom properties that the backend makes of an output's metadata."""
    output = {"artifacts": {name: {"artifacts": [{"name": name, "uri": "minio://b/x", "metadata": metadata}]}}}
    message = json_format.Parse(json.dumps(output), pipeline_spec_pb2.ExecutorOutput())
    [artifact] = json_format.MessageToDict(message)["artifacts"][name]["artifacts"]
    return {"display_name": name, **{k: convert(v) for k, v in artifact.get("metadata", {}).items()}}


def convert(value: Any) -> Any:
    assert value is not None, "the backend stores no null"
    return {"list": value} if isinstance(value, list) else {"struct": value} if isinstance(value, dict) else value


def draw_metrics(properties: dict[str, Any]) -> dict[str, Any]:
    """`ScalarMetricsSection`: all but the reserved ones; a release without ML Metadata takes numbers only."""
    assert properties["display_name"]
    drawn = {name: value for name, value in properties.items() if name not in RESERVED}
    assert all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in drawn.values()), drawn
    return drawn


def draw_roc(properties: dict[str, Any]) -> list[tuple[float, float, float]]:
    """`validateConfidenceMetrics`: threshold, x, y."""
    points = properties["confidenceMetrics"]["list"]
    for point in points:
        assert set(point) >= {"confidenceThreshold", "falsePositiveRate", "recall"}
        assert all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in point.values()), point
    return [(point["confidenceThreshold"], point["falsePositiveRate"], point["recall"]) for point in points]


def draw_matrix(properties: dict[str, Any]) -> tuple[list[str], list[list[float]]]:
    """`validateConfusionMatrix`: labels, and rows by true label."""
    matrix = properties["confusionMatrix"]["struct"]
    labels = [spec["displayName"] for spec in matrix["annotationSpecs"]]
    rows = [row["row"] for row in matrix["rows"]]
    assert all(isinstance(label, str) for label in labels)
    assert len(rows) == len(labels) and all(len(row) == len(rows) for row in rows)
    return labels, rows


def is_shown_as_classification(properties: dict[str, Any]) -> bool:
    """`getVerifiedClassificationMetricsArtifacts`."""
    return bool(properties.get("confidenceMetrics") or properties.get("confusionMatrix"))


def check_markdown(text: str) -> None:
    """`MarkdownAdvanced` cuts what is longer, and shows no HTML."""
    assert text and len(text) <= MAX_MARKDOWN
