"""Plotly figures as plain JSON: drawn in the reader's browser, so plotly itself is not imported here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from components.contract import HIGHER_IS_BETTER
from components.printable_text import chart_label

Figure = dict[str, Any]
INK, ACCENT, SECOND, GOOD, BAD, SOFT = "$ink", "$accent", "$second", "$good", "$bad", "$soft"
"""Colours by name: the page puts its light or dark ones in their place, under keys `color` and nowhere else."""


def lines(
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
            "name": chart_label(name),
            "mode": "lines+markers",
            "line": {"color": colour, "width": 2},
        }
        for (name, y), colour in zip(series.items(), colours, strict=False)
    ]
    return _figure(title, traces, x_title, y_title, {"yaxis": {"type": "log"}} if log else {})


def curve(title: str, x: Sequence[float], y: Sequence[float], x_title: str, y_title: str, *, diagonal: bool) -> Figure:
    """One curve in the unit square."""
    traces = [_diagonal()] if diagonal else []
    traces.append(
        {"x": list(x), "y": list(y), "mode": "lines", "line": {"color": ACCENT, "width": 2.5}, "name": "model"}
    )
    return _figure(title, traces, x_title, y_title, {"showlegend": False, **_unit()})


def calibration(bins: Iterable[Mapping[str, float]]) -> Figure:
    """Mean score against the share of positives, a point a bin, as large as its rows."""
    known = list(bins)
    most = max((each["rows"] for each in known), default=1)
    sizes = [7 + 18 * (each["rows"] / most) ** 0.5 for each in known]
    points = {
        "x": [each["score"] for each in known],
        "y": [each["positive"] for each in known],
        "text": [f"{each['rows']:,.0f} rows" for each in known],
        "mode": "markers+lines",
        "marker": {"size": sizes, "color": ACCENT},
        "line": {"color": ACCENT, "width": 1},
        "name": "model",
    }
    extra = {"showlegend": False, **_unit()}
    return _figure("Calibration", [_diagonal(), points], "mean score", "share of positives", extra)


def bars(title: str, x: Sequence[Any], series: Mapping[str, Sequence[float]], x_title: str, y_title: str) -> Figure:
    """Bars side by side."""
    colours = (ACCENT, SECOND)
    traces = [
        {"type": "bar", "x": _labels(x), "y": list(y), "name": chart_label(name), "marker": {"color": colour}}
        for (name, y), colour in zip(series.items(), colours, strict=False)
    ]
    return _figure(title, traces, x_title, y_title, {"barmode": "group", "bargap": 0.15})


def scatter(title: str, x: Sequence[float], y: Sequence[float], x_title: str, y_title: str) -> Figure:
    """A cloud of points with the diagonal, such as predictions against labels."""
    low, high = min([*x, *y], default=0.0), max([*x, *y], default=1.0)
    line = {"x": [low, high], "y": [low, high], "mode": "lines", "line": {"color": SOFT, "dash": "dot"}}
    points = {"x": list(x), "y": list(y), "mode": "markers", "marker": {"color": ACCENT, "size": 4, "opacity": 0.5}}
    return _figure(title, [line, points], x_title, y_title, {"showlegend": False})


def slices(metric: str, rows: Sequence[Mapping[str, Any]]) -> Figure:
    """A metric by slice: candidate and baseline, the whole split on top."""
    names = _labels([row["slice"] for row in rows])[::-1]
    values = {side: [row[side] for row in rows][::-1] for side in ("candidate", "baseline")}
    marks: tuple[tuple[str, Figure], ...] = (
        ("baseline", {"size": 15, "color": SOFT, "symbol": "line-ns-open", "line": {"width": 2.5, "color": SOFT}}),
        ("candidate", {"size": 10, "color": ACCENT, "symbol": "circle"}),
    )
    traces: list[Figure] = [
        {"x": values[side], "y": names, "mode": "markers", "name": side, "marker": marker} for side, marker in marks
    ]
    traces[1]["error_x"] = _limits(values["candidate"], [row.get("limits") for row in rows][::-1])
    extra = {
        "height": 130 + 26 * len(names),
        "yaxis": {"automargin": True, "type": "category"},
        "legend": {"orientation": "h", "x": 0, "y": -70 / (40 + 26 * len(names)), "yanchor": "top"},
    }
    return _figure(f"{metric} by slice", traces, metric, "", extra)


def _limits(values: Sequence[float | None], limits: Sequence[Sequence[float] | None]) -> Figure:
    """Bars to both sides of values; none where there is no interval."""
    pairs = list(zip(values, limits, strict=True))
    above = [max(ends[1] - value, 0.0) if ends and value is not None else 0.0 for value, ends in pairs]
    below = [max(value - ends[0], 0.0) if ends and value is not None else 0.0 for value, ends in pairs]
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "color": ACCENT, "thickness": 1.5}


def pareto(points: Sequence[Mapping[str, Any]], metric: str, batch_size: int) -> Figure:
    """Variants: latency against quality, as large as they are on disk; the chosen one and the front stand out."""
    largest = max((point["size"] or 0 for point in points), default=0) or 1
    colours = [GOOD if point["chosen"] else ACCENT if point["front"] else SOFT for point in points]
    dots = {
        "x": [point["p50"] for point in points],
        "y": [point["quality"] for point in points],
        "text": [chart_label(point["name"]) if point["chosen"] or point["front"] else "" for point in points],
        "customdata": [point["words"] for point in points],
        "hovertemplate": "%{customdata}<extra></extra>",
        "mode": "markers+text",
        "cliponaxis": False,
        "textposition": [_beside(point["p50"], points) for point in points],
        "marker": {
            "size": [12 + 22 * ((p["size"] or 0) / largest) ** 0.5 for p in points],
            "color": colours,
            "opacity": 0.85,
        },
        "error_y": {"type": "data", "array": [point["error"] for point in points], "color": SOFT, "thickness": 1},
    }
    low, high = min(point["p50"] for point in points), max(point["p50"] for point in points)
    room = 0.12 * (high - low or high or 1.0)
    extra: Figure = {"showlegend": False, "height": 420, "xaxis": {"range": [low - room, high + room]}}
    if metric not in HIGHER_IS_BETTER:
        extra["yaxis"] = {"autorange": "reversed"}
    words = f"median latency at batch {batch_size}, ms (left is better)"
    return _figure("Variants", [dots], words, f"{metric} (up is better)", extra)


def _beside(x: float, points: Sequence[Mapping[str, Any]]) -> str:
    """Where a name has room: to the right of what lies left."""
    places = [point["p50"] for point in points]
    return "top right" if x <= (min(places) + max(places)) / 2 else "top left"


def _labels(values: Sequence[Any]) -> list[Any]:
    """Places on an axis: texts as plotly must have them, numbers as they are."""
    return [chart_label(value) if isinstance(value, str) else value for value in values]


def _figure(title: str, traces: list[Figure], x_title: str, y_title: str, extra: Mapping[str, Any]) -> Figure:
    layout: Figure = {
        "title": {"text": chart_label(title)},
        "xaxis": {"title": {"text": chart_label(x_title)}},
        "yaxis": {"title": {"text": chart_label(y_title)}},
    }
    for name, value in extra.items():
        known = layout.get(name)
        layout[name] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
    return {"data": traces, "layout": layout}


def _diagonal() -> Figure:
    return {"x": [0, 1], "y": [0, 1], "mode": "lines", "line": {"color": SOFT, "dash": "dot"}, "hoverinfo": "skip"}


def _unit() -> Figure:
    return {"xaxis": {"range": [-0.02, 1.02]}, "yaxis": {"range": [-0.02, 1.04]}}
