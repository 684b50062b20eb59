"""`taxiway runs` and `taxiway show`."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.commands import options
from pipeline.layout import DEFAULT_ROOT, Root


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("runs", rich_help_panel="What happened")(runs)
    app.command("show", rich_help_panel="What happened")(show)


def runs(
    root: options.Root = DEFAULT_ROOT,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The newest so many.")] = 20,
    host: Annotated[str, typer.Option("--host", help="Instead: the runs of this Kubeflow Pipelines server.")] = "",
    namespace: options.Namespace = "",
    json: options.Json = False,
) -> None:
    """Lists the runs, newest first: state, duration, gates, metric, variant, version."""
    if host:
        from pipeline.kubeflow import following

        following.print_runs(host, namespace, limit, json)
        return
    from pipeline import history, output

    found = history.runs(Root.at(root), limit)
    if json:
        output.print_json([record.model_dump(mode="json") for record in found])
    else:
        output.print_table(history.runs_table(found))


def show(
    run: Annotated[str | None, typer.Argument(help="A run's id, or the start of one.", show_default="newest")] = None,
    root: options.Root = DEFAULT_ROOT,
    json: options.Json = False,
) -> None:
    """Shows one run: its nodes with states and times, gates, metrics, variants, artifacts."""
    from pipeline import history, output, summary

    place = Root.at(root)
    record = history.find(place, run)
    artifacts = history.artifacts(place, record)
    if json:
        output.print_json({**record.model_dump(mode="json"), "artifacts": artifacts})
        return
    output.console().print(summary.full(record))
    output.print_table(history.artifacts_table(artifacts, place))
