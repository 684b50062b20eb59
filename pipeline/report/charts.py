"""Plotly figures as JSON values. The browser draws them, so plotly is not imported here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from taxiway.components.contract import HIGHER_IS_BETTER, LOWER_IS_BETTER
from taxiway.components.text.printable import escape_chart_label

Figure = dict[str, Any]
INK, ACCENT, SECOND, GOOD, BAD, SOFT = "$ink", "$accent", "$second", "$good", "$bad", "$soft"
"""Colours by name: the page puts its light or dark ones in their place, under keys `color` and nowhere else."""


def draw_lines(
    title: str,
    x: Sequence[float],
    series: Mapping[str, Sequence[float | None]],
    x_title: str,
    y_title: str = "",
    *,
    log: bool = False,
) -> Figure:
    """Several series over one axis."""
    colours = (ACCENT, SECOND, GOOD, BAD, SOFT)
    traces = [
        {
            "x": list(x),
            "y": list(y),
            "name": escape_chart_label(name),
            "mode": "lines+markers",
            "line": {"color": colour, "width": 2},
        }
        for (name, y), colour in zip(series.items(), colours, strict=False)
    ]
    return _make_figure(title, traces, x_title, y_title, {"yaxis": {"type": "log"}} if log else {})


def draw_curve(
    title: str, x: Sequence[float], y: Sequence[float], x_title: str, y_title: str, *, diagonal: bool
) -> Figure:
    """One curve in the unit square."""
    traces = [_draw_diagonal()] if diagonal else []
    traces.append(
        {"x": list(x), "y": list(y), "mode": "lines", "line": {"color": ACCENT, "width": 2.5}, "name": "model"}
    )
    return _make_figure(title, traces, x_title, y_title, {"showlegend": False, **_make_unit_axes()})


def draw_calibration(title: str, bins: Iterable[Mapping[str, float]]) -> Figure:
    """Mean score against the share of positives, a point a bin, as large as its rows."""
    filled = list(bins)
    most = max((each["rows"] for each in filled), default=1)
    sizes = [7 + 18 * (each["rows"] / most) ** 0.5 for each in filled]
    points = {
        "x": [each["score"] for each in filled],
        "y": [each["positive"] for each in filled],
        "text": [f"{each['rows']:,.0f} rows" for each in filled],
        "mode": "markers+lines",
        "marker": {"size": sizes, "color": ACCENT},
        "line": {"color": ACCENT, "width": 1},
        "name": "model",
    }
    extra = {"showlegend": False, **_make_unit_axes()}
    return _make_figure(title, [_draw_diagonal(), points], "mean score", "share of positives", extra)


def draw_bars(
    title: str, x: Sequence[Any], series: Mapping[str, Sequence[float]], x_title: str, y_title: str
) -> Figure:
    """Bars side by side."""
    colours = (ACCENT, SECOND)
    traces = [
        {
            "type": "bar",
            "x": _clean_labels(x),
            "y": list(y),
            "name": escape_chart_label(name),
            "marker": {"color": colour},
        }
        for (name, y), colour in zip(series.items(), colours, strict=False)
    ]
    return _make_figure(title, traces, x_title, y_title, {"barmode": "group", "bargap": 0.15})


def draw_scatter(title: str, x: Sequence[float], y: Sequence[float], x_title: str, y_title: str) -> Figure:
    """A cloud of points with the diagonal, such as predictions against labels."""
    low, high = min([*x, *y], default=0.0), max([*x, *y], default=1.0)
    line = {"x": [low, high], "y": [low, high], "mode": "lines", "line": {"color": SOFT, "dash": "dot"}}
    points = {"x": list(x), "y": list(y), "mode": "markers", "marker": {"color": ACCENT, "size": 4, "opacity": 0.5}}
    return _make_figure(title, [line, points], x_title, y_title, {"showlegend": False})


def draw_history(metric: str, numbers: Sequence[int], values: Sequence[float], best: Sequence[float]) -> Figure:
    """The trials of a search in their order, and the best up to each."""
    points = {"x": list(numbers), "y": list(values), "mode": "markers", "name": "trial", "marker": {"color": SOFT}}
    line = {"x": list(numbers), "y": list(best), "mode": "lines", "name": "best so far",
            "line": {"color": ACCENT, "width": 2, "shape": "hv"}}  # fmt: skip
    return _make_figure("Search", [points, line], "trial", metric, {})


def draw_parallel(metric: str, trials: Sequence[Mapping[str, Any]], space: Mapping[str, Mapping[str, Any]]) -> Figure:
    """A line for each trial through the values of all settings; on a logarithmic axis where the space says so."""
    dimensions = [
        _make_dimension(name, [trial["settings"].get(name) for trial in trials], bool(searched.get("log")))
        for name, searched in space.items()
    ]
    values = [trial["value"] for trial in trials]
    trace = {
        "type": "parcoords",
        "dimensions": [*dimensions, {"label": escape_chart_label(metric), "values": values}],
        "line": {"color": values, "colorscale": "Viridis", "showscale": True},
    }
    figure = _make_figure("Settings of the trials", [trace], "", "", {"height": 420})
    figure["layout"]["margin"] = {"t": 110}
    return figure


def _make_dimension(name: str, values: Sequence[Any], log: bool) -> Figure:
    label = escape_chart_label(name.rpartition(".")[2])
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        if not log:
            return {"label": label, "values": list(values)}
        logs = [math.log10(value) for value in values]
        ends = sorted({min(logs), max(logs)})
        return {"label": label, "values": logs, "tickvals": ends, "ticktext": [f"{10**end:.3g}" for end in ends]}
    names = sorted({str(value) for value in values})
    places = [names.index(str(value)) for value in values]
    ticks = [escape_chart_label(each) for each in names]
    return {"label": label, "values": places, "tickvals": list(range(len(names))), "ticktext": ticks}


def draw_residuals(predicted: Sequence[float], residuals: Sequence[float]) -> Figure:
    """A cloud of residuals over predictions, around zero."""
    ends = [min(predicted, default=0.0), max(predicted, default=1.0)]
    line = {"x": ends, "y": [0, 0], "mode": "lines", "line": {"color": SOFT, "dash": "dot"}, "hoverinfo": "skip"}
    marker = {"color": ACCENT, "size": 4, "opacity": 0.5}
    points = {"x": list(predicted), "y": list(residuals), "mode": "markers", "marker": marker}
    words = ("prediction", "prediction minus label")
    return _make_figure("Residuals by prediction", [line, points], *words, {"showlegend": False})


def draw_slices(metric: str, rows: Sequence[Mapping[str, Any]]) -> Figure:
    """A metric by slice: candidate and baseline, the whole split on top."""
    names = _clean_labels([row["slice"] for row in rows])[::-1]
    values = {side: [row[side] for row in rows][::-1] for side in ("candidate", "baseline")}
    marks: tuple[tuple[str, Figure], ...] = (
        ("baseline", {"size": 15, "color": SOFT, "symbol": "line-ns-open", "line": {"width": 2.5, "color": SOFT}}),
        ("candidate", {"size": 10, "color": ACCENT, "symbol": "circle"}),
    )
    traces: list[Figure] = [
        {"x": values[side], "y": names, "mode": "markers", "name": side, "marker": marker} for side, marker in marks
    ]
    traces[1]["error_x"] = _draw_error_bars(values["candidate"], [row.get("limits") for row in rows][::-1])
    extra = {
        "height": 130 + 26 * len(names),
        "yaxis": {"automargin": True, "type": "category"},
        "legend": {"orientation": "h", "x": 0, "y": -70 / (40 + 26 * len(names)), "yanchor": "top"},
    }
    return _make_figure(f"{metric} by slice", traces, metric, "", extra)


def _draw_error_bars(values: Sequence[float | None], limits: Sequence[Sequence[float] | None]) -> Figure:
    """Bars to both sides of values; none where there is no interval."""
    pairs = list(zip(values, limits, strict=True))
    above = [max(ends[1] - value, 0.0) if ends and value is not None else 0.0 for value, ends in pairs]
    below = [max(value - ends[0], 0.0) if ends and value is not None else 0.0 for value, ends in pairs]
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "color": ACCENT, "thickness": 1.5}


VERSION_MARKS: tuple[tuple[str, str, str], ...] = (
    (ACCENT, "circle", "solid"),
    (SECOND, "diamond-open", "dot"),
    (SOFT, "square-open", "dash"),
)
"""Colour, symbol and dash of a series of versions; equal values stay visible through the later ones."""


def draw_versions(
    metric: str, versions: Mapping[str, str], series: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> Figure:
    """A metric over versions in their order, a line a kind of measurement, with intervals where they are known.

    Args:
        metric: Name of the metric.
        versions: Versions in their order, each with a note for its first point, such as `live`.
        series: By name of the line and version: `value` and `limits` (None where not known).
    """
    noted, traces = set[str](), []
    for (name, points), (colour, symbol, dash) in zip(series.items(), VERSION_MARKS, strict=False):
        own = [version for version in versions if version in points]
        values = [points[version]["value"] for version in own]
        notes = ["" if version in noted else versions[version] for version in own]
        noted.update(own)
        traces.append(
            {
                "x": _clean_labels(own),
                "y": values,
                "name": escape_chart_label(name),
                "text": [escape_chart_label(note) for note in notes],
                "mode": "lines+markers+text",
                "textposition": _place_notes(own, list(versions)),
                "textfont": {"size": 11},
                "cliponaxis": False,
                "line": {"color": colour, "width": 2, "dash": dash},
                "marker": {
                    "symbol": symbol,
                    "color": colour,
                    "size": 8 if symbol == "circle" else 12,
                    "line": {"width": 2},
                },
                "error_y": {
                    **_draw_error_bars(values, [points[version]["limits"] for version in own]),
                    "color": colour,
                },
            }
        )
    axis = {
        "type": "category",
        "automargin": True,
        "categoryorder": "array",
        "categoryarray": _clean_labels([*versions]),
    }
    extra = {
        "showlegend": True,
        "xaxis": axis,
        "height": 380,
        "margin": {"l": 52, "r": 16, "t": 88, "b": 46},
        "title": {"y": 0.98, "yref": "container", "yanchor": "top"},
        # Above the lines: below them the numbers of many versions stand upright.
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    }
    return _make_figure(f"{metric} of each version", traces, "version", metric, extra)


def _place_notes(own: Sequence[str], versions: Sequence[str]) -> list[str]:
    """Notes point to the middle of the chart, so that its edges do not cut them."""
    return ["top left" if versions.index(each) >= len(versions) / 2 else "top right" for each in own]


def draw_importance(title: str, entries: Sequence[Mapping[str, Any]], x_title: str) -> Figure:
    """Bars of importance with the intervals over repeats, the most important one on top.

    Args:
        title: Title of the chart.
        entries: `name`, `mean`, and `limits` where there is an interval; the most important one first.
        x_title: Title of the axis.
    """
    means = [each["mean"] for each in entries][::-1]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": means,
        "y": _clean_labels([_shorten_label(each["name"]) for each in entries])[::-1],
        "marker": {"color": ACCENT},
        "error_x": {**_draw_error_bars(means, [each["limits"] for each in entries][::-1]), "color": SECOND},
    }
    extra = {
        "showlegend": False,
        "height": max(320, 130 + 24 * len(means)),
        "yaxis": {"automargin": True, "type": "category"},
    }
    return _make_figure(title, [bars], x_title, "", extra)


def draw_weights(title: str, names: Sequence[str], weights: Sequence[float], x_title: str) -> Figure:
    """Bars to both sides of zero, the first one on top; names may come again once they are shortened."""
    places = list(range(len(names)))[::-1]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": list(weights),
        "y": places,
        "customdata": _clean_labels(names),
        "hovertemplate": "%{customdata}: %{x:.5g}<extra></extra>",
        "marker": {"color": ACCENT},
    }
    labels = _clean_labels([_shorten_label(name, 28) for name in names])
    axis = {"automargin": True, "tickmode": "array", "tickvals": places, "ticktext": labels}
    extra = {"showlegend": False, "height": max(320, 130 + 24 * len(names)), "yaxis": axis}
    return _make_figure(title, [bars], x_title, "", extra)


def _shorten_label(text: str, longest: int = 20) -> str:
    """A label that leaves the chart room on a narrow page."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def draw_dependence(
    column: str,
    values: Sequence[Any],
    series: Mapping[str, Sequence[float]],
    y_title: str,
    *,
    unit: str = "",
    dates: bool = False,
) -> Figure:
    """The mean answer at each value of a column, a line a class: over an axis of numbers, dates or categories."""
    numbers = dates or all(isinstance(value, (int, float)) for value in values)
    figure = draw_lines(column, [], {}, f"{column}, {unit}" if unit else column, y_title)
    colours = (ACCENT, SECOND, GOOD, BAD, SOFT)
    figure["data"] = [
        {
            "x": list(values) if numbers else _clean_labels([str(value) for value in values]),
            "y": list(means),
            "name": escape_chart_label(name),
            "mode": "lines+markers" if numbers else "markers",
            "marker": {"color": colour, "size": 6 if numbers else 10},
            "line": {"color": colour, "width": 2},
        }
        for (name, means), colour in zip(series.items(), colours, strict=False)
    ]
    kind = "date" if dates else "" if numbers else "category"
    figure["layout"]["xaxis"] |= {"type": kind, "automargin": True} if kind else {}
    figure["layout"]["showlegend"] = len(series) > 1
    return figure


def draw_variants(points: Sequence[Mapping[str, Any]], metric: str, words: str, batch_size: int) -> list[Figure]:
    """Variants as dot plots, a row each: speed and quality with their intervals, and size; the fastest is on top.

    Args:
        points: `name`, `words` (for the pointer), `p50` in ms, `faster` (times as fast as the reference), `quality`,
            each with `..limits` where known; `size` in bytes, `chosen`, `front`.
        metric: Key of the quality's metric.
        words: The same in words.
        batch_size: Batch size of the latencies.
    """
    ordered = sorted(points, key=lambda point: point["p50"], reverse=True)
    better = "more is better" if metric in HIGHER_IS_BETTER else "less is better" if metric in LOWER_IS_BETTER else ""
    measures = (
        ("Speed", "faster", "faster_limits", f"times as fast, batch {batch_size} (more is better)"),
        ("Quality", "quality", "limits", f"{words}{f' ({better})' if better else ''}"),
        ("Size", "size_mb", "", "MB on disk (less is better)"),
    )
    rows = [{**point, "size_mb": None if point["size"] is None else point["size"] / 1e6} for point in ordered]
    return [_draw_dots(title, rows, *keys) for title, *keys in measures if any(r[keys[0]] is not None for r in rows)]


VARIANT_MARKS: tuple[tuple[str, str, str], ...] = (
    ("chosen", GOOD, "diamond"),
    ("Pareto front", ACCENT, "circle"),
    ("others", SOFT, "circle-open"),
)


def _draw_dots(title: str, rows: Sequence[Mapping[str, Any]], value: str, limits: str, x_title: str) -> Figure:
    """One measure of all variants: names on the axis, which never overlap, a mark a kind of variant."""
    names = _clean_labels([_shorten_label(row["name"], 28) for row in rows])
    traces = []
    for kind, colour, symbol in VARIANT_MARKS:
        own = [(name, row) for name, row in zip(names, rows, strict=True) if _name_kind(row) == kind]
        values = [row[value] for _, row in own]
        trace = {
            "x": values,
            "y": [name for name, _ in own],
            "customdata": [row["words"] for _, row in own],
            "hovertemplate": "%{customdata}<br>%{x:.5g}<extra></extra>",
            "mode": "markers",
            "name": kind,
            "cliponaxis": False,
            "marker": {"size": 11, "color": colour, "symbol": symbol, "line": {"width": 2, "color": colour}},
        }
        if limits:
            trace["error_x"] = {**_draw_error_bars(values, [row[limits] for _, row in own]), "color": colour}
        traces += [trace] if own else []
    axis = {"automargin": True, "type": "category", "categoryorder": "array", "categoryarray": names}
    height = 150 + 26 * len(names)
    legend = {"orientation": "h", "x": 0, "y": -78 / (height - 110), "yanchor": "top"}
    return _make_figure(
        title, traces, x_title, "", {"height": height, "yaxis": axis, "legend": legend, "showlegend": True}
    )


def _name_kind(row: Mapping[str, Any]) -> str:
    return "chosen" if row["chosen"] else "Pareto front" if row["front"] else "others"


def _clean_labels(values: Sequence[Any]) -> list[Any]:
    """Labels of an axis: texts escaped for plotly, numbers unchanged."""
    return [escape_chart_label(value) if isinstance(value, str) else value for value in values]


def _make_figure(title: str, traces: list[Figure], x_title: str, y_title: str, extra: Mapping[str, Any]) -> Figure:
    layout: Figure = {
        "title": {"text": escape_chart_label(title)},
        "xaxis": {"title": {"text": escape_chart_label(x_title)}},
        "yaxis": {"title": {"text": escape_chart_label(y_title)}},
    }
    for name, value in extra.items():
        default = layout.get(name)
        layout[name] = {**default, **value} if isinstance(default, dict) and isinstance(value, dict) else value
    return {"data": traces, "layout": layout}


def _draw_diagonal() -> Figure:
    return {"x": [0, 1], "y": [0, 1], "mode": "lines", "line": {"color": SOFT, "dash": "dot"}, "hoverinfo": "skip"}


def _make_unit_axes() -> Figure:
    return {"xaxis": {"range": [-0.02, 1.02]}, "yaxis": {"range": [-0.02, 1.04]}}
