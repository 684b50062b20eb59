"""The report's plot: quality against time, size as area, the Pareto front, and why variants were rejected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from taxiway.components.optimizer.report import OptimizerReport, Variant
from taxiway.components.text.printable import escape_chart_label

PLOT_FILE = "plot.html"
_COLOURS = {"chosen": "#1a7f37", "kept": "#0969da", "rejected": "#cf222e"}
_LARGEST_PIXELS = 60.0


def build_figure(report: OptimizerReport) -> Any:
    """A plotly figure of every measured variant, or None where fewer than two were measured."""
    import plotly.graph_objects as go

    shown = [v for v in report.variants if v.quality and v.find_deciding_latency(report.decision.batch_size) and v.size]
    if len(shown) < 2:
        return None
    plot = go.Figure()
    front = [v for name in report.decision.pareto for v in shown if v.name == name]
    plot.add_scatter(
        **_build_positions(front, report),
        mode="lines",
        line={"dash": "dot", "color": "#6e7781"},
        name="not beaten in quality, time and size",
    )
    largest = max(v.size_bytes for v in shown)
    for kind, colour in _COLOURS.items():
        group = [v for v in shown if _classify_variant(v, report) == kind]
        plot.add_scatter(**_build_markers(group, report, largest), name=kind, marker_color=colour)
    plot.update_layout(
        title=f"{escape_chart_label(report.label)}: {report.metric} against time a call of "
        f"{report.decision.batch_size} rows; area is size",
        xaxis_title="milliseconds, relative to the reference measured beside each variant",
        yaxis_title=report.metric,
        template="plotly_white",
    )
    return plot


def _build_positions(group: Sequence[Variant], report: OptimizerReport) -> dict[str, Any]:
    return {"x": [_compute_time(v, report) for v in group], "y": [_get_quality(v) for v in group]}


def _build_markers(group: Sequence[Variant], report: OptimizerReport, largest: int) -> dict[str, Any]:
    """Circles with names and error bars; the largest servable's has the largest area."""
    return {
        **_build_positions(group, report),
        "mode": "markers+text",
        "error_y": {"type": "data", "array": [_compute_error_bar(v) for v in group], "thickness": 1},
        "text": [escape_chart_label(v.name) for v in group],
        "textposition": "top center",
        "hovertext": [_format_hover(v, report) for v in group],
        "hoverinfo": "text",
        "marker_size": [_LARGEST_PIXELS * (v.size_bytes / largest) ** 0.5 for v in group],
        "marker_opacity": 0.6,
    }


def write_plot(report: OptimizerReport, folder: str | Path) -> None:
    """Writes `plot.html`, self-contained, where there is something to plot."""
    figure = build_figure(report)
    if figure is not None:
        figure.write_html(str(Path(folder, PLOT_FILE)), include_plotlyjs=True)


def _compute_time(variant: Variant, report: OptimizerReport) -> float:
    """The reference's time divided by the speed-up, which compares both within the same rounds."""
    latency = variant.find_deciding_latency(report.decision.batch_size)
    base = report.reference.find_latency(report.decision.batch_size, latency.path if latency else "whole")
    if latency is None or base is None or not latency.speedup.value:
        return float("nan")
    return base.p50_ms / latency.speedup.value


def _get_quality(variant: Variant) -> float | None:
    return variant.quality.value.value if variant.quality else None


def _compute_error_bar(variant: Variant) -> float:
    """Half the width of the interval of the paired difference, by which variants are judged."""
    drop = variant.quality.drop if variant.quality else None
    if drop is None or drop.high is None or drop.low is None:
        return 0.0
    return (drop.high - drop.low) / 2


def _classify_variant(variant: Variant, report: OptimizerReport) -> str:
    if variant.name == report.decision.chosen:
        return "chosen"
    return "rejected" if variant.rejected else "kept"


def _format_hover(variant: Variant, report: OptimizerReport) -> str:
    latency = variant.find_deciding_latency(report.decision.batch_size)
    lines = [f"<b>{escape_chart_label(variant.name)}</b>"]
    if latency and latency.speedup.value:
        lines.append(f"{latency.speedup.value:.2f} times as fast ({latency.path} path)")
    if variant.size:
        lines.append(f"{variant.size.bytes / 1e6:.3f} MB, {variant.size.ratio or 0:.2f} times smaller")
    return "<br>".join([*lines, *map(escape_chart_label, variant.rejected)])
