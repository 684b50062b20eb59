"""Where a pushed model comes from: what `assets.extra/provenance.json` says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taxiway.components.contract import is_bound

REFERENCE = "reference"


def build_provenance(
    *,
    model_name: str,
    run_id: str,
    code_fingerprint: str,
    model_artifact: Mapping[str, Any],
    report: Mapping[str, Any],
    metrics: Mapping[str, float],
    data: Mapping[str, Any],
) -> dict[str, Any]:
    """The provenance of a push, as JSON values.

    Args:
        model_name: Name under which the server knows the model.
        run_id: Id of the pipeline run that pushes.
        code_fingerprint: Fingerprint of code and configuration.
        model_artifact: `uri` and `id` of the pushed `Model` artifact in ML Metadata.
        report: The optimizer's report; empty where there was none.
        metrics: Metrics of the whole evaluation split.
        data: `uri`, `id`, `span` and fingerprint of the examples, where known.
    """
    variant = find_chosen_variant(report)
    quality = variant.get("quality") or {}
    return {
        "model": model_name,
        "run_id": run_id,
        "code_fingerprint": code_fingerprint,
        "model_artifact": dict(model_artifact),
        "variant": variant.get("name", REFERENCE),
        "metric": report.get("metric", ""),
        "quality": quality.get("value"),
        "metrics": dict(metrics),
        "data": dict(data),
        "rollback_of": None,
    }


def find_chosen_variant(report: Mapping[str, Any]) -> Mapping[str, Any]:
    """The report's entry of the variant that was chosen; empty where there is none."""
    chosen = report.get("decision", {}).get("chosen")
    return next((variant for variant in report.get("variants", ()) if variant.get("name") == chosen), {})


def compute_allowed_error(report: Mapping[str, Any], max_output_error: float) -> float:
    """Largest difference of a score from the trained model's: what the optimizer stated for the chosen variant on the
    rows that it measured, and the configured tolerance on top for rounding and batch shapes."""
    stated = (find_chosen_variant(report).get("output_error") or {}).get("max") or 0.0
    return float(stated) + max_output_error


def read_metrics(evaluation_uri: str) -> dict[str, float]:
    """The candidate's metrics over all rows, by name, from an Evaluator's output. Imports TFMA."""
    import tensorflow_model_analysis as tfma

    metrics = {}
    for stored in tfma.load_metrics(evaluation_uri):
        if stored.slice_key.single_slice_keys:
            continue
        for entry in stored.metric_keys_and_values:
            kind = entry.value.WhichOneof("type")
            shown = not entry.key.is_diff and not is_bound(entry.key.name)
            if kind == "double_value" and shown and entry.key.model_name != tfma.BASELINE_KEY:
                metrics[entry.key.name] = float(entry.value.double_value.value)
    return metrics
