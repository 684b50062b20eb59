"""Pages about runs: the list, one run and its progress, several side by side, the report."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response

from taxiway.components.errors import UsageError
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.pipeline.console import progress, run_tables
from taxiway.pipeline.report import sections
from taxiway.pipeline.report.run_data import RunData
from taxiway.pipeline.report.sections.outcome import is_still_live
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import history, run_record
from taxiway.pipeline.tracking.run_record import RunRecord
from taxiway.pipeline.ui.comparison import compare_several
from taxiway.pipeline.ui.problems import read_or_explain
from taxiway.pipeline.ui.rendering import POLL_AGAIN, POLL_DONE, POLL_HEADER, Renderer

SHOWN, MOST = 50, 1000
"""Runs of a list without and with `?limit=`."""
COMPARED = (2, 5)
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)
"""A report is a page with its own scripts: it gets an origin of its own, reaches no network and none of our pages."""


class RunPages:
    """The pages of runs."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def list_runs(self, request: Request) -> Response:
        """The runs, newest first, as far as they meet the filters."""
        shown = self._renderer.find_root(request)
        limit = parse_limit(request.query_params.get("limit"))
        records = read_runs(shown.root, limit)
        filters = {name: request.query_params.get(name, "").strip() for name in ("state", "model", "text")}
        return self._renderer.render(
            request,
            "runs.html.j2",
            rows=[describe_row(record) for record in records if meets_filters(record, filters)],
            total=len(records),
            limit=limit,
            more=len(records) == limit,
            states=sorted({record.state for record in records}),
            models=sorted({record.model for record in records if record.model}),
            filters=filters,
            problem=request.query_params.get("problem") == "count",
            running=next((record.run_id for record in records if record.state == "running"), ""),
        )

    def show_run(self, request: Request) -> Response:
        """One run: how it ended or how far it is, its nodes and gates."""
        shown = self._renderer.find_root(request)
        run_data = RunData.open_run(shown.root, request.path_params["run"])
        run = run_data.run
        return self._renderer.render(
            request,
            "run.html.j2",
            run=run,
            outcome=sections.describe_outcome(run_data),
            section=sections.describe_nodes(run_data),
            progress=describe_progress(shown.root, run),
            metrics=[(node, run.find_overall(node)) for node in run.metrics],
            artifacts=history.list_artifacts(shown.root, run),
            has_report=find_report(shown.root, run.run_id) is not None,
        )

    def show_progress(self, request: Request) -> Response:
        """The part of a run's page that changes while it runs."""
        shown = self._renderer.find_root(request)
        run_data = RunData(shown.root, history.find_run(shown.root, request.path_params["run"]))
        answer = self._renderer.render(
            request,
            "run_progress.html.j2",
            section=sections.describe_nodes(run_data),
            progress=describe_progress(shown.root, run_data.run),
        )
        answer.headers[POLL_HEADER] = POLL_AGAIN if run_data.run.state == "running" else POLL_DONE
        return answer

    def show_report(self, request: Request) -> Response:
        """The report of a run in a frame."""
        shown = self._renderer.find_root(request)
        run = history.find_run(shown.root, request.path_params["run"])
        path = find_report(shown.root, run.run_id)
        outlived_by, problem = read_or_explain(
            lambda: find_later_live_version(shown.root, run, path.stat().st_mtime) if path else None, None
        )
        return self._renderer.render(
            request,
            "report.page.html.j2",
            run=run,
            has_report=path is not None,
            outlived_by=outlived_by,
            problem=problem,
            status=200 if path else 404,
        )

    def send_report(self, request: Request) -> Response:
        """The report itself, which gets an origin of its own."""
        shown = self._renderer.find_root(request)
        path = find_report(shown.root, history.find_run(shown.root, request.path_params["run"]).run_id)
        if path is None:
            raise HTTPException(404, "This run has no report yet.")
        headers = {"content-security-policy": REPORT_POLICY, "x-frame-options": "SAMEORIGIN"}
        return FileResponse(path, media_type="text/html; charset=utf-8", headers=headers)

    def compare(self, request: Request) -> Response:
        """Two to five runs side by side, the earliest first: the others are what became of it."""
        shown = self._renderer.find_root(request)
        names = list(dict.fromkeys(request.query_params.getlist("run")))
        if not COMPARED[0] <= len(names) <= COMPARED[1]:
            return RedirectResponse(f"/{quote(shown.name)}/runs?problem=count", 303)
        names.sort(key=lambda name: history.find_run(shown.root, name).started)
        tables = compare_several(shown.root, names)
        return self._renderer.render(request, "compare.html.j2", tables=tables, runs=tables.runs)


def read_runs(root: Root, limit: int) -> list[RunRecord]:
    """The newest runs; none where nothing has run under the root yet.

    Raises:
        StoreError: A record is damaged.
    """
    try:
        return history.list_runs(root, limit)
    except UsageError:
        return []


def parse_limit(given: str | None) -> int:
    """How many runs are read: what was asked for, within bounds."""
    return min(max(int(given), 1), MOST) if given and given.isascii() and given.isdigit() else SHOWN


def meets_filters(record: RunRecord, filters: Mapping[str, str]) -> bool:
    """Whether a run is of a state and model, and holds a text in its id, reason, command or variant."""
    words = " ".join((record.run_id, record.reason, " ".join(record.command), find_variant(record) or ""))
    return (
        filters["state"] in ("", record.state)
        and filters["model"] in ("", record.model)
        and filters["text"].lower() in words.lower()
    )


def describe_row(record: RunRecord) -> dict[str, Any]:
    """One line of the list."""
    return {
        "id": record.run_id,
        "short": run_tables.shorten_id(record.run_id),
        "state": record.state,
        "model": record.model,
        "started": record.started,
        "seconds": time.time() - record.started if record.state == "running" else record.seconds,
        "gates": run_tables.count_gates(record),
        "metric": run_tables.format_main_metric(record),
        "variant": find_variant(record),
        "version": record.push.version if record.push and record.push.pushed else None,
        "reason": record.reason.splitlines()[0] if record.reason else "",
    }


def find_variant(record: RunRecord) -> str | None:
    """Name of the variant that the optimizer chose."""
    return next((variant.variant for variant in record.variants if variant.chosen), None)


def describe_progress(root: Root, run: RunRecord) -> dict[str, Any]:
    """How far a running run is: nodes that have ended, and what the working ones said last; empty for another run."""
    if run.state != "running":
        return {}
    said: dict[str, tuple[str, float | None]] = {}

    def keep_line(component: str, message: str, fraction: float | None) -> None:
        said[component] = (message, fraction)

    progress.ProgressFollower(root.run_folder(run.run_id) / run_record.PROGRESS_FILE, keep_line).show_new_lines()
    working = [node.node for node in run.nodes if node.state == "running"]
    ended = sum(node.state not in ("waiting", "running") for node in run.nodes)
    return {
        "seconds": time.time() - run.started,
        "ended": ended,
        "nodes": len(run.nodes),
        "working": [_describe_working(node, *said.get(node, ("", None))) for node in working],
    }


def _describe_working(node: str, message: str, fraction: float | None) -> dict[str, Any]:
    whole = fraction is not None and 0 <= fraction <= 1
    return {"node": node, "message": message, "percent": round(100 * fraction) if whole and fraction else None}


def find_report(root: Root, run_id: str) -> Path | None:
    """The report of a run below the root's folder of reports; None where there is none."""
    path = root.reports / f"{run_id}.html"
    inside = path.resolve().parent == root.reports.resolve()
    return path if inside and path.is_file() else None


def find_later_live_version(root: Root, run: RunRecord, written: float) -> int | None:
    """The version that went live in place of the run's after its report was written; None where there is none.

    Args:
        root: The root.
        run: The run.
        written: When its report was written, seconds since 1970.
    """
    if run.state != "live" or is_still_live(RunData(root, run)):
        return None
    live = ServingDirectory(root.serving / run.model).find_live() if run.model else None
    return live.number if live and live.pushed_at > written else None


def list_newest(records: Sequence[RunRecord], count: int) -> list[dict[str, Any]]:
    """Lines of the newest runs."""
    return [describe_row(record) for record in records[:count]]
