"""`taxiway versions` and `taxiway predict`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands import options
from pipeline.layout import DEFAULT_ROOT


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("versions", rich_help_panel="The model that is served")(versions)
    app.command("predict", rich_help_panel="The model that is served")(predict)


def versions(root: options.Root = DEFAULT_ROOT, model: options.Model = None, json: options.Json = False) -> None:
    """Lists the versions in the serving directory, the live one marked, with what each came from."""
    from pipeline import output, served

    found = served.versions(root, model)
    if json:
        output.print_json([served.as_json(version) for version in found])
    else:
        output.print_table(served.table(found))


def predict(
    file: Annotated[
        Path | None,
        typer.Argument(help="Rows as JSON lines, csv or parquet; - is standard input (JSON lines).", show_default="-"),
    ] = None,
    root: options.Root = DEFAULT_ROOT,
    model: options.Model = None,
    version: Annotated[int | None, typer.Option("--version", help="A version.", show_default="the live one")] = None,
    rows: Annotated[int | None, typer.Option("--rows", "-n", min=1, help="Only the first so many rows.")] = None,
    json: options.Json = False,
) -> None:
    """Asks a version in the serving directory, here and without a server, through its raw signature."""
    from pipeline import output, served

    scored = served.predict(root, model, version, file, rows)
    if json:
        output.print_json(dataclasses.asdict(scored))
    else:
        output.print_table(served.answers_table(scored))
