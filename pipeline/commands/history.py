"""`taxiway runs` and `taxiway show`."""

from __future__ import annotations

from typing import Annotated

import typer

from taxiway.components.errors import UsageError
from taxiway.pipeline.commands import options
from taxiway.pipeline.root import DEFAULT_ROOT, Root

PANEL = "What happened"


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("runs", rich_help_panel=PANEL)(runs)
    app.command("show", rich_help_panel=PANEL)(show)


def runs(
    root: options.Root = DEFAULT_ROOT,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The newest so many.")] = 20,
    host: Annotated[str, typer.Option("--host", help="Instead: the runs of this Kubeflow Pipelines server.")] = "",
    namespace: options.Namespace = "",
    experiment: Annotated[str, typer.Option("--experiment", help="With --host: only this experiment's.")] = "",
    json: options.Json = False,
) -> None:
    """Lists the runs, newest first: state, duration, gates, metric, variant, version."""
    if host:
        from taxiway.pipeline.kubeflow import submission

        submission.print_runs(host, namespace, limit, json, experiment)
        return
    if experiment or namespace:
        raise UsageError("--experiment and --namespace are of a Kubeflow Pipelines server.", "Give --host URL too.")
    from taxiway.pipeline.console import printing, run_tables
    from taxiway.pipeline.tracking import history

    records = history.list_runs(Root.at(root), limit)
    if json:
        printing.print_json([record.model_dump(mode="json") for record in records])
    else:
        printing.print_renderable(run_tables.make_runs_table(records))
        run_tables.print_unread(records)


def show(
    run: Annotated[str | None, typer.Argument(help="A run's id, or the start of one.", show_default="newest")] = None,
    root: options.Root = DEFAULT_ROOT,
    json: options.Json = False,
) -> None:
    """Shows one run: its nodes with states and times, gates, metrics, variants, artifacts."""
    from taxiway.pipeline.console import printing, run_tables, summary
    from taxiway.pipeline.tracking import history, kept_scores

    place = Root.at(root)
    record = history.find_run(place, run)
    artifacts = history.list_artifacts(place, record)
    intervals = kept_scores.read_main_intervals(place, record)
    if json:
        known = {"main_metric_intervals": intervals, "artifacts": artifacts}
        printing.print_json({**record.model_dump(mode="json"), **known})
        return
    printing.make_console().print(summary.render_run(record, intervals))
    printing.print_renderable(run_tables.make_artifacts_table(artifacts, place))
    run_tables.print_unread([record])
