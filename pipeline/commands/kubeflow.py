"""`taxiway compile`, `emulate`, `submit`, `follow`, `logs` and `cancel`: the pipeline on Kubeflow Pipelines."""

from __future__ import annotations

import logging
import os
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from taxiway.pipeline.commands import options
from taxiway.pipeline.root import DEFAULT_ROOT

PANEL = "Kubeflow Pipelines"


class Target(StrEnum):
    """Where a compiled pipeline runs."""

    kfp = "kfp"
    vertex = "vertex"


Parameters = Annotated[
    list[str] | None,
    typer.Option("--param", help="A parameter of the run, such as epochs=3. May be given again.", metavar="NAME=VALUE"),
]


Host = Annotated[str, typer.Option("--host", help="URL of the API server.")]
RunId = Annotated[str, typer.Argument(help="Id of the run, as `submit` and `runs --host` print it.", metavar="RUN")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("compile", rich_help_panel=PANEL)(compile_)
    app.command("emulate", rich_help_panel=PANEL)(emulate)
    app.command("submit", rich_help_panel=PANEL)(submit)
    app.command("follow", rich_help_panel=PANEL)(follow)
    app.command("logs", rich_help_panel=PANEL)(logs)
    app.command("cancel", rich_help_panel=PANEL)(cancel)


def silence_imports() -> None:
    """Before TFX is imported: what its libraries say at import is of no use to who compiles."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    warnings.filterwarnings("ignore", module=r"google\.|tensorflow|tfx|kfp|apache_beam")
    logging.getLogger().addFilter(_is_of_use)


def _is_of_use(record: logging.LogRecord) -> bool:
    """Beam warns through the root logger of a package that only its own reading of TFRecord files would use."""
    return "crcmod package not found" not in record.getMessage()


def compile_(
    config: options.ConfigFile = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write, *.yaml.", dir_okay=False)
    ] = None,
    target: Annotated[Target, typer.Option("--target", help="kfp: open source; vertex: Vertex AI.")] = Target.kfp,
    overrides: options.Overrides = None,
    write_resources: Annotated[
        bool, typer.Option("--write-resources", help="First write these into CONFIG, which stays as it is otherwise:")
    ] = False,
    image: Annotated[str, typer.Option("--image", help="The image that the cluster can pull.")] = "",
    claim: Annotated[str, typer.Option("--claim", help="The volume claim for the root.")] = "",
    pipeline_root: Annotated[
        str, typer.Option("--pipeline-root", help="gs://, s3:// or minio://.", show_default="the cluster's")
    ] = "",
) -> None:
    """Compiles the pipeline that `taxiway run` runs into what Kubeflow Pipelines takes.

    What the target would refuse ends it with every reason and exit code 2. A configuration for a cluster names an image
    and a volume claim: --write-resources writes both into CONFIG, or into a copy of the taxi example.
    """
    from taxiway.components.errors import UsageError

    if write_resources:
        from taxiway.pipeline.scaffold.kubeflow_resources import ClusterPlaces
        from taxiway.pipeline.scaffold.kubeflow_resources import write_resources as write

        config = write(config, ClusterPlaces(image, claim, pipeline_root))
        typer.echo(f"Written: resources.kubeflow in {config}", err=True)
    elif image or claim or pipeline_root:
        raise UsageError("--image, --claim and --pipeline-root are written into CONFIG.", "Add --write-resources.")
    elif output is None:
        raise UsageError("No file to write was named.", "Give -o FILE, such as -o pipeline.yaml.")
    if output is not None:
        silence_imports()
        from taxiway.pipeline.kubeflow import commands

        commands.compile_to_file(output, config, overrides or (), target.value)


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
    restricted: Annotated[
        bool,
        typer.Option("--restricted", help="Run each step without root, capabilities or a file system to write on."),
    ] = False,
    volumes: Annotated[
        list[str] | None, typer.Option("--volume", help="Folder of a volume claim.", metavar="CLAIM=FOLDER")
    ] = None,
    release: Annotated[str, typer.Option("--release", help="Backend to follow: 2.17 or without-mlmd.")] = "2.17",
    json: options.Json = False,
) -> int:
    """Runs a compiled pipeline here as `submit` sends it, as open-source Kubeflow Pipelines would.

    It refuses what the backend refuses, with the backend's source, and ignores what it ignores. Exit codes are those of
    `taxiway run`.
    """
    from taxiway.pipeline import report
    from taxiway.pipeline.emulator import commands
    from taxiway.pipeline.kubeflow.client.package import make_submitted
    from taxiway.pipeline.kubeflow.client.run_parameters import read_text_parameters

    before = report.list_recorded_runs(root)
    code = commands.run_package(
        commands.EmulationRequest(
            file=package,
            root=root,
            parameters=tuple(parameters or ()),
            pipeline_root=pipeline_root,
            cache=not no_cache,
            in_containers=in_containers,
            restricted=restricted,
            release=release,
            prepare=make_submitted,
            read_parameters=read_text_parameters,
            volumes=tuple(volumes or ()),
            json=json,
        )
    )
    for line in report.write_new_reports(root, before):
        typer.echo(line, err=json)
    return code


def submit(
    host: Host,
    package: Annotated[Path | None, typer.Argument(help="What `taxiway compile` wrote.", show_default=False)] = None,
    namespace: options.Namespace = "",
    experiment: Annotated[str, typer.Option("--experiment", help="Found or made by its name.")] = "taxiway",
    service_account: Annotated[str, typer.Option("--service-account", help="Under which the pods run.")] = "",
    revision: Annotated[
        str, typer.Option("--revision", help="Name of the version.", show_default="digest of the file")
    ] = "",
    parameters: Parameters = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Run every step; take no earlier outputs.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run to its end; print the logs of failed nodes.")] = (
        False
    ),
    every: Annotated[
        str | None,
        typer.Option("--every", help="Run it by a schedule: '0 6 * * 1', Mondays at 6; @daily.", metavar="CRON"),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", help="Of the schedule.", show_default="the pipeline's, of which one may run")
    ] = "",
    list_schedules: Annotated[bool, typer.Option("--list", help="Instead: list the schedules.")] = False,
    stop: Annotated[
        str | None, typer.Option("--stop", help="Instead: stop a schedule, by name or id.", metavar="SCHEDULE")
    ] = None,
    json: options.Json = False,
) -> int:
    """Uploads a compiled pipeline as a new version and runs it, once or by a schedule.

    Parameters are checked against the compiled pipeline before anything is sent. Credentials come from
    TAXIWAY_KFP_TOKEN, the file that TAXIWAY_KFP_TOKEN_FILE names, or TAXIWAY_KFP_COOKIES, or from where kfp's own
    client takes them. With --wait, exit codes are those of `taxiway run`, and 4 where the server does not answer any
    more.
    """
    silence_imports()
    from taxiway.pipeline.kubeflow import submission

    return submission.submit(
        submission.SubmitRequest(
            package,
            host,
            namespace=namespace,
            experiment=experiment,
            service_account=service_account,
            revision=revision,
            parameters=tuple(parameters or ()),
            cache=not no_cache,
            wait=wait,
            every=every,
            name=name,
            list_schedules=list_schedules,
            stop=stop,
            json=json,
        )
    )


def follow(run_id: RunId, host: Host, namespace: options.Namespace = "", json: options.Json = False) -> int:
    """Follows a run on Kubeflow to its end; prints the logs of failed nodes.

    Exit codes are those of `taxiway run`, and 4 where the server does not answer any more.
    """
    silence_imports()
    from taxiway.pipeline.kubeflow import api_client, submission

    return submission.print_followed_run(api_client.KubeflowServer(host, namespace), run_id, json)


def logs(
    run_id: RunId,
    node: Annotated[str, typer.Argument(help="Such as Trainer.", metavar="NODE")],
    host: Host,
    namespace: options.Namespace = "",
) -> None:
    """Prints the log of a node of a run on Kubeflow, of its last try."""
    silence_imports()
    from taxiway.pipeline.kubeflow import api_client, submission

    submission.print_log(api_client.KubeflowServer(host, namespace), run_id, node)


def cancel(run_id: RunId, host: Host, namespace: options.Namespace = "") -> None:
    """Ends a run on Kubeflow."""
    silence_imports()
    from taxiway.pipeline.kubeflow import api_client, submission

    submission.cancel_run(api_client.KubeflowServer(host, namespace), run_id)
