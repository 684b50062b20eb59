"""`taxiway ui`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taxiway.pipeline.commands.history import PANEL
from taxiway.pipeline.root import DEFAULT_ROOT


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("ui", rich_help_panel=PANEL)(ui)


def ui(
    root: Annotated[
        list[Path] | None,
        typer.Option(
            "--root", help="A root to show; it need not exist yet. Repeatable.", show_default=f"./{DEFAULT_ROOT}"
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on. Any but this machine's own needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: a free one.")] = 8600,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            help="Ask everybody for the token in this file.",
            show_default="none on 127.0.0.1, else a new token that is printed",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option("--allow-host", help="A name under which browsers reach it; repeat it.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Shows runs, models, versions, lineage, reports and traffic on one page, and acts on versions after asking why.

    Runs until it is interrupted. It listens on 127.0.0.1, makes no network request, and changes nothing but what a
    confirmed form asks for.
    """
    from taxiway.pipeline.console import printing
    from taxiway.pipeline.ui.server import serve_pages

    def announce(address: str, token: str, notes: list[str]) -> None:
        lines = [address, *([f"Token: {token}"] if token else []), *notes, "Ctrl-C ends it."]
        printing.make_console().print("\n".join(lines), soft_wrap=True, markup=False)
        if open_:
            typer.launch(address)

    serve_pages(
        root or [DEFAULT_ROOT],
        host=host,
        port=port,
        token_file=token_file,
        allowed_hosts=allow_host or (),
        announce=announce,
    )
