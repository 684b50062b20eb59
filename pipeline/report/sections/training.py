"""The curves of training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.contract import training_dir
from pipeline.report import charts
from pipeline.report.sections.common import Section, short
from pipeline.report.sources import RunSources

ONE_SIZE = 5.0
"""Metrics whose largest values differ by no more than this factor are drawn over one axis."""


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
        *_metrics(points, names, steps),
        charts.lines("Learning rate", steps, {"learning rate": _each(points, "learning_rate")}, "step"),
        charts.lines("Gradient norm", steps, {"gradient norm": _each(points, "gradient_norm")}, "step"),
        charts.lines("Rows a second", steps, {"rows a second": _each(points, "rows_per_second")}, "step"),
    ]
    facts = ("strategy", "replicas", "steps", "rows", "seconds", "best_step", "stopped", "restarts")
    return {
        "facts": [(name.replace("_", " "), short(history[name])) for name in facts if name in history],
        "figures": figures if points else [],
        "events": [_event(event) for event in history.get("events", [])],
        "table": [
            [point["step"], point["loss"], *(point["metrics"].get(n) for n in ("loss", *names))] for point in points
        ],
        "columns": ["step", "loss", "eval loss", *(f"eval {name}" for name in names)],
    }


def _metrics(points: list[dict[str, Any]], names: list[str], steps: list[int]) -> list[charts.Figure]:
    """The metrics on the eval split, those of one size in one figure: a mean squared error would flatten the others."""
    series = {name: _metric_of(points, name) for name in names}
    sizes = {name: max((abs(v) for v in values if v is not None), default=0.0) for name, values in series.items()}
    groups: list[list[str]] = []
    for name in sorted(series, key=lambda name: sizes[name]):
        smallest = sizes[groups[-1][0]] if groups else None
        if smallest is not None and sizes[name] <= ONE_SIZE * smallest:
            groups[-1].append(name)
        else:
            groups.append([name])
    return [
        charts.lines(f"{', '.join(group)} on the eval split", steps, {name: series[name] for name in group}, "step")
        for group in groups
    ]


def _each(points: list[dict[str, Any]], name: str) -> list[float | None]:
    return [point.get(name) for point in points]


def _metric_of(points: list[dict[str, Any]], name: str) -> list[float | None]:
    return [point["metrics"].get(name) for point in points]


def _event(event: Mapping[str, Any]) -> str:
    rest = ", ".join(f"{name} {short(value)}" for name, value in event.items() if name != "kind")
    return f"{event.get('kind', 'event')}: {rest}" if rest else str(event.get("kind"))
