"""The page of a verdict: one HTML file that makes no network request."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from taxiway.components.contract import TRAINING_STATISTICS_FILE
from taxiway.pipeline.console import printing
from taxiway.pipeline.lineage.views import page
from taxiway.pipeline.monitoring.verdicts import PAGE_FILE, STATISTICS_FILE, ServingVerdict, list_verdicts
from taxiway.pipeline.report import build, charts, statistics
from taxiway.pipeline.root import Root

ASSETS = Path(__file__).parent / "assets"
MOST_COLUMNS, MOST_VALUES, MOST_WINDOWS = 12, 12, 60
ELSEWHERE = 0.02
"""The bars show the middle 99 % of training."""
WORDS = {"right": "As in training", "wrong": "Not as in training", "too_few_rows": "Too few rows to judge"}
STATES = {"right": "done", "wrong": "blocked", "too_few_rows": "stopped"}
KINDS = {
    "missing_column": "missing column",
    "missing_share": "missing values",
    "new_values": "new values",
    "skew": "skew",
    "drift": "drift",
    "out_of_range": "outside the range",
    "scores": "scores",
    "label_shift": "label shift",
    "calibration": "calibration",
    "metric": "metric",
}


def write_verdict_page(folder: Path, verdict: ServingVerdict, root: Root) -> Path:
    """Writes `page.html` into a verdict's folder and returns its path.

    Raises:
        StoreError: It cannot be written.
    """
    return build.write_page(folder / PAGE_FILE, render_verdict_page(folder, verdict, root))


def render_verdict_page(folder: Path, verdict: ServingVerdict, root: Root) -> str:
    """The page as HTML."""
    environment = page.make_environment(ASSETS, lstrip_blocks=True)
    environment.filters["figure"] = page.dump_script_json
    environment.filters["time"] = printing.format_time
    environment.filters["share"] = lambda value: f"{value:.4g}"
    environment.filters["ends"] = lambda ends: f"{ends[0]:.4g} to {ends[1]:.4g}" if ends else "–"
    figures = [*_draw_differences(verdict), *_draw_columns(folder, verdict, root), *_draw_windows(verdict, root)]
    return environment.get_template("verdict.html.j2").render(
        verdict=verdict,
        words=WORDS[verdict.status],
        state=STATES[verdict.status],
        kinds=KINDS,
        log_notes=verdict.list_log_notes(),
        figures=figures,
        rows=_list_rows(verdict),
        css=Markup((build.ASSETS / "report.css").read_text(encoding="utf-8")),
        js=Markup((build.ASSETS / "report.js").read_text(encoding="utf-8")),
        plotly=Markup(build.pack_plotly()),
    )


def _list_rows(verdict: ServingVerdict) -> list[dict[str, Any]]:
    """All that was measured, the largest in units of its limit first."""
    found = [
        {"column": name, **each, "excess": each["value"] / max(each["limit"], 1e-12)}
        for name, columns in verdict.numbers.get("columns", {}).items()
        for each in columns
    ]
    return sorted(found, key=lambda row: -row["excess"])


def _draw_differences(verdict: ServingVerdict) -> Iterator[charts.Figure]:
    worst: dict[str, float] = {}
    for row in _list_rows(verdict):
        worst.setdefault(row["column"], row["excess"])
    entries = [{"name": name, "mean": excess, "limits": None} for name, excess in worst.items()]
    if entries:
        yield charts.draw_importance("Largest difference of each", entries[:MOST_COLUMNS], "in units of its limit")


def _draw_columns(folder: Path, verdict: ServingVerdict, root: Root) -> Iterator[charts.Figure]:
    """Training and window, of the columns that differ most."""
    version = root.serving / verdict.model / str(verdict.model_version)
    pair = []
    for file in (version / TRAINING_STATISTICS_FILE, folder / STATISTICS_FILE):
        with contextlib.suppress(OSError, *statistics.ODD):
            pair.append(statistics.parse_split(file.read_bytes()).columns)
    if len(pair) < 2:
        return
    names = dict.fromkeys(row["column"] for row in _list_rows(verdict))
    both = [name for name in names if all(name in columns for columns in pair)]
    for name in both[:MOST_COLUMNS]:
        yield from _draw_column(*(columns[name] for columns in pair))


def _draw_column(trained: statistics.ColumnStatistics, seen: statistics.ColumnStatistics) -> Iterator[charts.Figure]:
    edges = statistics.compute_edges(trained)
    if edges and seen.cdf:
        middles = [(low + high) / 2 for low, high in itertools.pairwise(edges)]
        shares = {
            "training": statistics.compute_shares(trained, edges),
            "window": statistics.compute_shares(seen, edges),
        }
        beyond = 1 - sum(shares["window"])
        title = f"{trained.name} ({beyond:.1%} of the window lie elsewhere)" if beyond > ELSEWHERE else trained.name
        yield _draw_shares(title, middles, shares, trained.name)
    elif trained.values or seen.values:
        known, now = dict(trained.values), dict(seen.values)
        names = sorted({*known, *now}, key=lambda name: -max(known.get(name, 0), now.get(name, 0)))[:MOST_VALUES]
        series = {"training": [known.get(name, 0) for name in names], "window": [now.get(name, 0) for name in names]}
        yield _draw_shares(trained.name, _shorten_values(names), series, "")


def _draw_shares(title: str, x: Sequence[Any], series: Mapping[str, Sequence[float]], x_title: str) -> charts.Figure:
    """Bars with the legend above them: long names of values hang below."""
    figure = charts.draw_bars(title, x, series, x_title, "share")
    figure["layout"]["legend"] = {"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom"}
    return figure


def _shorten_values(names: Sequence[str]) -> list[str]:
    """Labels that leave the bars room; the names themselves where two would become one bar."""
    short = [name if len(name) <= 15 else f"{name[:9]}…{name[-5:]}" for name in names]
    return short if len(set(short)) == len(names) else list(names)


def _draw_windows(verdict: ServingVerdict, root: Root) -> Iterator[charts.Figure]:
    """The largest difference of each window of the version, up to this one."""
    verdicts = [
        each
        for each in list_verdicts(root, verdict.model, verdict.model_version, skip_damaged=True)
        if each.window_end <= verdict.window_end and each.status != "too_few_rows" and each.is_about(verdict.digest)
    ][:MOST_WINDOWS][::-1]
    if len(verdicts) > 1:
        ends = [printing.format_time(each.window_end) for each in verdicts]
        largest = [_find_largest(_list_rows(each)) for each in verdicts]
        yield charts.draw_bars(
            "Windows of this version", ends, {"largest difference": largest}, "end", "in units of its limit"
        )


def _find_largest(rows: Iterable[dict[str, Any]]) -> float:
    return max((row["excess"] for row in rows), default=0.0)
