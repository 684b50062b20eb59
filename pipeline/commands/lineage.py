"""`taxiway lineage`, `compare`, `report` and `gc`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.commands import options
from pipeline.layout import DEFAULT_ROOT, Root

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
    json: options.Json = False,
) -> None:
    """Tells what a model, version or artifact came from, or what it led to.

    A version's folder that was copied to another machine tells its own provenance, without the database.
    """
    from pipeline.lineage import show, sources

    place = Root.at(root)
    graph = sources.lineage(root, target, model=model, downstream=downstream)
    shown = "json" if json else format
    text = show.why(graph, place, shown) if why else show.rendered(graph, place, shown, downstream=downstream)
    show.deliver(text, out)


def compare(
    before: Annotated[str, typer.Argument(help="A run's id, or the start of one.")],
    after: Annotated[str, typer.Argument(help="The other run.")],
    root: options.Root = DEFAULT_ROOT,
    json: options.Json = False,
) -> None:
    """Says what differs between two runs: data, drift, schema, parameters, code, metrics by slice, variant, times."""
    from pipeline import output
    from pipeline.report import compare as comparing

    found = comparing.compare(Root.at(root), before, after)
    if json:
        output.print_json(found.to_json())
    else:
        output.print_table(comparing.rendered(found))


def report(
    run: Annotated[str | None, typer.Argument(help="A run's id, or the start of one.", show_default="newest")] = None,
    root: options.Root = DEFAULT_ROOT,
    out: Annotated[
        Path | None, typer.Option("-o", "--output", help="The file.", show_default="reports/RUN.html under the root")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Writes one self-contained HTML page about a run: verdict, data, training, evaluation, serving, lineage."""
    from pipeline import output
    from pipeline import report as reporting

    path = reporting.write(root, run, out)
    output.console().print(output.plain(path), soft_wrap=True)
    if open_:
        typer.launch(str(path))


def gc(
    root: options.Root = DEFAULT_ROOT,
    keep_runs: Annotated[int, typer.Option("--keep-runs", min=1, help="The newest so many runs keep all.")] = 10,
    older_than: Annotated[float | None, typer.Option("--older-than", help="What is younger, in days, stays.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    json: options.Json = False,
) -> None:
    """Deletes artifacts and checkpoints that nothing live, labelled, blessed or recent needs. Lineage stays."""
    from pipeline import output
    from pipeline.care import gc as care

    done = care.collect(Root.at(root), keep_runs=keep_runs, older_than_days=older_than, dry_run=dry_run)
    if json:
        output.print_json(done.to_json())
    else:
        output.print_table(care.rendered(done))
