"""Renders the sections, the charts' script and the style sheets into one page."""

from __future__ import annotations

import base64
import contextlib
import gzip
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from taxiway.components.errors import StoreError, TaxiwayError
from taxiway.components.files.durable_files import replace_file
from taxiway.pipeline.lineage.views import page
from taxiway.pipeline.report import sections, statistics, words
from taxiway.pipeline.report.run_data import RunData
from taxiway.pipeline.report.sections import common
from taxiway.pipeline.root import Root

ASSETS = Path(__file__).parent / "assets"
PLOTLY = "package_data/plotly.min.js"


def prepare_scores(root: Root, run_id: str) -> None:
    """Computes and keeps the scores that a run's page will show, and imports what makes the page."""
    import networkx  # noqa: F401 - the lineage's, a second

    sections.prepare_scores(RunData.open_run(root, run_id))


def write_run_report(root: Root, run_id: str | None, out: Path | None = None, without_scores: str = "") -> Path:
    """Writes the report of a run, whole or not at all.

    Args:
        root: Root of the run.
        run_id: Id of the run, or the start of one; the newest run where None.
        out: File to write; `reports/<run id>.html` under the root where None.
        without_scores: Why the page does not wait for scores; empty where it does.

    Returns:
        The file.

    Raises:
        UsageError: There is no such run.
        StoreError: `metadata.db` or the run's record is damaged, or the file cannot be written.
    """
    run_data = RunData.open_run(root, run_id)
    run_data.without_scores = without_scores
    path = out or root.reports / f"{run_data.run.run_id}.html"
    return write_page(path, render_report(run_data))


def write_page(path: Path, html: str) -> Path:
    """Writes a page, whole or not at all, and returns its path.

    Raises:
        StoreError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, html)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.", "Give another file with -o.") from error
    return path


def render_report(run_data: RunData) -> str:
    """The page as HTML; it makes no network request."""
    previous = run_data.find_previous()
    makers: dict[str, Callable[[], sections.Section]] = {
        "nodes": lambda: sections.describe_nodes(run_data),
        "data": lambda: sections.describe_data(run_data, previous),
        "schema": lambda: sections.describe_schema(run_data, previous),
        "tuning": lambda: sections.describe_tuning(run_data),
        "training": lambda: sections.describe_training(run_data),
        "evaluation": lambda: sections.describe_evaluation(run_data),
        "explanation": lambda: sections.describe_explanation(run_data),
        "optimization": lambda: sections.describe_optimization(run_data),
        "serving": lambda: sections.describe_serving(run_data),
        "profile": lambda: sections.describe_profile(run_data),
        "lineage": lambda: sections.describe_lineage(run_data),
        "environment": lambda: sections.describe_environment(run_data),
    }
    return render_page(sections.describe_outcome(run_data), makers)


def render_page(outcome: dict[str, Any], makers: Mapping[str, Callable[[], sections.Section]]) -> str:
    """The page of an outcome and of the sections that are made for it.

    Args:
        outcome: Values of `describe_outcome`.
        makers: Functions that make the sections, by name.
    """
    built = {name: _build_section(maker) for name, maker in makers.items()}
    return (
        make_environment()
        .get_template("report.html.j2")
        .render(
            outcome=outcome,
            section=built,
            css=Markup(read_style_sheet()),
            theme=Markup(read_theme_script()),
            js=Markup(read_script()),
            plotly=Markup(pack_plotly()),
        )
    )


def _build_section(maker: Callable[[], sections.Section]) -> sections.Section:
    """A section's values; where its files cannot be read, the error instead."""
    try:
        return maker()
    except (TaxiwayError, OSError, AttributeError, *statistics.ODD) as error:
        return {"error": statistics.format_error_line(error)}


def pack_plotly() -> str:
    """The installed plotly's script, gzip and base64: 1.9 MB in place of 4.9; the browser unpacks it itself."""
    script = find_plotly()
    with contextlib.suppress(OSError):
        return base64.b64encode(gzip.compress(script.read_bytes(), 9, mtime=0)).decode("ascii") if script else ""
    return ""


def make_environment(*folders: Path) -> jinja2.Environment:
    """Templates of this package, after those of `folders`, with the filters that they share."""
    environment = page.make_environment((*folders, ASSETS), lstrip_blocks=True)
    environment.filters["words"] = words.name_key
    environment.filters["figure"] = page.dump_script_json
    environment.filters["number"] = lambda value: "–" if value is None else common.format_report_value(value)
    environment.filters["percent"] = lambda share: f"{100 * share:.1f} %" if share else "0 %"
    return environment


def read_style_sheet() -> str:
    """The style sheet of the report, and of the lineage graph that it holds."""
    return page.read_asset("graph.css") + (ASSETS / "report.css").read_text(encoding="utf-8")


def read_theme_script() -> str:
    """The script that sets the theme which was chosen before; it stands before the style sheet."""
    return (ASSETS / "theme.js").read_text(encoding="utf-8")


def read_script() -> str:
    """The script of the report, and of the lineage graph that it holds."""
    return (ASSETS / "report.js").read_text(encoding="utf-8") + page.read_asset("graph.js")


def find_plotly() -> Path | None:
    """The installed plotly's script."""
    spec = importlib.util.find_spec("plotly")  # found, not imported: the import costs a second
    folder = Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None
    return folder / PLOTLY if folder and (folder / PLOTLY).is_file() else None
