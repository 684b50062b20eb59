"""What each section of the report says: plain values for the template, figures for the browser. A section about
something that the run never reached is None."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from components import servables
from components.contract import SIGNATURE_INPUTS_FILE, serving_model_dir, training_dir
from components.evaluation.config import HIGHER_IS_BETTER
from pipeline import output, record, results
from pipeline.lineage import LineageGraph, page
from pipeline.report import charts, compare, scoring, statistics
from pipeline.report.sources import RunSources, changes
from pipeline.summary import LOWER_IS_BETTER, NO_CHANGE

Section = dict[str, Any] | None
PACKAGES = ("taxiway", "tfx", "tensorflow", "tf-keras", "tensorflow-transform", "apache-beam", "ml-metadata", "numpy")
MOST_COLUMNS, MOST_SLICES, TOP_VALUES = 60, 30, 8
WORDS = {
    "live": "Live",
    "done": "Done, nothing pushed",
    "blocked": "Blocked",
    "failed": "Failed",
    "interrupted": "Interrupted",
    "running": "Running",
}


def head(sources: RunSources) -> dict[str, Any]:
    """The verdict: how the run ended, by which gate, and the figures that people ask for first."""
    run = sources.run
    push = run.push
    words = WORDS[run.state]
    if run.state == "live" and push:
        words = f"Live: version {push.version}" if push.pushed else "Live already: the same model"
    return {
        "model": run.model or "run",
        "run_id": run.run_id,
        "state": run.state,
        "words": words,
        "reason": run.reason,
        "resume": run.resume,
        "started": output.moment(run.started),
        "seconds": output.seconds(run.seconds),
        "command": " ".join(("taxiway", *run.command)) if run.command else "",
        "figures": _figures(sources),
    }


def _figures(sources: RunSources) -> list[tuple[str, str, str]]:
    """Name, value and note of each."""
    run, found = sources.run, []
    overall = _overall(run, "Evaluator")
    value = run.main_value()
    if value is not None:
        was = overall.baseline.get(run.main_metric) if overall else None
        found.append((run.main_metric, f"{value:.4f}", f"{was:.4f} is the baseline's" if was is not None else ""))
    if sources.statistics:
        rows = {name: split.rows for name, split in sources.statistics.items()}
        found.append(
            ("rows", f"{sum(rows.values()):,}", ", ".join(f"{name} {count:,}" for name, count in rows.items()))
        )
    chosen = next((variant for variant in run.variants if variant.chosen), None)
    if chosen:
        speed = f"{chosen.speedup:.2f}x as fast as trained" if chosen.speedup else ""
        found.append(("variant", chosen.variant, speed))
        found.append(("size", output.size(chosen.size_bytes), f"p50 {chosen.p50_ms:.2f} ms" if chosen.p50_ms else ""))
    return found


def _overall(run: record.RunRecord, node: str) -> record.MetricValues | None:
    return next((values for values in run.metrics.get(node, ()) if values.slice == record.OVERALL), None)


def way(sources: RunSources) -> Section:
    """The nodes in data order, with states and times; the gates with their numbers."""
    run = sources.run
    longest = max((node.seconds or 0.0 for node in run.nodes), default=0.0) or 1.0
    nodes = [
        {
            "name": node.node,
            "state": node.state,
            "seconds": "" if node.seconds is None or node.state == "skipped" else output.seconds(node.seconds),
            "share": (node.seconds or 0.0) / longest,
            "memory": f"{node.peak_memory_mb:,.0f} MB" if node.peak_memory_mb and node.state == "done" else "",
            "reason": node.reason,
        }
        for node in run.nodes
    ]
    gates = [
        {"name": g.gate, "passed": g.passed, "reason": g.reason, "numbers": _numbers(g.numbers)} for g in run.gates
    ]
    return {"nodes": nodes, "gates": gates} if nodes else None


def _numbers(numbers: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, _short(value)) for name, value in numbers.items() if name not in ("findings", "failures")]


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_short(inner)}" for name, inner in value.items())
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def data(sources: RunSources, previous: RunSources | None) -> Section:
    """Rows by split and span, distributions, missing values, anomalies, and what moved since the run before."""
    if not sources.statistics:
        return None
    ingest = sources.json("ExampleGen", "examples", "ingest.json")
    examples = sources.outputs.get(("ExampleGen", "examples"))
    verdict = sources.json("DataGate", "verdict", "verdict.json")
    previous = previous if previous and not previous.same_data(sources) else None  # the same rows have not moved
    moved = compare.drift(previous, sources)[:12] if previous else []
    return {
        "splits": [(name, split.rows) for name, split in sources.statistics.items()],
        "span": examples.properties.get("span") if examples else None,
        "fingerprint": examples.properties.get("input_fingerprint", "") if examples else "",
        "files": ingest.get("files", []),
        "counts": [(name.replace("_", " "), _short(count)) for name, count in ingest.get("rows", {}).items()],
        "columns": _columns(sources.statistics, previous.statistics if previous else {}),
        "findings": verdict.get("findings", []),
        "previous": previous.run.run_id if previous else "",
        "drift": [{"split": s, "column": c, "moved": f"{m:.4f}", "measure": w} for s, c, m, w in moved],
    }


def _columns(splits: Mapping[str, statistics.Split], previous: Mapping[str, statistics.Split]) -> list[dict[str, Any]]:
    train = splits.get("train") or next(iter(splits.values()))
    evaluation = splits.get("eval", statistics.Split(0, {}))
    before = previous.get("train", statistics.Split(0, {}))
    names = list(train.columns)[:MOST_COLUMNS]
    return [_column(train.columns[name], evaluation.columns.get(name), before.columns.get(name)) for name in names]


def _column(
    train: statistics.Column, other: statistics.Column | None, before: statistics.Column | None
) -> dict[str, Any]:
    sides = {"train": train, "eval": other, "before": before}
    known = {name: column for name, column in sides.items() if column}
    return {
        "name": train.name,
        "kind": train.kind,
        "facts": _column_facts(train),
        "missing": {name: column.missing_share for name, column in known.items()},
        "values": _values(known) if train.values else [],
        "bins": {name: _bins(column, train) for name, column in known.items()} if train.bins else {},
    }


def _column_facts(column: statistics.Column) -> str:
    if column.mean is not None and column.std is not None:
        return f"{column.mean:,.4g} ± {column.std:,.3g}, from {column.low:,.4g} to {column.high:,.4g}"
    return f"{column.unique:,} values" if column.unique is not None else ""


def _values(sides: Mapping[str, statistics.Column]) -> list[dict[str, Any]]:
    """The most frequent values of train, with their shares everywhere."""
    shares = {name: dict(column.values) for name, column in sides.items()}
    return [
        {"value": value, **{name: shares[name].get(value, 0.0) for name in sides}}
        for value, _ in sides["train"].values[:TOP_VALUES]
    ]


def _bins(column: statistics.Column, train: statistics.Column) -> list[tuple[float, float, float]]:
    """Bars as `(left, width, density)` on train's range, which is 0 to 1."""
    low, high = train.bins[0][0], train.bins[-1][1]
    span = (high - low) or 1.0
    return [((a - low) / span, (b - a) / span, share / max((b - a) / span, 1e-9)) for a, b, share in column.bins]


def schema(sources: RunSources, previous: RunSources | None) -> Section:
    """The columns as the schema defines them, and what changed since the run before."""
    if not sources.schema:
        return None
    changed = changes(previous.schema, sources.schema) if previous and previous.schema else []
    name = previous.run.run_id if previous and previous.schema else ""
    return {"previous": name, "changes": changed, "columns": list(sources.schema.items())}


def training(sources: RunSources) -> Section:
    """Curves of the training run from its `history.json`."""
    folder = sources.folder("Trainer", "model")
    path = Path(training_dir(str(folder)), "history.json") if folder else None
    if path is None or not path.is_file():
        return None
    history = json.loads(path.read_text(encoding="utf-8"))
    points = history.get("evaluations", [])
    steps = [point["step"] for point in points]
    names = [name for name in (points[0]["metrics"] if points else {}) if name != "loss"]
    figures = [
        charts.lines("Loss", steps, {"train": _each(points, "loss"), "eval": _metric_of(points, "loss")}, "step"),
        charts.lines("Metrics on the eval split", steps, {name: _metric_of(points, name) for name in names}, "step"),
        charts.lines("Learning rate", steps, {"learning rate": _each(points, "learning_rate")}, "step"),
        charts.lines("Gradient norm", steps, {"gradient norm": _each(points, "gradient_norm")}, "step"),
        charts.lines("Speed", steps, {"rows a second": _each(points, "rows_per_second")}, "step"),
    ]
    facts = ("strategy", "replicas", "steps", "rows", "seconds", "best_step", "stopped", "restarts")
    return {
        "facts": [(name.replace("_", " "), _short(history[name])) for name in facts if name in history],
        "figures": figures if points else [],
        "events": [_event(event) for event in history.get("events", [])],
        "table": [
            [point["step"], point["loss"], *(point["metrics"].get(n) for n in ("loss", *names))] for point in points
        ],
        "columns": ["step", "loss", "eval loss", *(f"eval {name}" for name in names)],
    }


def _each(points: list[dict[str, Any]], name: str) -> list[float | None]:
    return [point.get(name) for point in points]


def _metric_of(points: list[dict[str, Any]], name: str) -> list[float | None]:
    return [point["metrics"].get(name) for point in points]


def _event(event: Mapping[str, Any]) -> str:
    rest = ", ".join(f"{name} {_short(value)}" for name, value in event.items() if name != "kind")
    return f"{event.get('kind', 'event')}: {rest}" if rest else str(event.get("kind"))


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
    rows = [
        {
            "slice": v.slice,
            "rows": v.rows,
            "cells": [_cell(name, v, limits.get(v.slice, {}).get(name, {})) for name in names],
        }
        for v in values[: MOST_SLICES + 1]
    ]
    return {"node": node, "names": names, "rows": rows, "hidden": max(len(values) - len(rows), 0)}


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
    return {
        "value": output.number(mine),
        "limits": _between(limits.get("value"), ""),
        "change": "" if change is None else f"{change:+.4f}",
        "change_limits": _between(limits.get("change"), "+") if change is not None else "",
        "kind": "" if not judged or not sure else "good" if better else "bad",
    }


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
        slices=_slices(sources),
    )
    return scoring.scores(sources.root.run(sources.run.run_id), job)


def _servable(model: Path) -> str:
    return serving_model_dir(str(model))


def _overalls(run: record.RunRecord) -> list[record.MetricValues]:
    return [found for node in run.metrics if (found := _overall(run, node))]


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
        area, low, high = scored["auc"]
        title = f"ROC: area {area:.4f} [{low:.4f}, {high:.4f}]"
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


def optimization(sources: RunSources) -> Section:
    """The variants: Pareto plot, table, and why each was or was not chosen."""
    report = sources.json("ModelOptimizer", "report", "report.json")
    if not report.get("variants"):
        return None
    decision = report["decision"]
    batch = decision.get("batch_size") or 1
    variants = [_variant(each, batch, decision) for each in report["variants"]]
    points = [each for each in variants if each["p50"] is not None and each["quality"] is not None]
    return {
        "decision": decision,
        "metric": report.get("metric", ""),
        "batch": batch,
        "variants": variants,
        "figures": [charts.pareto(points, report.get("metric", "quality"), batch)] if points else [],
        "method": report.get("environment", {}).get("method", ""),
    }


def _variant(entry: Mapping[str, Any], batch: int, decision: Mapping[str, Any]) -> dict[str, Any]:
    latency: Mapping[str, Any] = next(
        (x for x in entry.get("latencies", ()) if x["batch_size"] == batch and x["path"] == "whole"), {}
    )
    quality = (entry.get("quality") or {}).get("value") or {}
    speed = latency.get("speedup") or {}
    low, high = quality.get("low"), quality.get("high")
    size = (entry.get("size") or {}).get("bytes")
    words = f"{entry['name']}<br>{latency.get('p50_ms', 0):.3f} ms, {output.size(size)}"
    return {
        "name": entry["name"],
        "chosen": entry["name"] == decision.get("chosen"),
        "front": entry["name"] in decision.get("pareto", ()),
        "status": entry["status"],
        "why": entry.get("reason") or "; ".join(entry.get("rejected", ())),
        "size": size,
        "size_text": output.size(size),
        "p50": latency.get("p50_ms"),
        "p99": latency.get("p99_ms"),
        "speed": f"{speed['value']:.2f}x [{speed['low']:.2f}, {speed['high']:.2f}]" if speed.get("low") else "–",
        "quality": quality.get("value"),
        "error": 0 if low is None or high is None else (high - low) / 2,
        "output_error": (entry.get("output_error") or {}).get("max"),
        "checks": [check["detail"] for check in entry.get("checks", ())],
        "words": words,
    }


def serving(sources: RunSources) -> Section:
    """The version, its signatures, requests to copy, latency."""
    report = sources.json("ServingValidator", "report", "report.json")
    push = sources.run.push
    if not report and push is None:
        return None
    folder = (
        servables.version_folders(sources.root.serving / sources.run.model).get(push.version or -1) if push else None
    )
    inputs = _inputs(folder)
    return {
        "push": push,
        "path": str(folder or ""),
        "blessed": report.get("blessed"),
        "reason": report.get("reason", ""),
        "digest": report.get("digest", ""),
        "findings": report.get("findings", []),
        "figures": [(name.replace("_", " "), _short(value)) for name, value in report.get("figures", {}).items()],
        "inputs": inputs,
        "request": _request(sources, inputs) if inputs else "",
    }


def _inputs(folder: Path | None) -> dict[str, Any]:
    path = folder / SIGNATURE_INPUTS_FILE if folder else None
    if path is None or not path.is_file():
        return {}
    return dict(json.loads(path.read_text(encoding="utf-8")).get("inputs", {}))


def _request(sources: RunSources, inputs: Mapping[str, Any]) -> str:
    """A REST request with a plausible row: means and most frequent values of the training split."""
    columns = sources.statistics.get("train", statistics.Split(0, {})).columns
    row = {
        name: _plausible(columns.get(facts.get("column", name)), str(facts.get("dtype")))
        for name, facts in inputs.items()
    }
    body = json.dumps({"signature_name": "serving_raw", "instances": [row]}, ensure_ascii=False)
    quoted = body.replace("'", "'\\''")
    return f"curl -s http://localhost:8501/v1/models/{sources.run.model}:predict -d '{quoted}'"


def _plausible(column: statistics.Column | None, dtype: str) -> Any:
    if dtype == "string":
        return column.values[0][0] if column and column.values else ""
    mean = column.mean if column and column.mean is not None else 0.0
    return round(mean) if dtype.startswith("int") else round(mean, 3)


def lineage(sources: RunSources) -> Section:
    """The graph of the run; the version that it pushed, where it did."""
    if not sources.executions:
        return None
    graph = LineageGraph.open(sources.root.path, sources.run.run_id)
    push = sources.run.push
    focus = [node.key for node in graph.where(type="PushedModel")] or list(graph.focus[-1:])
    if push and push.pushed:
        version = LineageGraph.open(sources.root.path, f"{sources.run.model}/{push.version}")
        graph, focus = graph.merged(version), list(version.focus)
    graph = LineageGraph(graph.nodes.values(), graph.edges, focus)
    return {"widget": page.widget(graph), "nodes": len(graph)}


def environment(sources: RunSources) -> Section:
    """Versions of what ran, and the whole configuration."""
    versions = []
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions.append((name, metadata.version(name)))
    config = yaml.safe_dump(sources.config, sort_keys=False, allow_unicode=True) if sources.config else ""
    report = sources.json("ModelOptimizer", "report", "report.json").get("environment", {})
    machine = [(name, str(report[name])) for name in ("cpu", "cores", "platform", "python", "gpu") if name in report]
    return {"versions": versions, "machine": machine, "config": config, "code": list(sources.code.items())}
