"""Pages about models: their versions, what people may do to them, quality over versions, traffic."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from taxiway.components.errors import TaxiwayError
from taxiway.components.serving.config import ServingConfig
from taxiway.components.serving.versions import server_files
from taxiway.components.serving.versions.action_log import FILE as LOG_FILE
from taxiway.components.serving.versions.action_log import ActionLog, get_user_name, read_action_log
from taxiway.components.serving.versions.directory_lock import OWN_FOLDER
from taxiway.components.serving.versions.state import DirectoryState
from taxiway.pipeline.root import Root
from taxiway.pipeline.serving import versions as serving_versions
from taxiway.pipeline.ui import traffic
from taxiway.pipeline.ui.problems import explain_error, list_or_explain, read_or_explain
from taxiway.pipeline.ui.rendering import Renderer
from taxiway.pipeline.ui.run_pages import read_runs
from taxiway.pipeline.ui.version_actions import (
    ACTIONS,
    check_action,
    check_form,
    do_action,
    parse_version,
    propose_action,
)
from taxiway.pipeline.ui.version_quality import draw_quality, list_metrics, list_rows, list_version_quality
from taxiway.pipeline.watching.state import WatchState, get_folder, read_state

RUNS_READ = 300
"""Newest runs whose metrics are shown over versions."""
LONGEST_WORDS = 500


class ModelPages:
    """The pages of models and versions."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def list_models(self, request: Request) -> Response:
        """The models of a root."""
        shown = self._renderer.find_root(request)
        return self._renderer.render(request, "models.html.j2", models=describe_models(shown.root))

    def show_model(self, request: Request) -> Response:
        """One model: versions, quality, actions, traffic."""
        shown = self._renderer.find_root(request)
        name = request.path_params["model"]
        directory = serving_versions.open_directory(shown.root.path, name)
        state, state_problem = read_or_explain(directory.load_state, DirectoryState())
        # Without labels, quarantine and candidate they are still what is there, and nothing can be done to them.
        versions = directory.list_versions(state)[::-1]
        records, runs_problem = list_or_explain(lambda: read_runs(shown.root, RUNS_READ))
        settings, settings_problem = read_or_explain(lambda: server_files.read_settings(directory), ServingConfig())
        qualities = list_version_quality(shown.root, name, versions, records)
        main = next((record.main_metric for record in records if record.model == name and record.main_metric), "")
        metrics = list_metrics(qualities, main)
        every = request.query_params.get("verdicts") == "all"
        verdicts, verdict_problem = traffic.read_verdicts(shown.root, name, every=every)
        log, log_problem = read_or_explain(lambda: read_action_log(directory.base), ActionLog())
        watch, watch_problem = read_watch(shown.root, name)
        chosen = request.query_params.get("metric", "")
        metric = chosen if chosen in metrics else next(iter(metrics), "")
        return self._renderer.render(
            request,
            "model.html.j2",
            model=name,
            versions=versions,
            can_act=not state_problem,
            notes=directory.list_notes(),
            rows=list_rows(qualities, metric),
            metrics=metrics,
            metric=metric,
            figure=draw_quality(qualities, metric),
            log=log,
            log_file=directory.base / OWN_FOLDER / LOG_FILE,
            log_problem=log_problem,
            done=request.query_params.get("done", "") in ACTIONS,
            traffic=traffic.read_request_log(directory.base),
            verdicts=verdicts.shown,
            verdict_count=verdicts.count,
            verdict_problem=verdict_problem,
            watch=watch,
            watch_problem=watch_problem,
            sampling_rate=settings.request_log.sampling_rate,
            problems=[problem for problem in (state_problem, runs_problem, settings_problem) if problem],
        )

    def show_verdict(self, request: Request) -> Response:
        """One verdict on a model's traffic: what was found, with the numbers."""
        shown = self._renderer.find_root(request)
        name = serving_versions.open_directory(shown.root.path, request.path_params["model"]).base.name
        verdict = traffic.find_verdict(shown.root, name, request.path_params["verdict"])
        if verdict is None:
            raise HTTPException(404, "There is no such verdict.")
        return self._renderer.render(request, "verdict.html.j2", model=name, verdict=verdict)

    def confirm(self, request: Request) -> Response:
        """What an action would do, and a form that asks for the reason. Changes nothing."""
        query = request.query_params
        return self._render_confirmation(
            request, query.get("action", ""), query.get("version", ""), {"label": query.get("label", "")}
        )

    def act(self, request: Request) -> Response:
        """Does what was confirmed, as the command of the same name does it."""
        shown = self._renderer.find_root(request)
        form = {name: value.strip()[:LONGEST_WORDS] for name, value in request.state.form.items()}
        action, version = form.get("action", ""), form.get("version", "")
        try:
            directory = serving_versions.open_directory(shown.root.path, request.path_params["model"])
            check_form(form)
            done, unfinished = do_action(shown.root, request.path_params["model"], form)
        except TaxiwayError as error:
            return self._render_confirmation(request, action, version, form, problem=str(error), status=409)
        if unfinished:
            return self._renderer.render(
                request, "unfinished.html.j2", model=directory.base.name, done=done, problems=unfinished
            )
        place = f"/{quote(shown.name)}/models/{quote(directory.base.name, safe='')}"
        return RedirectResponse(f"{place}?done={quote(action)}#actions", 303)

    def _render_confirmation(
        self,
        request: Request,
        action: str,
        version: str,
        form: dict[str, str],
        *,
        problem: str = "",
        status: int = 200,
    ) -> Response:
        shown = self._renderer.find_root(request)
        directory = serving_versions.open_directory(shown.root.path, request.path_params["model"])
        check_action(action)
        number = parse_version(version) if version or action in ("push", "promote") else None
        proposal = propose_action(directory, action, number, form.get("label", ""))
        live, seen_live, target = directory.find_live(), form.get("seen_live", ""), proposal.target
        # What was decided on the state of before is not offered again on another one.
        is_as_seen = seen_live in ("", str(live.number if live else "")) and (
            target is None or version in ("", str(target.number))
        )
        return self._renderer.render(
            request,
            "confirm.html.j2",
            status=status,
            model=directory.base.name,
            action=action,
            title=ACTIONS[action],
            target=target,
            plan=proposal.plan,
            live=live,
            possible=target is not None and is_as_seen,
            labels=directory.load_state().labels,
            form={"user": get_user_name(), **form},
            problems=list(dict.fromkeys(words for words in (problem, proposal.obstacle) if words)),
        )


def describe_models(root: Root) -> list[dict[str, Any]]:
    """The models of a root with the live version of each; what cannot be read is said in its place."""
    return [_describe_model(root, name) for name in serving_versions.list_models(root)]


def _describe_model(root: Root, name: str) -> dict[str, Any]:
    try:
        directory = serving_versions.open_directory(root.path, name)
        state = directory.load_state()
        versions = directory.list_versions(state)
        log, _ = read_or_explain(lambda: read_action_log(directory.base), ActionLog())
        return {
            "name": name,
            "live": versions[-1] if versions else None,
            "count": len(versions),
            "quarantined": sum(version.quarantine is not None for version in versions),
            "labels": state.labels,
            "last": log.actions[0] if log.actions else None,
            "verdict": traffic.read_live_verdict(root, name, versions[-1].number) if versions else None,
        }
    except (TaxiwayError, OSError) as error:
        return {"name": name, "problem": explain_error(error)}


def read_watch(root: Root, model: str) -> tuple[WatchState | None, str]:
    """What `taxiway watch` knows of a model, None where nothing watches it; and why it cannot be read."""
    folder = get_folder(root, model)
    try:
        return (read_state(folder), "") if folder.is_dir() else (None, "")
    except TaxiwayError as error:
        return None, str(error)
