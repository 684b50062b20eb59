"""The page: sections into the template, plotly into the page."""

from __future__ import annotations

import base64
import contextlib
import gzip
import importlib.util
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from components.errors import StoreError, TaxiwayError
from pipeline.layout import Root
from pipeline.lineage import page
from pipeline.report import sections, statistics
from pipeline.report.sources import RunSources

ASSETS = Path(__file__).parent / "assets"
PLOTLY = "package_data/plotly.min.js"


def write(root: Root, run_id: str | None, out: Path | None = None) -> Path:
    """Writes the report of a run, whole or not at all.

    Args:
        root: Where it ran.
        run_id: Its id, or the start of it; the newest where None.
        out: The file; `reports/<run id>.html` under the root where None.

    Returns:
        The file.

    Raises:
        UsageError: There is no such run.
        StoreError: `metadata.db` or the run's record is damaged, or the file cannot be written.
    """
    sources = RunSources.of(root, run_id)
    path = out or root.reports / f"{sources.run.run_id}.html"
    html = render(sources)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        temporary.write_text(html, encoding="utf-8")
        os.replace(temporary, path)  # noqa: PTH105 - a reader sees the old page or the new one
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.", "Give another file with -o.") from error
    return path


def render(sources: RunSources) -> str:
    """The whole page as text: no request goes to the network."""
    previous = sources.previous()
    makers: dict[str, Callable[[], sections.Section]] = {
        "way": lambda: sections.way(sources),
        "data": lambda: sections.data(sources, previous),
        "schema": lambda: sections.schema(sources, previous),
        "training": lambda: sections.training(sources),
        "evaluation": lambda: sections.evaluation(sources),
        "optimization": lambda: sections.optimization(sources),
        "serving": lambda: sections.serving(sources),
        "lineage": lambda: sections.lineage(sources),
        "environment": lambda: sections.environment(sources),
    }
    made = {name: _section(maker) for name, maker in makers.items()}
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            head=sections.head(sources),
            section=made,
            css=Markup(page.asset("graph.css") + (ASSETS / "report.css").read_text(encoding="utf-8")),
            js=Markup((ASSETS / "report.js").read_text(encoding="utf-8") + page.asset("graph.js")),
            plotly=Markup(packed_plotly()),
        )
    )


def _section(maker: Callable[[], sections.Section]) -> sections.Section:
    """A section whose source cannot be read says so; the others stand."""
    try:
        return maker()
    except (TaxiwayError, OSError, AttributeError, *statistics.ODD) as error:
        return {"error": statistics.describe(error)}


def packed_plotly() -> str:
    """The installed plotly's script, gzip and base64: 1.9 MB in place of 4.9; the browser unpacks it itself."""
    spec = importlib.util.find_spec("plotly")  # found, not imported: the import costs a second
    folder = Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None
    if folder is None:
        return ""
    with contextlib.suppress(OSError):
        return base64.b64encode(gzip.compress((folder / PLOTLY).read_bytes(), 9, mtime=0)).decode("ascii")
    return ""


def _environment() -> jinja2.Environment:
    made = page.environment(ASSETS, lstrip_blocks=True)
    made.filters["figure"] = page.script_json
    made.filters["number"] = _number
    made.filters["percent"] = lambda share: f"{100 * share:.1f} %" if share else "0 %"
    return made


def _number(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
