"""What the model's answers rest on: importance of columns, partial dependence, the rows of the largest errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from taxiway.components.files.versioned_report import EXPLANATION_REPORT
from taxiway.components.text.printable import escape_text
from taxiway.pipeline.console import printing
from taxiway.pipeline.report import charts, words
from taxiway.pipeline.report.run_data import RunData
from taxiway.pipeline.report.sections.common import Section, format_report_value

MOST_BARS = 30
MOST_COLUMNS = 40
"""Of a row of the largest errors, the most important ones first."""
MOST_CLASSES = 5
"""Lines in a chart of partial dependence."""
MISSING = "missing"


def describe_explanation(run_data: RunData) -> Section:
    """What ModelExplainer wrote; None where the run has not got so far, or has no such node."""
    said = run_data.read_json(EXPLANATION_REPORT, "ModelExplainer", "explanation", "explanation.json")
    if not said:
        return None
    if said.get("error"):
        return {"trouble": said["error"]}
    return {
        "said": said,
        "importance": [_format_importance(each) for each in said["importance"]],
        "figures": [*_draw_importance(said), *(_draw_dependence(each, said) for each in said["dependence"])],
        "errors": _tabulate_errors(said),
    }


def _format_importance(each: Mapping[str, Any]) -> dict[str, Any]:
    limits = each["limits"]
    return {
        "name": each["name"],
        "columns": each["columns"] if len(each["columns"]) > 1 else [],
        "mean": printing.format_number(each["mean"]),
        "limits": f"{limits[0]:.4f} … {limits[1]:.4f}" if limits else "",
        "repeats": each["repeats"],
    }


def _draw_importance(said: Mapping[str, Any]) -> list[charts.Figure]:
    measured = [each for each in said["importance"] if each["mean"] is not None][:MOST_BARS]
    x_title = f"{words.name_key(said['metric'])} is worse by"
    return [charts.draw_importance("Importance", measured, x_title)] if measured else []


def _draw_dependence(each: Mapping[str, Any], said: Mapping[str, Any]) -> charts.Figure:
    given = [point["value"] for point in each["points"]]
    numbers = [value for value in given if isinstance(value, (int, float))]
    scale = words.find_time_scale(each["column"], min(numbers), max(numbers)) if numbers else 0.0
    span = max(numbers) - min(numbers) if numbers else 0.0
    mixed = len(numbers) < len(given)  # numbers and "missing": each is a category of the axis
    values = [
        words.format_moment(value, scale, span)
        if scale and value in numbers
        else f"{value:,.4g}"
        if mixed and value in numbers
        else _name_value(value)
        for value in given
    ]
    series = {name: [point["mean"][index] for point in each["points"]] for index, name in _list_scores(said)}
    y_title = "mean prediction" if said["task"] == "regression" else "mean score"
    unit = "" if scale else words.find_unit(each["column"])
    return charts.draw_dependence(each["column"], values, series, y_title, unit=unit, dates=bool(scale) and not mixed)


def _list_scores(said: Mapping[str, Any]) -> list[tuple[int, str]]:
    """The scores that are drawn, by their index and name: of several classes the first ones."""
    classes = said["classes"]
    if said["task"] == "multiclass":
        count = max((len(point["mean"]) for each in said["dependence"] for point in each["points"]), default=0)
        names = classes if len(classes) == count else [str(index) for index in range(count)]
        return list(enumerate(names))[:MOST_CLASSES]
    return [(0, "prediction" if said["task"] == "regression" else str(classes[-1]) if classes else "score")]


def _name_value(value: Any) -> Any:
    return MISSING if value is None else escape_text(value)[:40] if isinstance(value, str) else value


def _tabulate_errors(said: Mapping[str, Any]) -> dict[str, Any]:
    """The rows of the largest errors as texts, the columns in the order of their importance."""
    rows: Sequence[Mapping[str, Any]] = said["largest_errors"]
    present = list(rows[0]["values"]) if rows else []
    ordered = [column for each in said["importance"] for column in each["columns"] if column in present] or present
    return {
        "columns": ordered[:MOST_COLUMNS],
        "hidden": max(len(ordered) - MOST_COLUMNS, 0),
        "score": "prediction" if said["task"] == "regression" else "score of its class",
        "measure": "absolute error" if said["task"] == "regression" else "log loss",
        "rows": [
            {
                "label": _format_cell(row["label"]),
                "predicted": printing.format_number(row["predicted"]),
                "error": printing.format_number(row["error"]),
                "values": [_format_cell(row["values"][column]) for column in ordered[:MOST_COLUMNS]],
            }
            for row in rows
        ],
    }


def _format_cell(value: Any) -> str:
    return "–" if value is None else escape_text(value) if isinstance(value, str) else format_report_value(value)
