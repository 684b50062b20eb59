"""`taxiway run`."""

from __future__ import annotations

from typing import Annotated

import typer

from taxiway.pipeline.commands import options
from taxiway.pipeline.root import DEFAULT_ROOT
from taxiway.pipeline.runs.request import Orchestrator, RunRequest


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
        Orchestrator, typer.Option(help="local: one node after the other; beam: TFX's BeamDagRunner.")
    ] = "local",
    profile: Annotated[
        bool, typer.Option("--profile", help="Record a timeline of the run's processes: trace.json beside its log.")
    ] = False,
    started_by: Annotated[
        str, typer.Option("--started-by", help="Who or what starts it, for the run's record.", metavar="WORDS")
    ] = "",
    json: options.Json = False,
) -> int:
    """Takes the data to a live model: every component, every gate, then a summary.

    Nodes whose inputs have not changed reuse what an earlier run wrote. A gate that blocks ends the run with its
    numbers and exit code 3; the live model stays.
    """
    from taxiway.pipeline.runs.execute import run_pipeline

    return run_pipeline(
        RunRequest(
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
            profile=profile,
            started_by=started_by,
            whole_process=True,
        )
    )
