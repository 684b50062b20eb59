"""Who may ask the pages, and for what: host, origin, token, form key; and the headers of every answer.

A page in a browser can be made to send requests to 127.0.0.1 by any other page. `OriginRules` refuses those; an action
needs a form key besides, which only our own pages hold. Elsewhere than on loopback a token is needed for everything.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import secrets
from urllib.parse import parse_qsl, quote

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from taxiway.components.serving.server.request_origins import OriginRules

BODY_BYTES = 64_000
"""Of a form, at most."""
FIELDS = 50
METHODS = ("GET", "HEAD", "POST")
LOGIN = "/login"
OPEN_PATHS = (LOGIN, "/static/theme.js", "/static/ui.css", "/static/ui.js")
"""Answered without a token."""
FORM_KEY = "form_key"
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Of an answer that names none of its own."""


class AccessGuard:
    """ASGI middleware around the pages."""

    def __init__(self, app: ASGIApp, rules: OriginRules, token: str = "", cookie: str = "taxiway_ui") -> None:
        """Args:
        app: The pages.
        rules: Rules for hosts and pages of other sites.
        token: What somebody has to know; empty: nothing.
        cookie: Name of the cookie of who has given the token.
        """
        self._app, self._rules, self._token, self._cookie = app, rules, token, cookie
        self._session = secrets.token_urlsafe(32)
        self.form_key = secrets.token_urlsafe(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        scope.setdefault("state", {})["form_key"] = self.form_key
        request = Request(scope, receive)
        answer = self._find_refusal(request) or await self._check_form(request)
        await (answer or self._app)(scope, receive, _add_headers(send))

    def _find_refusal(self, request: Request) -> Response | None:
        """What stands against a request before its body is read."""
        if request.method not in METHODS:
            return make_refusal(405, f"The method {request.method[:20]} is not taken.")
        refusal = self._rules.find_refusal(request.method, request.headers)
        if refusal:
            return make_refusal(*refusal)
        if not self._token or request.scope["path"] in OPEN_PATHS or self._is_known(request):
            return None
        if request.method == "POST":
            return make_refusal(401, "Give the token first.")
        return RedirectResponse(f"{LOGIN}?next={quote(_get_address(request.scope), safe='')}", 303)

    def _is_known(self, request: Request) -> bool:
        """Whether the client has given the token: in a header, or a cookie from the page that asks for it."""
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and is_equal(given.strip(), self._token):
            return True
        # The standard library's parser drops all cookies where one, of another program on this host, is odd.
        return is_equal(request.cookies.get(self._cookie, ""), self._session)

    async def _check_form(self, request: Request) -> Response | None:
        """Reads a form into `request.state.form`; refuses one without our key."""
        if request.method != "POST":
            return None
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            return make_refusal(415, "Actions are forms: application/x-www-form-urlencoded.")
        try:
            form = await _read_form(request)
        except ClientDisconnect:
            return make_refusal(400, "The request ended early.")
        if form is None:
            return make_refusal(413, f"A form has at most {BODY_BYTES:,} bytes and {FIELDS} fields.")
        if not is_equal(form.get(FORM_KEY, ""), self.form_key):
            return make_refusal(
                403,
                "This form has no valid key: it is not of this server, or of an earlier start. Load the page again.",
            )
        request.state.form = form
        return None

    def answer_login(self, request: Request) -> Response | None:
        """The answer to a given token: back to the page that was asked for; None where it is wrong."""
        if not is_equal(request.state.form.get("token", "").strip(), self._token):
            return None
        answer = RedirectResponse(choose_return(request.state.form.get("next", "")), 303)
        answer.set_cookie(self._cookie, self._session, httponly=True, samesite="strict", path="/")
        return answer


def is_equal(given: str, expected: str) -> bool:
    """Compares secrets in constant time; an empty secret equals nothing."""
    sides = (hashlib.sha256(side.encode("utf-8", "surrogateescape")).digest() for side in (given, expected))
    return bool(expected) and hmac.compare_digest(*sides)


def choose_return(path: str) -> str:
    """A path of this server to go to after the token; the start page where it names another server."""
    own = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if own else "/"


def make_refusal(status: int, message: str) -> Response:
    """A page of one sentence, in the style of the others."""
    text = html.escape(message)
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Refused</title>'
        '<script src="/static/theme.js"></script><link rel="stylesheet" href="/static/ui.css"></head>'
        f'<body><main><section class="card"><h1>Refused</h1><p>{text}</p><p><a href="/">To the start page</a></p>'
        "</section></main></body></html>",
        status,
    )


async def _read_form(request: Request) -> dict[str, str] | None:
    """The fields of a body; None where it is too long. Of a field given twice, the last."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_BYTES:
            return None
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=FIELDS))
    except ValueError:
        return None


def _get_address(scope: Scope) -> str:
    """Path and query as they were asked for; never the URL, which is made from the header Host too."""
    path, query = scope.get("raw_path") or quote(scope["path"]).encode(), scope.get("query_string", b"")
    return bytes(path + (b"?" + query if query else b"")).decode("latin-1")


def _add_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers
