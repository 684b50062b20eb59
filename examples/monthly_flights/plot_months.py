"""Draws what became of each month: the new model, and the one before it, on rows of the month that neither has seen.

python plot_months.py [ROOT] [PLOT.svg]
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import taxiway

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 720, 320, 60, 40, 40, 40
COLOURS = {"trained on the month": "#2a6f97", "the model before": "#b5483a"}


@dataclass(frozen=True)
class Month:
    """AUC on a month's test rows.

    Attributes:
        span: The month, such as 201302.
        new: Of the model that was trained on it.
        before: Of the one that was live; of January's the naive model, which is 0.5.
        live: Whether the new one went live.
    """

    span: str
    new: float
    before: float
    live: bool


def read_months(root: Path) -> list[Month]:
    """The newest run of each month that came as far as the Evaluator, in order."""
    months: dict[str, Month] = {}
    for run in taxiway.Run.list_all(root):  # newest first
        record = run.record
        span = next((word.partition("=")[2] for word in record.command if word.startswith("data.spans=")), "")
        slices = record.metrics.get("Evaluator", ())
        if span and span not in months and slices:
            overall = slices[0]
            months[span] = Month(span, overall.candidate["auc"], overall.baseline["auc"], record.state == "live")
    return [months[span] for span in sorted(months)]


def draw_months(months: Sequence[Month]) -> str:
    """The plot as SVG; a hollow mark is a model that a gate has held back."""
    values = [value for month in months for value in (month.new, month.before)]
    low, high = min(values) - 0.01, max(values) + 0.01
    step = (WIDTH - LEFT - RIGHT) / max(len(months) - 1, 1)
    xs = [LEFT + step * i for i in range(len(months))]

    def place(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    parts = [*draw_axes(months, xs, low, high, place(low), place(high))]
    for (name, colour), field in zip(COLOURS.items(), ("new", "before"), strict=True):
        points = [(x, place(getattr(month, field))) for x, month in zip(xs, months, strict=True)]
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{join_points(points)}"/>')
        for (x, y), month in zip(points, months, strict=True):
            fill = colour if field == "before" or month.live else "#ffffff"
            title = f"{month.span}: {name} {getattr(month, field):.4f}"
            mark = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{colour}">'
            parts.append(f"{mark}<title>{title}</title></circle>")
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
    label = "AUC of each month's model and of the one before it, on the month's test rows"
    head += f' font-size="12" role="img" aria-label="{label}">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>', *parts, "</svg>\n"])


def draw_axes(
    months: Sequence[Month], xs: Sequence[float], low: float, high: float, bottom: float, top: float
) -> Iterable[str]:
    """Months below, AUC at the left, and what the colours mean."""
    for x, month in zip(xs, months, strict=True):
        yield f'<text x="{x:.1f}" y="{HEIGHT - 18}" text-anchor="middle">{month.span[:4]}-{month.span[4:]}</text>'
    for tick in range(int(low * 50) + 1, int(high * 50) + 1):  # every 0.02
        y = bottom + (top - bottom) * (tick / 50 - low) / (high - low)
        yield f'<line x1="{LEFT - 6}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>'
        yield f'<text x="{LEFT - 10}" y="{y + 4:.1f}" text-anchor="end">{tick / 50:.2f}</text>'
    yield f'<text x="8" y="{TOP - 20}">AUC on the month\'s test rows</text>'
    x = 260.0
    for name, colour in COLOURS.items():
        yield f'<circle cx="{x}" cy="{TOP - 24}" r="4" fill="{colour}"/><text x="{x + 9}" y="{TOP - 20}">{name}</text>'
        x += 170


def join_points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def main(root: str = "taxiway-root", plot: str = "months.svg") -> None:
    """Writes the plot of a root's runs, and says what it shows."""
    months = read_months(Path(root))
    if not months:
        raise SystemExit(f"{root} has no run of a month: taxiway watch monthly_flights.yaml --once --from-span 201301")
    Path(plot).write_text(draw_months(months), encoding="utf-8")
    for month in months:
        print(
            f"{month.span}: {month.new:.4f}, the model before {month.before:.4f}{'' if month.live else ', held back'}"
        )
    print(plot)


if __name__ == "__main__":
    main(*sys.argv[1:])
