"""Metrics against the baseline with intervals, by slice; curves of the model that would be served."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.contract import HIGHER_IS_BETTER, LOWER_IS_BETTER, serving_model_dir
from pipeline import output, record, results
from pipeline.report import charts, scoring
from pipeline.report.sections.common import MOST_SLICES, Section, overall
from pipeline.report.sources import RunSources
from pipeline.summary import NO_CHANGE, of_class, row_counts


def evaluation(sources: RunSources) -> Section:
    """Metrics against the baseline, by slice; curves of the model that would be served."""
    run = sources.run
    if not run.metrics:
        return None
    scored = _scored(sources)
    limits = scored.get("intervals", {})
    tables = [
        _metrics(node, values, run.main_metric, limits.get(node, {})) for node, values in run.metrics.items() if values
    ]
    by_slice = _by_slice(run, limits.get("Evaluator", {}))
    drawn = [charts.slices(run.main_metric, by_slice)] if len(by_slice) > 1 else []
    return {"tables": tables, "figures": [*drawn, *_curves(scored)], "scored": scored, "auc": scored.get("auc")}


def _by_slice(run: record.RunRecord, limits: Mapping[str, Any]) -> list[dict[str, Any]]:
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


def _metrics(
    node: str, values: tuple[record.MetricValues, ...], main: str, limits: Mapping[str, Any]
) -> dict[str, Any]:
    names = sorted(values[0].candidate, key=lambda name: (name != main, name))
    counts = list(row_counts(values[0]))
    rows = [
        {
            "slice": v.slice,
            "counts": [row_counts(v).get(count) for count in counts],
            "cells": [_cell(name, v, limits.get(v.slice, {}).get(name, {})) for name in names],
        }
        for v in values[: MOST_SLICES + 1]
    ]
    hidden = max(len(values) - len(rows), 0)
    return {
        "node": node,
        "counts": counts,
        "names": names,
        "rows": rows,
        "hidden": hidden,
        "classes": _classes(values[0], limits),
    }


def _classes(overall: record.MetricValues, limits: Mapping[str, Any]) -> dict[str, Any]:
    """Each class of a multiclass model against the others, over all rows; empty for other models."""
    if not overall.classes:
        return {}
    between = limits.get(overall.slice, {})
    return {
        "names": list(next(iter(overall.classes.values()))),
        "rows": [
            {"name": name, "cells": [_of_class(kind, name, value, between) for kind, value in kinds.items()]}
            for name, kinds in overall.classes.items()
        ],
    }


def _of_class(kind: str, name: str, value: float | None, between: Mapping[str, Any]) -> dict[str, str]:
    limits = between.get(f"{kind}[{name}]", {})
    return {"value": of_class(kind, value), "limits": _few(limits) or _between(limits.get("value"), "")}


def _cell(name: str, values: record.MetricValues, limits: Mapping[str, Any]) -> dict[str, Any]:
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
    few = _few(limits) or ("too few rows" if values.too_few else "")
    if few:
        return {"value": output.number(mine), "limits": few, "change": "", "change_limits": "", "kind": ""}
    return {
        "value": output.number(mine),
        "limits": _between(limits.get("value"), ""),
        "change": "" if change is None else "the same" if same else f"{change:+.4f}",
        "change_limits": "" if change is None or same else _between(limits.get("change"), "+"),
        "kind": "" if not judged or not sure else "good" if better else "bad",
    }


def _few(limits: Mapping[str, Any]) -> str:
    return f"too few: {limits['few']}" if limits.get("few") else ""


def _between(limits: Any, sign: str) -> str:
    return f"{limits[0]:{sign}.4f} … {limits[1]:{sign}.4f}" if limits else ""


def _scored(sources: RunSources) -> dict[str, Any]:
    """The curves' values and the intervals; `{"error"}` where the model or the rows are gone."""
    trained, optimized, baseline = (sources.folder(n, "model") for n in ("Trainer", "ModelOptimizer", "Baseline"))
    examples, label = sources.folder("ExampleGen", "examples"), sources.config.get("label", {})
    split, served = examples / "Split-eval" if examples else None, optimized or trained
    if served is None or split is None or not split.is_dir() or not label.get("task"):
        return {"error": "the model or the evaluation rows are not there any more"}
    compared = {"Evaluator": (trained, baseline), "OptimizedEvaluator": (optimized, trained)}
    job = scoring.Job(
        served=_servable(served),
        examples=str(split),
        label=label["column"],
        task=label["task"],
        evaluators={
            node: (_servable(mine), _servable(other))
            for node, (mine, other) in compared.items()
            if mine and other and node in sources.run.metrics
        },
        classes=sources.classes,
        metrics=tuple(dict.fromkeys(name for each in _overalls(sources.run) for name in each.candidate)),
        whole_metrics=tuple(dict.fromkeys(name for each in _overalls(sources.run) for name in _single(each))),
        slices=_slices(sources),
    )
    return scoring.scores(sources.root.run(sources.run.run_id), job)


def _servable(model: Path) -> str:
    return serving_model_dir(str(model))


def _overalls(run: record.RunRecord) -> list[record.MetricValues]:
    return [found for node in run.metrics if (found := overall(run, node))]


def _single(values: record.MetricValues) -> list[str]:
    """Names of the metrics of single classes: `recall[virginica]`."""
    return [f"{kind}[{name}]" for name, kinds in values.classes.items() for kind in kinds]


def _slices(sources: RunSources) -> dict[str, Any]:
    """The slices that the tables show, with the conditions that their rows meet."""
    shown = {each.slice for values in sources.run.metrics.values() for each in values[: MOST_SLICES + 1]}
    known: dict[str, Any] = {}
    for node in sources.run.metrics:
        folder = sources.folder(node, "evaluation")
        known |= results.slices(str(folder)) if folder else {}
    return {name: conditions for name, conditions in known.items() if name in shown}


def _curves(scored: Mapping[str, Any]) -> list[charts.Figure]:
    figures = []
    if "roc" in scored:
        area, *ends = scored["auc"]
        title = f"ROC: area {area:.4f} " + (
            f"[{ends[0]:.4f}, {ends[1]:.4f}]" if ends else "(no interval: too few rows)"
        )
        figures.append(
            charts.curve(
                title, **scored["roc"], x_title="false-positive rate", y_title="true-positive rate", diagonal=True
            )
        )
        figures.append(
            charts.curve("Precision and recall", **scored["pr"], x_title="recall", y_title="precision", diagonal=False)
        )
    if "calibration" in scored:
        figures.append(charts.calibration(scored["calibration"]))
    if "histogram" in scored:
        shares = {name: scored["histogram"][name] for name in ("negative", "positive")}
        figures.append(
            charts.bars("Scores by class", scored["histogram"]["middle"], shares, "score", "share of the class")
        )
    if "points" in scored:
        points = scored["points"]
        figures.append(charts.scatter("Predictions", points["label"], points["predicted"], "label", "prediction"))
        share = {"residuals": scored["residuals"]["share"]}
        figures.append(
            charts.bars("Residuals", scored["residuals"]["middle"], share, "prediction minus label", "share of rows")
        )
    return figures
