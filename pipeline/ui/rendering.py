"""Renders templates with what every page needs: the roots, the form key, the address of the page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse

from taxiway.pipeline.console import printing
from taxiway.pipeline.report import build
from taxiway.pipeline.ui.access import FORM_KEY
from taxiway.pipeline.ui.roots import ShownRoot

ASSETS = Path(__file__).parent / "assets"
POLL_HEADER, POLL_AGAIN, POLL_DONE = "x-poll", "again", "done"
"""Of a part of a page that the page's script asks for: whether it still changes."""


class Renderer:
    """The templates, and the roots that they name."""

    def __init__(self, roots: Mapping[str, ShownRoot]) -> None:
        self.roots = roots
        self._environment = build.make_environment(ASSETS)
        self._environment.filters |= {
            "moment": printing.format_time,
            "duration": printing.format_seconds,
            "size": printing.format_bytes,
            "metric": printing.format_number,
            "part": lambda text: quote(str(text), safe=""),
        }

    def find_root(self, request: Request) -> ShownRoot:
        """The root of an address; 404 where it is none of ours."""
        shown = self.roots.get(request.path_params.get("root", ""))
        if shown is None:
            raise HTTPException(404, "There is no such root here.")
        return shown

    def render(self, request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A page.

        Args:
            request: The request that it answers.
            template: File in `assets/`.
            status: HTTP's number.
            values: What the template shows.
        """
        common = {
            "roots": self.roots,
            "here": self.roots.get(request.path_params.get("root", "")),
            "form_key": request.state.form_key,
            "form_key_field": FORM_KEY,
        }
        html = self._environment.get_template(template).render(**common, **values)
        return HTMLResponse(html, status)
