"""`taxiway run`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from pipeline.commands import options
from pipeline.layout import DEFAULT_ROOT


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("run", rich_help_panel="The pipeline")(run)


def run(
    config: options.ConfigFile = None,
    root: options.Root = DEFAULT_ROOT,
    overrides: options.Overrides = None,
    from_node: Annotated[
        str | None, typer.Option("--from", help="Start at this node; what it reads comes from an earlier run.")
    ] = None,
    to_node: Annotated[str | None, typer.Option("--to", help="Stop after this node.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Run every node, whatever was done before.")] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Run and push even if nothing changed, a rollback took the model back, or too few rows judged it.",
        ),
    ] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Refuse when another run holds the root.")] = False,
    orchestrator: Annotated[
        Literal["local", "beam"], typer.Option(help="local: one node after the other; beam: TFX's BeamDagRunner.")
    ] = "local",
    json: options.Json = False,
) -> int:
    """Takes the data to a live model: every component, every gate, then a summary.

    Nodes whose inputs have not changed reuse what an earlier run wrote. A gate that blocks ends the run with its
    numbers and exit code 3; the live model stays.
    """
    from pipeline import run as execution

    return execution.execute(
        execution.Request(
            config=config,
            root=root,
            overrides=tuple(overrides or ()),
            from_node=from_node,
            to_node=to_node,
            cache=not no_cache,
            force=force,
            wait=not no_wait,
            orchestrator=orchestrator,
            json=json,
        )
    )
