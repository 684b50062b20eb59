"""The plot of the distribution study: `python -m taxiway.pipeline.bench.train_plot RESULT.json PLOT.svg`.

`RESULT.json` is what `taxiway bench train --json` printed. A bar's length is rows a second; its colours, where a step's
time goes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

COLOURS = {"compute": "#2a6f97", "input": "#e9a23b", "reduce_and_wait": "#b5483a"}
NAMES = {"compute": "compute", "input": "input", "reduce_and_wait": "sum, dispatch and wait"}
LEFT, BAR, WIDTH, ROW, TOP = 220, 420, 740, 30, 40


def render_svg(rows: Sequence[Mapping[str, Any]]) -> str:
    """The plot of the study's rows, as `train_study.run_study` gives them."""
    fastest = max(row["rows_per_second"] for row in rows)
    height = TOP + ROW * len(rows) + 10
    parts = [_draw_bar(row, TOP + ROW * i, BAR / fastest) for i, row in enumerate(rows)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif"'
            ' font-size="13" role="img" aria-label="Rows a second of each way to distribute">',
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            *_draw_legend(),
            *parts,
            "</svg>\n",
        ]
    )


def _draw_legend() -> list[str]:
    parts, x = [], LEFT
    for share, colour in COLOURS.items():
        parts.append(f'<rect x="{x}" y="12" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{x + 17}" y="23">{NAMES[share]}</text>')
        x += 32 + 8 * len(NAMES[share])
    return parts


def _draw_bar(row: Mapping[str, Any], y: float, scale: float) -> str:
    length, x = row["rows_per_second"] * scale, float(LEFT)
    parts = [f'<text x="{LEFT - 8}" y="{y + 17}" text-anchor="end">{escape(row["setup"])}</text>']
    for share, colour in COLOURS.items():
        width = length * row["share"].get(share, 0.0)
        parts.append(f'<rect x="{x:.1f}" y="{y + 3}" width="{width:.1f}" height="20" fill="{colour}"/>')
        x += width
    text = f"{row['rows_per_second'] / 1000:,.0f}k rows/s"
    return "".join([*parts, f'<text x="{x + 6:.1f}" y="{y + 17}">{text}</text>'])


def main(result: str, plot: str) -> None:
    """Writes the plot of a result."""
    content = json.loads(Path(result).read_text(encoding="utf-8"))
    Path(plot).write_text(render_svg(content["distribution"]), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:3])
