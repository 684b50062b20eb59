"""The pages as an ASGI application."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from taxiway.components.errors import TaxiwayError, UsageError
from taxiway.components.serving.server.request_origins import OriginRules
from taxiway.pipeline.report import build
from taxiway.pipeline.ui.access import AccessGuard
from taxiway.pipeline.ui.lineage_pages import LineagePages
from taxiway.pipeline.ui.model_pages import ModelPages, describe_models
from taxiway.pipeline.ui.problems import explain_error, list_or_explain, read_or_explain
from taxiway.pipeline.ui.rendering import ASSETS, POLL_AGAIN, POLL_DONE, POLL_HEADER, Renderer
from taxiway.pipeline.ui.roots import ShownRoot
from taxiway.pipeline.ui.run_pages import RunPages, list_newest, read_runs

RUNS_ON_START = 8
ONE_DAY = {"cache-control": "private, max-age=86400"}
FAILURES = (OSError, ArithmeticError, ValueError, LookupError, TypeError, AttributeError)


def build_application(
    roots: Mapping[str, ShownRoot],
    *,
    host: str = "127.0.0.1",
    allowed_hosts: Iterable[str] = (),
    token: str = "",
    cookie: str = "taxiway_ui",
) -> AccessGuard:
    """The pages of some roots, behind the guard.

    Args:
        roots: Roots by name.
        host: The address that is listened on.
        allowed_hosts: More names under which clients reach it.
        token: What somebody has to know; empty: nothing.
        cookie: Name of the cookie of who has given the token.
    """
    pages = Pages(Renderer(roots))
    guard = AccessGuard(pages.build(), OriginRules(host, allowed_hosts), token, cookie)
    pages.guard = guard
    return guard


class Pages:
    """The start page, the form for the token, files, errors; and the routes to all pages."""

    guard: AccessGuard

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._assets = {
            "theme.js": build.read_theme_script(),
            "ui.css": build.read_style_sheet() + (ASSETS / "ui.css").read_text(encoding="utf-8"),
            "ui.js": build.read_script() + (ASSETS / "ui.js").read_text(encoding="utf-8"),
        }

    def build(self) -> Starlette:
        runs, models, lineage = RunPages(self._renderer), ModelPages(self._renderer), LineagePages(self._renderer)
        routes = [
            Route("/", self.show_start),
            Route("/login", self.ask_token, methods=["GET"]),
            Route("/login", self.take_token, methods=["POST"]),
            Route("/static/{name}", self.send_asset),
            Route("/{root}", self.show_root),
            Route("/{root}/waiting", self.show_waiting),
            Route("/{root}/runs", runs.list_runs),
            Route("/{root}/compare", runs.compare),
            Route("/{root}/runs/{run}", runs.show_run),
            Route("/{root}/runs/{run}/progress", runs.show_progress),
            Route("/{root}/runs/{run}/report", runs.show_report),
            Route("/{root}/runs/{run}/report.html", runs.send_report),
            Route("/{root}/models", models.list_models),
            Route("/{root}/models/{model}", models.show_model),
            Route("/{root}/models/{model}/verdicts/{verdict}", models.show_verdict),
            Route("/{root}/models/{model}/confirm", models.confirm),
            Route("/{root}/models/{model}/act", models.act, methods=["POST"]),
            Route("/{root}/lineage", lineage.show_lineage),
        ]
        handlers = dict.fromkeys((HTTPException, TaxiwayError, *FAILURES), self.show_error)
        return Starlette(routes=routes, exception_handlers=handlers)  # type: ignore[arg-type]

    def show_start(self, request: Request) -> Response:
        """All roots; where there is one, its page."""
        roots = self._renderer.roots
        if len(roots) == 1:
            return RedirectResponse(f"/{quote(next(iter(roots)))}", 303)
        described = [_describe_root(shown, 1) for shown in roots.values()]
        return self._renderer.render(request, "start.html.j2", described=described)

    def show_root(self, request: Request) -> Response:
        """One root: its live models and newest runs."""
        shown = self._renderer.find_root(request)
        return self._renderer.render(request, "root.html.j2", **_describe_root(shown, RUNS_ON_START))

    def show_waiting(self, request: Request) -> Response:
        """What the page of an empty root says, until something is there."""
        shown = self._renderer.find_root(request)
        # What cannot be read may be half made: it is said, and asked again.
        is_empty, problem = read_or_explain(lambda: shown.is_empty, True)
        answer = self._renderer.render(request, "waiting.html.j2", shown=shown, problem=problem)
        answer.headers[POLL_HEADER] = POLL_AGAIN if is_empty else POLL_DONE
        return answer

    def ask_token(self, request: Request) -> Response:
        return self._renderer.render(request, "login.html.j2", next=request.query_params.get("next", ""), wrong=False)

    def take_token(self, request: Request) -> Response:
        answer = self.guard.answer_login(request)
        wanted = request.state.form.get("next", "")
        return answer or self._renderer.render(request, "login.html.j2", status=401, next=wanted, wrong=True)

    def send_asset(self, request: Request) -> Response:
        """The style sheet and the scripts: these names and no others."""
        name = request.path_params["name"]
        if name in self._assets:
            kind = "css" if name.endswith(".css") else "javascript"
            return PlainTextResponse(self._assets[name], media_type=f"text/{kind}")
        plotly = build.find_plotly() if name == "plotly.js" else None
        if plotly is None:
            raise HTTPException(404, "There is no such file.")
        return FileResponse(plotly, media_type="text/javascript", headers=ONE_DAY)

    def show_error(self, request: Request, error: Exception) -> Response:
        """What is wrong, on a page."""
        if isinstance(error, HTTPException):
            status, words = error.status_code, error.detail
        elif isinstance(error, TaxiwayError):
            status, words = (404 if isinstance(error, UsageError) else 500), str(error)
        elif isinstance(error, OSError):
            status, words = 500, explain_error(error)
        else:  # a damaged file, or a bug: its page is lost, the server goes on
            status, words = 500, f"{type(error).__name__}: {error}"
        title = "This page cannot be made" if status == 500 else HTTPStatus(status).phrase
        return self._renderer.render(request, "error.html.j2", status=status, title=title, words=words)


def _describe_root(shown: ShownRoot, count: int) -> dict[str, Any]:
    """Models and newest runs of a root for the templates; what cannot be read is said in its place."""
    is_empty, _ = read_or_explain(lambda: shown.is_empty, False)
    models, models_problem = list_or_explain(lambda: describe_models(shown.root))
    rows, runs_problem = list_or_explain(lambda: list_newest(read_runs(shown.root, count), count))
    return {
        "shown": shown,
        "is_empty": is_empty,
        "models": models,
        "models_problem": models_problem,
        "rows": rows,
        "runs_problem": runs_problem,
    }
