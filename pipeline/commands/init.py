"""`taxiway init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("init", rich_help_panel="The pipeline")(init)


def init(
    data: Annotated[str, typer.Argument(help="A file, folder or glob: csv, Parquet, JSON lines or TFRecord.")],
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
) -> int:
    """Looks at your data and writes a commented configuration for it, ready to run."""
    from pipeline import init as initialization

    initialization.show(initialization.init(data, label, task=task, file=file, force=force))
    return 0
