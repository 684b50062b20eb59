"""The section of the search for settings: its history, what mattered, and every trial at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from taxiway.components.files.versioned_report import TUNING_REPORT
from taxiway.pipeline.report import charts
from taxiway.pipeline.report.run_data import RunData
from taxiway.pipeline.report.sections.common import Section, format_report_value

STATES = {"complete": "ended", "pruned": "ended early", "fail": "failed", "running": "did not end", "waiting": "waits"}
MOST_ROWS = 50


def describe_tuning(run_data: RunData) -> Section:
    """The trials of the run's Tuner; None where the run has none."""
    report = run_data.read_json(TUNING_REPORT, "Tuner", "tuner_results", "trials.json")
    if not report:
        return None
    trials, metric = report["all_trials"], report["metric"]
    ended = [trial for trial in trials if trial["value"] is not None and trial["state"] == "complete"]
    shown = rank_trials(ended, report["direction"])[:MOST_ROWS]
    names = list(report["space"])
    return {
        "metric": metric,
        "value": report["value"],
        "best": report["best"],
        "settings": [(name, format_report_value(value)) for name, value in sorted(report["settings"].items())],
        "states": [(words, count) for state, words in STATES.items() if (count := _count_state(trials, state))],
        "figures": draw_search(report, ended) if ended else [],
        "columns": ["trial", metric, *names],
        "table": [[t["number"], t["value"], *(t["settings"].get(name) for name in names)] for t in shown],
        "hidden": len(ended) - len(shown),
        "errors": sorted({trial["error"] for trial in trials if trial["error"]}),
    }


def draw_search(report: Mapping[str, Any], ended: Sequence[Mapping[str, Any]]) -> list[charts.Figure]:
    """History, importance and parallel coordinates."""
    metric, figures = report["metric"], []
    figures.append(charts.draw_history(metric, *_follow_best(ended, report["direction"])))
    if report["importance"]:
        names, shares = list(report["importance"]), list(report["importance"].values())
        figures.append(charts.draw_bars("What mattered", names, {"share": shares}, "", "share of the variance"))
    figures.append(charts.draw_parallel(metric, ended, report["space"]))
    return figures


def rank_trials(trials: Sequence[Mapping[str, Any]], direction: str) -> list[Mapping[str, Any]]:
    """The best first."""
    return sorted(trials, key=lambda trial: trial["value"], reverse=direction == "maximize")


def _follow_best(ended: Sequence[Mapping[str, Any]], direction: str) -> tuple[list[int], list[float], list[float]]:
    """Numbers and values of trials, and the best value up to each."""
    choose, best, line = (max if direction == "maximize" else min), None, []
    for trial in ended:
        best = trial["value"] if best is None else choose(best, trial["value"])
        line.append(best)
    return [trial["number"] for trial in ended], [trial["value"] for trial in ended], line


def _count_state(trials: Sequence[Mapping[str, Any]], state: str) -> int:
    return sum(trial["state"] == state for trial in trials)
