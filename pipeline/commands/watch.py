"""`taxiway watch`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from taxiway.pipeline.commands import options
from taxiway.pipeline.commands.kubeflow import silence_imports
from taxiway.pipeline.root import DEFAULT_ROOT


class Scheduler(StrEnum):
    """What can start the command instead of a process that waits."""

    systemd = "systemd"
    cronjob = "cronjob"
    kfp = "kfp"


_REASONS = "What starts a run"
_RUNS = "The runs"
_WHEN = "When it looks"
_INSTEAD = "Instead of watching"
GRACE_SECONDS = 600.0
"""Of `--once`: a timer fires its command some seconds late, and a machine that starts some minutes."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("watch", rich_help_panel="The pipeline")(watch)


def watch(
    config: options.ConfigFile = None,
    root: options.Root = DEFAULT_ROOT,
    overrides: options.Overrides = None,
    every: Annotated[
        str | None,
        typer.Option(
            "--every",
            help="Run by a schedule: '0 6 * * 1', Mondays at 6; @daily.",
            metavar="CRON",
            rich_help_panel=_REASONS,
        ),
    ] = None,
    zone: Annotated[
        str, typer.Option("--time-zone", help="Of --every, such as Europe/Berlin.", rich_help_panel=_REASONS)
    ] = "UTC",
    no_spans: Annotated[
        bool, typer.Option("--no-spans", help="New spans start no run.", rich_help_panel=_REASONS)
    ] = False,
    no_verdicts: Annotated[
        bool,
        typer.Option("--no-verdicts", help="Bad verdicts of `taxiway monitor` start no run.", rich_help_panel=_REASONS),
    ] = False,
    first_span: Annotated[
        int | None,
        typer.Option(
            "--from-span",
            help="At the first look: one run for each span from here on.",
            show_default="the newest",
            rich_help_panel=_REASONS,
        ),
    ] = None,
    settle_seconds: Annotated[
        float,
        typer.Option(
            "--settle",
            help="A span is new once its files are unchanged for so many seconds.",
            min=0,
            rich_help_panel=_REASONS,
        ),
    ] = 60.0,
    cold: Annotated[
        bool, typer.Option("--cold", help="Begin each training with fresh weights.", rich_help_panel=_RUNS)
    ] = False,
    retries: Annotated[
        int, typer.Option("--retries", help="Further runs where one failed.", min=0, rich_help_panel=_RUNS)
    ] = 3,
    retry_seconds: Annotated[
        float,
        typer.Option(
            "--retry-after",
            help="Seconds before the first of them; doubles each time.",
            min=0,
            rich_help_panel=_RUNS,
        ),
    ] = 300.0,
    look_seconds: Annotated[
        float, typer.Option("--look", help="Seconds between two looks.", min=1, rich_help_panel=_WHEN)
    ] = 60.0,
    once: Annotated[
        bool, typer.Option("--once", help="Look once, run what is due, and end.", rich_help_panel=_WHEN)
    ] = False,
    status: Annotated[
        bool, typer.Option("--status", help="What is due, and what ended.", rich_help_panel=_INSTEAD)
    ] = False,
    write: Annotated[
        Scheduler | None,
        typer.Option("--write", help="Write what starts it there, at the times given.", rich_help_panel=_INSTEAD),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for --write.", file_okay=False, rich_help_panel=_INSTEAD)
    ] = Path(),
    namespace: Annotated[
        str, typer.Option("--namespace", help="Of the CronJob that --write makes.", rich_help_panel=_INSTEAD)
    ] = "",
    json: options.Json = False,
) -> int:
    """Runs the pipeline again by itself: on a new span, by a schedule, or when the monitor says that the live model is
    wrong.

    Each reason has its run once, one after the other, with the weights of the live model to begin with; a watch that
    was ended in whatever way goes on where it was. A run that failed is tried again, one that a gate blocked is not.
    With --once, the exit code is that of the first run that did not end well, and 0 where nothing was due.
    """
    from taxiway.pipeline.cron import parse_schedule
    from taxiway.pipeline.watching import commands
    from taxiway.pipeline.watching.triggers import WatchedEvents
    from taxiway.pipeline.watching.watch import WatchRequest

    events = WatchedEvents(
        schedule=parse_schedule(every, zone) if every else None,
        spans=not no_spans,
        verdicts=not no_verdicts,
        grace_seconds=GRACE_SECONDS if once or write else 0.0,  # what is written has --once
        first_span=first_span,
        settle_seconds=settle_seconds,
    )
    request = WatchRequest(
        config=config,
        root=root,
        overrides=tuple(overrides or ()),
        events=events,
        warm_start=not cold,
        retries=retries,
        retry_seconds=retry_seconds,
        json=json,
    )
    if write:
        if write is Scheduler.kfp:
            silence_imports()
        commands.write_scheduler(request, write.value, output, look_seconds, namespace)
        return 0
    if status:
        commands.print_status(request)
        return 0
    return commands.run_once(request) if once else commands.run_forever(request, look_seconds)
