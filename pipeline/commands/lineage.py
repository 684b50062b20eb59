"""`taxiway lineage`, `compare`, `report` and `gc`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from taxiway.components.errors import UsageError
from taxiway.pipeline.commands import options
from taxiway.pipeline.commands.kubeflow import silence_imports
from taxiway.pipeline.root import DEFAULT_ROOT, Root

PANEL = "What happened"


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("lineage", rich_help_panel=PANEL)(lineage)
    app.command("compare", rich_help_panel=PANEL)(compare)
    app.command("report", rich_help_panel=PANEL)(report)
    app.command("gc", rich_help_panel=PANEL)(gc)


def lineage(
    target: Annotated[
        str | None,
        typer.Argument(
            help="A version (number, label or folder), an artifact's id or URI, a run, a file of rows or schema.",
            show_default="the live version",
        ),
    ] = None,
    root: options.Root = DEFAULT_ROOT,
    model: options.Model = None,
    format: Annotated[Literal["text", "json", "dot", "html"], typer.Option("--format", "-f")] = "text",
    downstream: Annotated[bool, typer.Option("--downstream", help="What it led to, up to versions.")] = False,
    why: Annotated[
        bool, typer.Option("--why", help="One paragraph and the numbers: why is this version live?")
    ] = False,
    out: Annotated[Path | None, typer.Option("-o", "--output", help="Write into this file.")] = None,
    import_: Annotated[
        str,
        typer.Option(
            "--import", metavar="RUN", help="First: read this finished run of a Kubeflow server into the root."
        ),
    ] = "",
    host: Annotated[str, typer.Option("--host", help="With --import: URL of the API server.")] = "",
    namespace: options.Namespace = "",
    pipeline_root: Annotated[
        str, typer.Option("--pipeline-root", help="With --import: of the run, where the server does not tell it.")
    ] = "",
    json: options.Json = False,
) -> None:
    """Tells what a model, version or artifact came from, or what it led to.

    A version's folder that was copied to another machine tells its own provenance, without the database. --import takes
    the id of a run, or the URI of its artifacts: PIPELINE_ROOT/PIPELINE/RUN.
    """
    if not import_ and (host or namespace or pipeline_root):
        raise UsageError("--host, --namespace and --pipeline-root belong to --import.", "Name a run: --import RUN")
    if import_:
        silence_imports()
        from taxiway.pipeline.kubeflow.importing import importer

        imported = importer.import_run(Root.at(root), importer.ImportRequest(import_, host, namespace, pipeline_root))
        typer.echo(str(imported), err=True)
        target = target or imported.run_id
    from taxiway.pipeline.lineage import query
    from taxiway.pipeline.lineage.views import render

    place = Root.at(root)
    graph = query.open_lineage(root, target, model=model, downstream=downstream)
    shown = "json" if json else format
    content = (
        render.render_explanation(graph, place, shown)
        if why
        else render.render_graph(graph, place, shown, downstream=downstream)
    )
    render.write_output(content, shown, out)


def compare(
    before: Annotated[str, typer.Argument(help="A run's id, or the start of one.")],
    after: Annotated[str, typer.Argument(help="The other run.")],
    root: options.Root = DEFAULT_ROOT,
    json: options.Json = False,
) -> None:
    """Says what differs between two runs: data, drift, schema, parameters, code, metrics by slice, variant, times."""
    from taxiway.pipeline.console import printing
    from taxiway.pipeline.report.compare import compare_runs, render_comparison

    comparison = compare_runs(Root.at(root), before, after)
    if json:
        printing.print_json(comparison.to_json())
    else:
        printing.print_renderable(render_comparison(comparison))


def report(
    run: Annotated[str | None, typer.Argument(help="A run's id, or the start of one.", show_default="newest")] = None,
    root: options.Root = DEFAULT_ROOT,
    out: Annotated[
        Path | None, typer.Option("-o", "--output", help="The file.", show_default="reports/RUN.html under the root")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Writes one self-contained HTML page about a run: verdict, data, training, evaluation, serving, lineage."""
    from taxiway.pipeline.console import printing
    from taxiway.pipeline.report import write_report

    path = write_report(root, run, out)
    printing.make_console().print(printing.escape_markup(path), soft_wrap=True)
    if open_:
        typer.launch(str(path))


def gc(
    root: options.Root = DEFAULT_ROOT,
    keep_runs: Annotated[int, typer.Option("--keep-runs", min=1, help="The newest so many runs keep all.")] = 10,
    older_than: Annotated[float | None, typer.Option("--older-than", help="What is younger, in days, stays.")] = None,
    log_days: Annotated[
        float, typer.Option("--log-days", min=0, help="Request logs of served models go after so many days.")
    ] = 30,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    json: options.Json = False,
) -> None:
    """Deletes artifacts and checkpoints that nothing live, labelled, blessed or recent needs. Lineage stays.

    Old request logs and old verdicts of `taxiway monitor` go, too.
    """
    from taxiway.pipeline.console import printing
    from taxiway.pipeline.maintenance.gc import collect, render_result

    result = collect(Root.at(root), keep_runs=keep_runs, older_than_days=older_than, log_days=log_days, dry_run=dry_run)
    if json:
        printing.print_json(result.to_json())
    else:
        printing.print_renderable(render_result(result))
