"""The report's plot: quality against time, size as area, the front drawn, what was rejected with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.optimizer.report import Latency, Report, Variant
from components.printable_text import chart_label

PLOT_FILE = "plot.html"
_COLOURS = {"chosen": "#1a7f37", "kept": "#0969da", "rejected": "#cf222e"}
_LARGEST_PIXELS = 60.0


def figure(report: Report) -> Any:
    """A plotly figure of every measured variant, or None where fewer than two were measured."""
    import plotly.graph_objects as go

    shown = [v for v in report.variants if v.quality and _latency(v, report) and v.size]
    if len(shown) < 2:
        return None
    largest = max(v.size.bytes for v in shown if v.size)
    plot = go.Figure()
    front = [v for name in report.decision.pareto for v in shown if v.name == name]
    plot.add_scatter(
        x=[_time(v, report) for v in front],
        y=[_quality(v) for v in front],
        mode="lines",
        line={"dash": "dot", "color": "#6e7781"},
        name="not beaten in quality, time and size",
    )
    for kind, colour in _COLOURS.items():
        group = [v for v in shown if _kind(v, report) == kind]
        plot.add_scatter(
            x=[_time(v, report) for v in group],
            y=[_quality(v) for v in group],
            error_y={"type": "data", "array": [_spread(v) for v in group], "thickness": 1},
            mode="markers+text",
            text=[chart_label(v.name) for v in group],
            hovertext=[_hover(v, report) for v in group],
            hoverinfo="text",
            textposition="top center",
            marker={
                "size": [_LARGEST_PIXELS * ((v.size.bytes if v.size else 0) / largest) ** 0.5 for v in group],
                "color": colour,
                "opacity": 0.6,
            },
            name=kind,
        )
    plot.update_layout(
        title=f"{chart_label(report.label)}: {report.metric} against time a call of {report.decision.batch_size} rows; "
        "area is size",
        xaxis_title="milliseconds, relative to the reference measured beside each variant",
        yaxis_title=report.metric,
        template="plotly_white",
    )
    return plot


def write(report: Report, folder: str | Path) -> None:
    """Writes `plot.html`, self-contained, where there is something to plot."""
    made = figure(report)
    if made is not None:
        made.write_html(str(Path(folder, PLOT_FILE)), include_plotlyjs=True)


def _latency(variant: Variant, report: Report) -> Latency | None:
    size = report.decision.batch_size
    return variant.latency(size) or variant.latency(size, "core")


def _time(variant: Variant, report: Report) -> float:
    """The reference's own time divided by the speed-up: what one round saw side by side."""
    latency = _latency(variant, report)
    base = report.reference.latency(report.decision.batch_size, latency.path if latency else "whole")
    if latency is None or base is None or not latency.speedup.value:
        return float("nan")
    return base.p50_ms / latency.speedup.value


def _quality(variant: Variant) -> float | None:
    return variant.quality.value.value if variant.quality else None


def _spread(variant: Variant) -> float:
    """Half the interval of the paired difference: the interval that decides."""
    drop = variant.quality.drop if variant.quality else None
    if drop is None or drop.high is None or drop.low is None:
        return 0.0
    return (drop.high - drop.low) / 2


def _kind(variant: Variant, report: Report) -> str:
    if variant.name == report.decision.chosen:
        return "chosen"
    return "rejected" if variant.rejected else "kept"


def _hover(variant: Variant, report: Report) -> str:
    latency = _latency(variant, report)
    lines = [f"<b>{chart_label(variant.name)}</b>"]
    if latency and latency.speedup.value:
        lines.append(f"{latency.speedup.value:.2f} times as fast ({latency.path} path)")
    if variant.size:
        lines.append(f"{variant.size.bytes / 1e6:.3f} MB, {variant.size.ratio or 0:.2f} times smaller")
    return "<br>".join([*lines, *map(chart_label, variant.rejected)])
