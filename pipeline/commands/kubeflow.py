"""`taxiway compile`, `emulate` and `submit`: the pipeline on Kubeflow Pipelines."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands import options

PANEL = "Kubeflow Pipelines"


class Target(str, Enum):
    """Where a compiled pipeline runs."""

    kfp = "kfp"
    vertex = "vertex"


Parameters = Annotated[
    list[str] | None,
    typer.Option("--param", help="A parameter of the run, such as epochs=3. May be given again.", metavar="NAME=VALUE"),
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("compile", rich_help_panel=PANEL)(compile_)


def compile_(
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write, *.yaml.", dir_okay=False)],
    config: options.ConfigFile = None,
    target: Annotated[Target, typer.Option("--target", help="kfp: open source; vertex: Vertex AI.")] = Target.kfp,
    overrides: options.Overrides = None,
) -> None:
    """Compiles the pipeline that `taxiway run` runs into what Kubeflow Pipelines takes.

    What the target would refuse ends it with every reason and exit code 2.
    """
    from pipeline.kubeflow import commands

    commands.compile_to(output, config, overrides or (), target.value)
