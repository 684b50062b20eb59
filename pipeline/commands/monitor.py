"""`taxiway monitor`."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import typer

from taxiway.components.errors import UsageError
from taxiway.pipeline.commands import options
from taxiway.pipeline.root import DEFAULT_ROOT, Root

_WINDOW = "The window"
_JUDGED = "How it is judged"
_LABELS = "Labels that came later"
_TOLD = "Who is told"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("monitor", rich_help_panel="The model that is served")(monitor)


def monitor(
    root: options.Root = DEFAULT_ROOT,
    model: options.Model = None,
    version: Annotated[
        int | None,
        typer.Option("--version", help="A version.", show_default="the live one", rich_help_panel=_WINDOW),
    ] = None,
    hours: Annotated[
        float, typer.Option("--hours", min=0.001, help="Length of the window.", rich_help_panel=_WINDOW)
    ] = 24.0,
    until: Annotated[
        str,
        typer.Option(
            "--until",
            help="Its end, such as 2026-01-31T12:00; UTC without an offset.",
            show_default="now",
            rich_help_panel=_WINDOW,
        ),
    ] = "",
    log: Annotated[
        list[Path] | None,
        typer.Option(
            "--log",
            help="A file or folder of PredictionLog TFRecords, such as TensorFlow Serving's. Repeatable.",
            show_default="request_log/ in the serving directory",
            rich_help_panel=_WINDOW,
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A setting of serving.monitoring for this time. Repeatable.",
            metavar="NAME=VALUE",
            rich_help_panel=_JUDGED,
        ),
    ] = None,
    standing: Annotated[
        bool,
        typer.Option(
            "--standing",
            help="`taxiway watch` and `promote --auto` act on the verdict in spite of --until, --log or --set.",
            rich_help_panel=_JUDGED,
        ),
    ] = False,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="Rows with the label and the columns of --id.", rich_help_panel=_LABELS),
    ] = None,
    id_: Annotated[
        list[str] | None,
        typer.Option(
            "--id", help="A column that names a row, alone or with others. Repeatable.", rich_help_panel=_LABELS
        ),
    ] = None,
    metrics_file: Annotated[
        Path | None,
        typer.Option(
            "--metrics-file", help="Gauges for Prometheus' textfile collector: *.prom.", rich_help_panel=_TOLD
        ),
    ] = None,
    webhook: Annotated[
        str,
        typer.Option(
            "--webhook",
            help="An address that gets the verdict as JSON (Slack takes it), signed with $TAXIWAY_WEBHOOK_SECRET.",
            envvar="TAXIWAY_WEBHOOK",
            rich_help_panel=_TOLD,
        ),
    ] = "",
    only_wrong: Annotated[
        bool, typer.Option("--only-wrong", help="With --webhook: not where all is right.", rich_help_panel=_TOLD)
    ] = False,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Write the HTML page.")] = True,
    json: options.Json = False,
) -> int:
    """Judges the logged requests of a served version: are they, and the answers, still what it was trained for?

    Exit code 0: right; 3: wrong; 5: too few rows to judge; 1: right, but the webhook, page or file was not told. With
    --until, --log or --set it is an experiment, which is kept and told, and which starts no run; --standing says that
    it is none.
    """
    from taxiway.pipeline.assignments import parse_assignments
    from taxiway.pipeline.console import printing
    from taxiway.pipeline.monitoring import gauges
    from taxiway.pipeline.monitoring import webhook as hook
    from taxiway.pipeline.monitoring.monitor import MonitorRequest
    from taxiway.pipeline.monitoring.quiet import monitor_quietly
    from taxiway.pipeline.monitoring.render import render_verdict
    from taxiway.pipeline.monitoring.telling import NOT_ASKED, tell_verdict

    if webhook:
        hook.check_address(webhook)
    if metrics_file is not None:
        gauges.check_name(metrics_file)
    limits = parse_assignments("--set", set_ or (), "min_rows=500")
    request = MonitorRequest(
        Root.at(root),
        model,
        version,
        hours,
        parse_moment(until),
        tuple(log or ()),
        labels,
        tuple(id_ or ()),
        limits,
        standing,
    )
    result = monitor_quietly(request)
    verdict = result.verdict
    told = tell_verdict(result, request.root, page=page, metrics_file=metrics_file, url=webhook, only_wrong=only_wrong)
    if json:
        printing.print_json({**verdict.model_dump(mode="json"), "reason": verdict.reason, "told": told.to_json()})
    else:
        printing.print_renderable(render_verdict(verdict))
        console = printing.make_console()
        if told.webhook != NOT_ASKED:
            console.print(f"webhook: {told.webhook}", soft_wrap=True, markup=False)
        console.print(str(told.place), soft_wrap=True, markup=False)
    notes = [f"Not recorded in ML Metadata: {result.not_recorded}"] if result.not_recorded else []
    printing.print_notes([*notes, *result.failures, *told.failures])
    return told.choose_exit_code(verdict.status)


def parse_moment(text: str) -> float | None:
    """Seconds since 1970; None of an empty text.

    Raises:
        UsageError: It is no time.
    """
    if not text:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--until {text!r} is no time.", "Such as --until 2026-01-31T12:00+01:00.") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
