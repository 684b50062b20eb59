"""`taxiway tune`."""

from __future__ import annotations

from typing import Annotated

import typer

from taxiway.pipeline.commands import options
from taxiway.pipeline.root import DEFAULT_ROOT


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("tune", rich_help_panel="The pipeline")(tune)


def tune(
    config: options.ConfigFile = None,
    root: options.Root = DEFAULT_ROOT,
    trials: Annotated[
        int | None,
        typer.Option(
            "--trials", min=1, help="In all, those of earlier calls included.", show_default="30, or tuning.trials"
        ),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0, help="Seconds; no trial begins after them.", show_default="none")
    ] = None,
    parallel: Annotated[
        int | None, typer.Option("--parallel", min=0, help="Trials at once; 0: by GPUs, else by cores.")
    ] = None,
    overrides: options.Overrides = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Refuse when another run holds the root.")] = False,
    json: options.Json = False,
) -> int:
    """Searches settings of the model and its training: the pipeline up to the node Tuner, then the best settings.

    The eval split judges the trials. A search that was interrupted goes on. `taxiway run --set tuning.enabled=true`
    then trains with the best settings.
    """
    from taxiway.pipeline.runs.tuning import run_search

    asked = {"trials": trials, "timeout_seconds": timeout, "parallel": parallel}
    given = [f"tuning.{name}={value}" for name, value in asked.items() if value is not None]
    return run_search(config, root, [*(overrides or ()), "tuning.enabled=true", *given], wait=not no_wait, json=json)
