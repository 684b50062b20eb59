"""`taxiway init`."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Literal

import typer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("init", rich_help_panel="The pipeline")(init)


def init(
    data: Annotated[str, typer.Argument(help="A file, folder or glob: csv, Parquet, JSON or TFRecord.")],
    label: Annotated[
        str, typer.Option("--label", help="The column to predict, or an expression: 'tips > 0.2 * fare'.")
    ],
    task: Annotated[
        Literal["binary", "multiclass", "regression"] | None, typer.Option("--task", help="Inferred by default.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("-o", "--output", help="The configuration file; NAME/NAME.yaml by default.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    form: Annotated[
        Literal["auto", "csv", "parquet", "jsonl", "tfrecord"],
        typer.Option("--format", help="How the files are written; by their names and content by default."),
    ] = "auto",
    leave_out: Annotated[
        list[str] | None,
        typer.Option("--leave-out", help="Columns that are not read: COLUMN[,COLUMN]; again for more."),
    ] = None,
) -> int:
    """Looks at your data and writes a commented configuration for it, ready to run."""
    from taxiway.pipeline.scaffold.init import create_config, print_summary

    names = [name.strip() for given in leave_out or () for name in next(csv.reader([given]), []) if name.strip()]
    written = create_config(data, label, task=task, file=file, force=force, form=form, leave_out=names)
    print_summary(written)
    return 0
