"""`taxiway rollback`, `promote`, `verify` and `serve`: what people do to the serving directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from components.errors import UsageError
from pipeline.commands import options
from pipeline.layout import DEFAULT_ROOT

PANEL = "The model that is served"


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (rollback, promote, verify, serve):
        app.command(command.__name__, rich_help_panel=PANEL)(command)


def rollback(
    version: Annotated[
        int | None,
        typer.Argument(help="The version whose bytes return.", show_default="the newest earlier one of another model"),
    ] = None,
    root: options.Root = DEFAULT_ROOT,
    model: options.Model = None,
    reason: Annotated[str, typer.Option("--reason", help="For the records.")] = "",
    json: options.Json = False,
) -> None:
    """Makes an earlier version live again, under a new number, and keeps the bad one from being pushed again.

    A rollback right after a rollback undoes it.
    """
    from components.serving import operations
    from pipeline import output, served
    from pipeline.layout import Root

    directory = served.directory(root, model)
    left = directory.live()
    made = operations.rollback(directory, directory.base.name, Root.at(root).metadata, version, reason)
    if json:
        output.print_json(
            {
                "version": made.result.version,
                "rollback_of": left.number if left else None,
                "bytes_of": made.result.provenance["bytes_of"],
                "path": str(made.result.path),
                "execution": made.execution,
            }
        )
        return
    console = output.console()
    console.print(f"Version {made.result.version} is live: the bytes of version {made.result.provenance['bytes_of']}.")
    if made.not_recorded:
        console.print(f"Not recorded in ML Metadata: {made.not_recorded}", markup=False)


def promote(
    version: Annotated[int, typer.Argument(help="The version.")],
    label: Annotated[str, typer.Option("--label", help="Such as stable or canary.")],
    root: options.Root = DEFAULT_ROOT,
    model: options.Model = None,
) -> None:
    """Gives a version a label that clients can ask for; a labelled version is never deleted."""
    from components.serving import operations
    from pipeline import output, served

    directory = served.directory(root, model)
    operations.promote(directory, directory.base.name, version, label)
    output.console().print(f"Version {version} of {directory.base.name} is {label}.", markup=False)


def verify(
    folder: Annotated[Path, typer.Argument(help="A version, or any SavedModel, anywhere.")],
    allow_op: Annotated[
        list[str] | None, typer.Option("--allow-op", help="An op allowed beside the list. May be given again.")
    ] = None,
    json: options.Json = False,
) -> int:
    """Checks that a SavedModel does nothing but compute, and that its bytes are those that were pushed."""
    from components.serving import operations
    from pipeline import output

    found = operations.verify(folder, tuple(allow_op or ()))
    if json:
        output.print_json({"ok": found.ok, "digest": found.digest, "problems": found.problems})
    elif found.ok:
        bytes_ = "every byte is as it was pushed" if found.has_manifest else "it has no manifest to compare with"
        output.console().print(f"{folder}: its ops only compute; {bytes_}. {found.digest}", markup=False)
    else:
        for problem in found.problems:
            output.console().print(f"- {problem}", markup=False)
    return 0 if found.ok else 1


def serve(
    root: options.Root = DEFAULT_ROOT,
    model: options.Model = None,
    rest_port: Annotated[int, typer.Option("--rest-port", min=0, max=65535)] = 8501,
    grpc_port: Annotated[int, typer.Option("--grpc-port", min=0, max=65535)] = 8500,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    max_request_mb: Annotated[float, typer.Option("--max-request-mb", min=0.001, help="Embedded server only.")] = 64.0,
    server: Annotated[
        str | None,
        typer.Option("--server", help="binary, container or embedded.", show_default="the first one at hand"),
    ] = None,
) -> None:
    """Serves the model over gRPC and REST until Ctrl-C: tensorflow_model_server, its image, or the embedded server."""
    import os
    import sys

    from components.serving import serve as servers
    from components.serving import server_files
    from pipeline import output, served

    if server not in (None, "binary", "container", "embedded"):
        raise UsageError(f"There is no server {server!r}.", "Accepted: binary, container, embedded.")
    directory = served.directory(root, model)
    command = servers.command(
        directory.base.name,
        directory.base,
        host=host,
        rest_port=rest_port,
        grpc_port=grpc_port,
        max_request_mb=max_request_mb,
        config=server_files.settings(directory),
        kind=server,  # type: ignore[arg-type]
    )
    console = output.console(stderr=True)
    console.print(f"Serving {directory.base.name} with {command.description}.", markup=False)
    console.print(
        f"gRPC {host}:{grpc_port}  REST http://{host}:{rest_port}/v1/models/{directory.base.name}", markup=False
    )
    sys.stdout.flush()
    # The server takes this process's place: signals and the exit code are its own.
    os.execvpe(command.argv[0], command.argv, {**os.environ, **command.environment})
