"""`taxiway compile`, `emulate` and `submit`: the pipeline on Kubeflow Pipelines."""

from __future__ import annotations

import os
import warnings
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands import options
from pipeline.layout import DEFAULT_ROOT

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
    app.command("emulate", rich_help_panel=PANEL)(emulate)
    app.command("submit", rich_help_panel=PANEL)(submit)


def quiet() -> None:
    """Before TFX is imported: what its libraries say at import is of no use to who compiles."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    warnings.filterwarnings("ignore", module=r"google\.|tensorflow|tfx|kfp|apache_beam")


def compile_(
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write, *.yaml.", dir_okay=False)],
    config: options.ConfigFile = None,
    target: Annotated[Target, typer.Option("--target", help="kfp: open source; vertex: Vertex AI.")] = Target.kfp,
    overrides: options.Overrides = None,
) -> None:
    """Compiles the pipeline that `taxiway run` runs into what Kubeflow Pipelines takes.

    What the target would refuse ends it with every reason and exit code 2.
    """
    quiet()
    from pipeline.kubeflow import commands

    commands.compile_to(output, config, overrides or (), target.value)


def emulate(
    package: Annotated[Path, typer.Argument(help="What `taxiway compile` wrote.")],
    root: options.Root = DEFAULT_ROOT,
    parameters: Parameters = None,
    pipeline_root: Annotated[
        str, typer.Option("--pipeline-root", help="Of the request: gs://, s3:// or minio://; kept in folders here.")
    ] = "",
    no_cache: Annotated[bool, typer.Option("--no-cache", help="As a server whose cache is off.")] = False,
    in_containers: Annotated[
        bool, typer.Option("--in-containers", help="Run the image with podman or docker, not this Python.")
    ] = False,
    volumes: Annotated[
        list[str] | None, typer.Option("--volume", help="Folder of a volume claim.", metavar="CLAIM=FOLDER")
    ] = None,
    json: options.Json = False,
) -> int:
    """Runs a compiled pipeline here, as open-source Kubeflow Pipelines would.

    It refuses what the backend refuses, with the backend's source, and ignores what it ignores. Exit codes are those of
    `taxiway run`.
    """
    from pipeline import report
    from pipeline.emulator import commands

    before = report.recorded_runs(root)
    code = commands.run(
        commands.Request(
            file=package,
            root=root,
            parameters=tuple(parameters or ()),
            pipeline_root=pipeline_root,
            cache=not no_cache,
            in_containers=in_containers,
            volumes=tuple(volumes or ()),
            json=json,
        )
    )
    for line in report.of_new_runs(root, before):
        typer.echo(line, err=json)
    return code


def submit(
    package: Annotated[Path, typer.Argument(help="What `taxiway compile` wrote.")],
    host: Annotated[str, typer.Option("--host", help="URL of the API server.")],
    namespace: options.Namespace = "",
    experiment: Annotated[str, typer.Option("--experiment", help="Found or made by its name.")] = "taxiway",
    service_account: Annotated[str, typer.Option("--service-account", help="Under which the pods run.")] = "",
    revision: Annotated[
        str, typer.Option("--revision", help="Name of the version.", show_default="digest of the file")
    ] = "",
    parameters: Parameters = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run to its end; print the logs of failed nodes.")] = (
        False
    ),
    json: options.Json = False,
) -> int:
    """Uploads a compiled pipeline as a new version and runs it.

    Credentials come from TAXIWAY_KFP_TOKEN or TAXIWAY_KFP_COOKIES, or from where kfp's own client takes them.
    """
    quiet()
    from pipeline.kubeflow import following

    return following.submit(
        following.Request(
            package, host, namespace, experiment, service_account, revision, tuple(parameters or ()), wait, json
        )
    )
