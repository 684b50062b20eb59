"""The section with the curves of training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taxiway.components.contract import training_dir
from taxiway.components.files.versioned_report import TRAINING_HISTORY
from taxiway.pipeline.report import charts
from taxiway.pipeline.report.run_data import RunData
from taxiway.pipeline.report.sections import weights
from taxiway.pipeline.report.sections.common import Section, format_report_value
from taxiway.pipeline.report.words import name_key

ONE_SIZE = 5.0
"""Metrics whose largest values differ by no more than this factor are drawn over one axis."""


def describe_training(run_data: RunData) -> Section:
    """Curves of the training run from its `history.json`."""
    folder = run_data.find_folder("Trainer", "model", ("*history.json",))
    path = Path(training_dir(str(folder)), "history.json") if folder else None
    if path is None or not path.is_file():
        return None
    history = TRAINING_HISTORY.read_report(path)
    points = history.get("evaluations", [])
    steps = [point["step"] for point in points]
    names = [name for name in (points[0]["metrics"] if points else {}) if name != "loss"]
    figures = [
        charts.draw_lines(
            "Loss", steps, {"train": _list_values(points, "loss"), "eval": _list_metric_values(points, "loss")}, "step"
        ),
        *_draw_metrics(points, names, steps),
        charts.draw_lines("Learning rate", steps, {"learning rate": _list_values(points, "learning_rate")}, "step"),
        charts.draw_lines("Gradient norm", steps, {"gradient norm": _list_values(points, "gradient_norm")}, "step"),
        charts.draw_lines("Rows a second", steps, {"rows a second": _list_values(points, "rows_per_second")}, "step"),
    ]
    facts = ("strategy", "replicas", "steps", "rows", "seconds", "best_step", "stopped", "restarts")
    rule = history.get("decision_rule") or {}
    return {
        "facts": [
            *((name_key(name), _format_fact(history[name])) for name in facts if name in history),
            *_list_rule_facts(rule),
        ],
        "notes": list(rule.get("notes", ())),
        "figures": figures if points else [],
        "weights": weights.describe_weights(history.get("linear_weights")),
        "events": [_format_event(event) for event in history.get("events", [])],
        "table": [
            [point["step"], point["loss"], *(point["metrics"].get(n) for n in ("loss", *names))] for point in points
        ],
        "columns": ["step", "loss", "eval loss", *(f"eval {name_key(name)}" for name in names)],
    }


def _format_fact(value: Any) -> str:
    return name_key(value) if isinstance(value, str) else format_report_value(value)


def _list_rule_facts(rule: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How logits become probabilities and a label, with what it changed on the eval split."""
    if not rule:
        return []
    measured, offsets = rule.get("measured", {}), rule.get("offsets", ())
    facts = [("temperature", format_report_value(rule["temperature"]))]
    if offsets:
        facts.append(("class weights taken off", "yes"))
    for name, words in (("log_loss", "log loss on eval"), ("ece", "calibration error on eval")):
        ends = [measured.get(f"{name}_{when}") for when in ("before", "after")]
        if None not in ends:
            facts.append((words, " → ".join(map(format_report_value, ends))))
    if rule.get("goal") != "likeliest":
        facts.append((f"threshold ({rule.get('goal')})", format_report_value(rule.get("threshold"))))
        facts += [
            (f"{name_key(name)} at this threshold, on eval", format_report_value(measured[name]))
            for name in ("precision", "recall", "f1")
            if name in measured
        ]
    return facts


def _draw_metrics(points: list[dict[str, Any]], names: list[str], steps: list[int]) -> list[charts.Figure]:
    """The metrics on the eval split, those of one size in one figure: a mean squared error would flatten the others."""
    series = {name: _list_metric_values(points, name) for name in names}
    sizes = {name: max((abs(v) for v in values if v is not None), default=0.0) for name, values in series.items()}
    groups: list[list[str]] = []
    for name in sorted(series, key=lambda name: sizes[name]):
        smallest = sizes[groups[-1][0]] if groups else None
        if smallest is not None and sizes[name] <= ONE_SIZE * smallest:
            groups[-1].append(name)
        else:
            groups.append([name])
    return [
        charts.draw_lines(
            f"{', '.join(map(name_key, group))} on the eval split",
            steps,
            {name_key(name): series[name] for name in group},
            "step",
        )
        for group in groups
    ]


def _list_values(points: list[dict[str, Any]], name: str) -> list[float | None]:
    return [point.get(name) for point in points]


def _list_metric_values(points: list[dict[str, Any]], name: str) -> list[float | None]:
    return [point["metrics"].get(name) for point in points]


def _format_event(event: Mapping[str, Any]) -> str:
    rest = ", ".join(f"{name} {format_report_value(value)}" for name, value in event.items() if name != "kind")
    return f"{event.get('kind', 'event')}: {rest}" if rest else str(event.get("kind"))
