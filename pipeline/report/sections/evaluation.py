"""Metrics against the baseline with intervals, by slice; curves of the model that would be served."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from taxiway.components.contract import (
    HIGHER_IS_BETTER,
    LOWER_IS_BETTER,
    TEST_SPLIT,
    judging_split_dir,
    serving_model_dir,
)
from taxiway.components.files.object_stores import is_object_url
from taxiway.components.files.versioned_report import INGEST_NOTES
from taxiway.pipeline.console import printing
from taxiway.pipeline.console.summary import NO_CHANGE, count_judged_rows, format_class_metric
from taxiway.pipeline.report import charts, scoring
from taxiway.pipeline.report.run_data import RunData
from taxiway.pipeline.report.sections.common import MOST_SLICES, Section
from taxiway.pipeline.report.words import name_key
from taxiway.pipeline.tracking import artifact_results, kept_scores, run_record

EVALUATORS = ("Evaluator", "OptimizedEvaluator")
"""In the order in which they run."""

TUNER = "Tuner"
JUDGED_ONLY = (
    "Measured on {rows:,} rows of the split 'test', which nothing was trained or chosen by: only the Evaluators, "
    "ModelExplainer and this report read them."
)
CHOSEN_AND_JUDGED = (
    "Measured on rows of the split 'eval', which also {chose}, as far as these were chosen: "
    "these numbers lean to the good side. data.split.test sets rows apart that nothing is chosen by."
)


def describe_evaluation(run_data: RunData) -> Section:
    """Metrics against the baseline, by slice; curves of the model that would be served."""
    run = run_data.run
    if not run.metrics:
        return None
    scored = _request_scores(run_data)
    limits = scored.get("intervals", {})
    tables = [
        _tabulate_metrics(node, values, run.main_metric, limits.get(node, {}))
        for node, values in run.metrics.items()
        if values
    ]
    by_slice = _list_slice_values(run, limits.get("Evaluator", {}))
    drawn = [charts.draw_slices(name_key(run.main_metric), by_slice)] if len(by_slice) > 1 else []
    return {
        "judged": _explain_judging_rows(run_data),
        "tables": tables,
        "by_slice": drawn,
        "figures": _draw_curves(scored),
        "decided": _explain_decisions(scored),
        "scored": scored,
        "scored_rows": _describe_scored_rows(scored),
        "auc": scored.get("auc"),
    }


def _explain_judging_rows(run_data: RunData) -> str:
    """Which rows the numbers are of, and whether these rows chose too; empty where nobody knows any more."""
    rows = run_data.read_json(INGEST_NOTES, "ExampleGen", "examples", "ingest.json").get("rows", {})
    if TEST_SPLIT in rows:
        return JUDGED_ONLY.format(rows=rows[TEST_SPLIT])
    return CHOSEN_AND_JUDGED.format(chose=_list_choices(run_data.run)) if rows else ""


def _list_choices(run: run_record.RunRecord) -> str:
    """What the split `eval` has chosen in a run."""
    tuned = any(node.node == TUNER and node.state in ("done", "cached") for node in run.nodes)
    settings = ", the settings (Tuner)" if tuned else ""
    return f"stopped training and chose the checkpoint, the threshold{settings} and the variant"


def _describe_scored_rows(scored: Mapping[str, Any]) -> str:
    """How many rows the curves and intervals are of, and how they were taken from a larger split."""
    rows, available = scored.get("rows", 0), scored.get("available")
    if available is None:  # an older Taxiway did not count them
        first = "the first " if rows == scoring.MOST_ROWS else ""
        return f"{first}{rows:,} evaluation rows"
    if rows == available:
        return f"all {rows:,} evaluation rows"
    return f"{rows:,} rows drawn at random from the {available:,} evaluation rows, each label with its share"


def _explain_decisions(scored: Mapping[str, Any]) -> str:
    """By which threshold a binary model decides; empty for others, and where the scores are not known."""
    if "threshold" not in scored:
        return ""
    return (
        "Accuracy, precision, recall and F1 are of the labels that a model serves: the positive class above a "
        f"probability of {scored['threshold']:.4g}, a baseline's above its own."
    )


def _list_slice_values(run: run_record.RunRecord, limits: Mapping[str, Any]) -> list[dict[str, Any]]:
    name = run.main_metric
    return [
        {
            "slice": values.slice,
            "candidate": values.candidate.get(name),
            "baseline": values.baseline.get(name),
            "limits": limits.get(values.slice, {}).get(name, {}).get("value"),
        }
        for values in (run.metrics.get("Evaluator") or ())[: MOST_SLICES + 1]
    ]


def _tabulate_metrics(
    node: str, values: tuple[run_record.MetricValues, ...], main: str, limits: Mapping[str, Any]
) -> dict[str, Any]:
    names = sorted(values[0].candidate, key=lambda name: (name != main, name))
    counts = list(count_judged_rows(values[0]))
    rows = [
        {
            "slice": v.slice,
            "counts": [count_judged_rows(v).get(count) for count in counts],
            "cells": [_format_metric(name, v, limits.get(v.slice, {}).get(name, {})) for name in names],
        }
        for v in values[: MOST_SLICES + 1]
    ]
    hidden = max(len(values) - len(rows), 0)
    return {
        "node": node,
        "title": name_key(node),
        "against": "the trained one" if node == "OptimizedEvaluator" else "the baseline",
        "counts": [name_key(count) for count in counts],
        "names": [name_key(name) for name in names],
        "rows": rows,
        "hidden": hidden,
        "classes": _tabulate_classes(values[0], limits),
    }


def _tabulate_classes(overall: run_record.MetricValues, limits: Mapping[str, Any]) -> dict[str, Any]:
    """Each class of a multiclass model against the others, over all rows; empty for other models."""
    if not overall.classes:
        return {}
    between = limits.get(overall.slice, {})
    return {
        "names": [name_key(name) for name in next(iter(overall.classes.values()))],
        "rows": [
            {"name": name, "cells": [_format_class_metric(kind, name, value, between) for kind, value in kinds.items()]}
            for name, kinds in overall.classes.items()
        ],
    }


def _format_class_metric(kind: str, name: str, value: float | None, between: Mapping[str, Any]) -> dict[str, str]:
    limits = between.get(f"{kind}[{name}]", {})
    return {
        "value": format_class_metric(kind, value),
        "limits": _format_limits(limits.get("value"), ""),
        "few": _format_too_few(limits),
    }


def _format_metric(name: str, values: run_record.MetricValues, limits: Mapping[str, Any]) -> dict[str, Any]:
    """A metric with its change and both intervals; coloured only where the change's interval leaves out zero."""
    mine, other = values.candidate.get(name), values.baseline.get(name)
    change = None if mine is None or other is None else mine - other
    judged = (
        name in HIGHER_IS_BETTER | LOWER_IS_BETTER or "[" in name
    )  # calibration is best at 1: neither way is better
    low, high = limits.get("change") or (change or 0.0, change or 0.0)
    sure = change is not None and abs(change) >= NO_CHANGE and min(low * change, high * change) > 0
    better = change is not None and (change > 0) == (name not in LOWER_IS_BETTER)
    same = change is not None and max(abs(change), abs(low), abs(high)) < NO_CHANGE
    few = _format_too_few(limits) or ("too few rows" if values.too_few else "")
    if few:
        shown = {"value": printing.format_number(mine), "limits": "", "few": few}
        return {**shown, "change": "", "change_limits": "", "kind": ""}
    return {
        "value": printing.format_number(mine),
        "limits": _format_limits(limits.get("value"), ""),
        "change": "" if change is None else "the same" if same else f"{change:+.4f}",
        "change_limits": "" if change is None or same else _format_limits(limits.get("change"), "+"),
        "kind": "" if not judged or not sure else "good" if better else "bad",
    }


def _format_too_few(limits: Mapping[str, Any]) -> str:
    return f"too few: {limits['few']}" if limits.get("few") else ""


def _format_limits(limits: Any, sign: str) -> str:
    return f"{limits[0]:{sign}.4f} … {limits[1]:{sign}.4f}" if limits else ""


SCORED_NODES = ("Trainer", "ModelOptimizer", "Baseline", "ExampleGen")


def prepare_scores(run_data: RunData) -> None:
    """Computes what the section will show, before the second Evaluator has ended: the models are there."""
    _request_scores(run_data, awaited=EVALUATORS)


def _request_scores(run_data: RunData, awaited: Collection[str] = ()) -> dict[str, Any]:
    """The curves' values and the intervals; `{"error"}` where the model or the rows are gone, or in an object store.

    A model is a program: none is run that a store happens to hold.
    """
    if run_data.without_scores:
        return {"error": run_data.without_scores}
    kept = _read_kept_scores(run_data)
    if kept:
        return kept
    if any(is_object_url(artifact.uri) for (node, _), artifact in run_data.outputs.items() if node in SCORED_NODES):
        return {"error": "the model and the evaluation rows are in an object store, and are not downloaded"}
    find = run_data.find_artifact_folder
    trained, optimized, baseline = (find(n, "model") for n in ("Trainer", "ModelOptimizer", "Baseline"))
    examples, label = find("ExampleGen", "examples"), run_data.config.get("label", {})
    split, served = Path(judging_split_dir(str(examples))) if examples else None, optimized or trained
    if served is None or split is None or not split.is_dir() or not label.get("task"):
        return {"error": "the model or the evaluation rows are not there any more"}
    compared = {"Evaluator": (trained, baseline), "OptimizedEvaluator": (optimized, trained)}
    job = scoring.ScoringJob(
        served=_find_servable(served),
        examples=str(split),
        label=label["column"],
        task=label["task"],
        evaluators={
            node: (_find_servable(mine), _find_servable(other))
            for node, (mine, other) in compared.items()
            if mine and other and (node in run_data.run.metrics or node in awaited)
        },
        classes=run_data.classes,
        metrics=tuple(dict.fromkeys(name for each in _list_overall_metrics(run_data.run) for name in each.candidate)),
        whole_metrics=tuple(
            dict.fromkeys(name for each in _list_overall_metrics(run_data.run) for name in _list_class_metrics(each))
        ),
        slices=_list_shown_slices(run_data),
    )
    return scoring.load_scores(run_data.root.run_folder(run_data.run.run_id), job)


def _read_kept_scores(run_data: RunData) -> dict[str, Any]:
    """What the Evaluators' nodes on a cluster scored: the curves of the last one, the intervals of all."""
    scored: dict[str, Any] = {}
    for node in EVALUATORS:
        folder = run_data.find_kept_folder(node, "evaluation")
        said = kept_scores.read_scores(folder) if folder else {}
        intervals = {**scored.get("intervals", {}), **said.get("intervals", {})}
        scored = {**said, "intervals": intervals} if said else scored
    return scored


def _find_servable(model: Path) -> str:
    return serving_model_dir(str(model))


def _list_overall_metrics(run: run_record.RunRecord) -> list[run_record.MetricValues]:
    return [overall for node in run.metrics if (overall := run.find_overall(node))]


def _list_class_metrics(values: run_record.MetricValues) -> list[str]:
    """Names of the metrics of single classes: `recall[virginica]`."""
    return [f"{kind}[{name}]" for name, kinds in values.classes.items() for kind in kinds]


def _list_shown_slices(run_data: RunData) -> dict[str, Any]:
    """The slices that the tables show, with the conditions that their rows meet."""
    shown = {each.slice for values in run_data.run.metrics.values() for each in values[: MOST_SLICES + 1]}
    conditions_by_name: dict[str, Any] = {}
    for node in run_data.run.metrics:
        folder = run_data.find_folder(node, "evaluation")
        conditions_by_name |= artifact_results.read_slices(str(folder)) if folder else {}
    return {name: conditions for name, conditions in conditions_by_name.items() if name in shown}


def _format_estimate(estimate: Sequence[float]) -> str:
    """A value with the ends of its interval, if it has one."""
    value, *ends = estimate
    return f"{value:.4f} " + (f"[{ends[0]:.4f}, {ends[1]:.4f}]" if ends else "(no interval: too few rows)")


def _draw_curves(scored: Mapping[str, Any]) -> list[charts.Figure]:
    figures = []
    if "roc" in scored:
        title = f"ROC: area {_format_estimate(scored['auc'])}"
        figures.append(
            charts.draw_curve(
                title, **scored["roc"], x_title="false-positive rate", y_title="true-positive rate", diagonal=True
            )
        )
        figures.append(
            charts.draw_curve(
                "Precision and recall", **scored["pr"], x_title="recall", y_title="precision", diagonal=False
            )
        )
    if "calibration" in scored:
        error = f": expected error {_format_estimate(scored['ece'])}" if "ece" in scored else ""
        figures.append(charts.draw_calibration(f"Reliability{error}", scored["calibration"]))
    if "histogram" in scored:
        shares = {name: scored["histogram"][name] for name in ("negative", "positive")}
        figures.append(
            charts.draw_bars("Scores by class", scored["histogram"]["middle"], shares, "score", "share of the class")
        )
    if "points" in scored:
        points = scored["points"]
        figures.append(charts.draw_scatter("Predictions", points["label"], points["predicted"], "label", "prediction"))
        residuals = [said - label for said, label in zip(points["predicted"], points["label"], strict=True)]
        figures.append(charts.draw_residuals(points["predicted"], residuals))
        share = {"residuals": scored["residuals"]["share"]}
        figures.append(
            charts.draw_bars(
                "Residuals", scored["residuals"]["middle"], share, "prediction minus label", "share of rows"
            )
        )
    return figures
