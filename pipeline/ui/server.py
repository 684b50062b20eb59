"""Serves the pages until it is interrupted."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

import uvicorn

from taxiway.components.errors import UsageError
from taxiway.components.serving.server import listening
from taxiway.components.serving.server.request_origins import is_loopback
from taxiway.pipeline.ui.application import build_application
from taxiway.pipeline.ui.problems import read_or_explain
from taxiway.pipeline.ui.roots import ShownRoot, name_roots

SHORTEST_TOKEN = 16
STOP_SECONDS = 5


def serve_pages(
    roots: Iterable[str | Path],
    *,
    host: str = "127.0.0.1",
    port: int = 8600,
    token_file: Path | None = None,
    allowed_hosts: Iterable[str] = (),
    announce: Callable[[str, str, list[str]], None] = lambda *_: None,
) -> None:
    """Serves the pages of some roots until a signal.

    Args:
        roots: The roots.
        host: Address to listen on; any but loopback needs a token.
        port: Port; 0: a free one.
        token_file: File with the token; where None and the address needs one, a new one is made.
        allowed_hosts: More names under which clients reach the server.
        announce: Called once it listens, with the address of the start page, a token that was made (else empty), and
            what is to be said about the roots.

    Raises:
        UsageError: A root that cannot be shown, or a token that is too short.
        ServingError: The address cannot be listened on.
    """
    shown = name_roots(roots)
    given = read_token(token_file) if token_file else ""
    made = secrets.token_urlsafe(24) if not given and not is_loopback(host) else ""
    sock = listening.open_socket(host, port, "--port")
    number = sock.getsockname()[1]
    application = build_application(
        shown, host=host, allowed_hosts=allowed_hosts, token=given or made, cookie=f"taxiway_ui_{number}"
    )
    announce(f"http://{listening.bracket_host(host)}:{number}/", made, list_notes(shown.values()))
    config = uvicorn.Config(
        application,
        ws="none",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    with contextlib.suppress(KeyboardInterrupt):  # the way to end it
        uvicorn.Server(config).run(sockets=[sock])


def list_notes(roots: Iterable[ShownRoot]) -> list[str]:
    """A sentence for each root under which nothing is yet: it may be a name with a slip in it."""
    return [
        f"Nothing is under {shown.root.path} yet. Fill it with: {shown.fill_command}"
        for shown in roots
        if _is_surely_empty(shown)
    ]


def _is_surely_empty(shown: ShownRoot) -> bool:
    """Whether nothing is under a root; what cannot be read is no reason not to serve: the pages say it."""
    return read_or_explain(lambda: shown.is_empty, False)[0]


def read_token(file: Path) -> str:
    """The token in a file.

    Raises:
        UsageError: It cannot be read, or is too short.
    """
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"The token in {file} cannot be read: {error}.", "Name a text file that you may read."
        ) from error
    if len(token) < SHORTEST_TOKEN:
        raise UsageError(
            f"The token in {file} has {len(token)} characters; {SHORTEST_TOKEN} are needed.",
            f"Make one: python -c 'import secrets; print(secrets.token_urlsafe())' > {file}",
        )
    return token
