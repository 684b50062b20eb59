"""The commands around the serving directory: versions, rollback, promote, verify, serve, predict."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.commands import options
from pipeline.layout import DEFAULT_ROOT

PANEL = "The model that is served"
Kind = Literal["binary", "container", "embedded"]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (versions, rollback, promote, verify, serve, predict):
        app.command(command.__name__, rich_help_panel=PANEL)(command)


def versions(root: options.Root = DEFAULT_ROOT, model: options.Model = None, json: options.Json = False) -> None:
    """Lists the versions in the serving directory, the live one marked, with what each came from."""
    from pipeline import output, served

    found = served.versions(root, model)
    if json:
        output.print_json([served.as_json(version) for version in found])
    else:
        output.print_table(served.table(found))


def rollback(
    version: Annotated[
        int | None, typer.Argument(help="The version to return to.", show_default="the one before the live one")
    ] = None,
    root: options.Root = DEFAULT_ROOT,
    model: options.Model = None,
    reason: Annotated[str, typer.Option("--reason", help="For the records.")] = "",
    json: options.Json = False,
) -> None:
    """Makes an earlier version live again: its bytes under a new number. The model taken back is not pushed again."""
    from pipeline import output, served

    made = served.rollback(root, model, version, reason)
    if json:
        output.print_json(made)
    else:
        output.console().print(
            f"Live: version {made['version']}, {made['reason']}\n{made['path']}", soft_wrap=True, markup=False
        )
    if made["not_recorded"]:
        output.console(stderr=True).print(
            f"Not recorded in ML Metadata: {made['not_recorded']}", soft_wrap=True, markup=False
        )


def promote(
    version: Annotated[int, typer.Argument(help="A version.")],
    label: Annotated[str, typer.Option("--label", "-l", help="The label that clients may ask for.")],
    root: options.Root = DEFAULT_ROOT,
    model: options.Model = None,
) -> None:
    """Gives a label such as canary to a version; a labelled version is kept."""
    from pipeline import output, served

    served.promote(root, model, version, label)
    output.console().print(f"{label}: version {version}")


def verify(
    folder: Annotated[Path, typer.Argument(help="A version's folder, or a copy of one on any machine.")],
    json: options.Json = False,
) -> int:
    """Checks a SavedModel without loading it: its operations, and every byte against its manifest. Exit code 1: bad."""
    from pipeline import output, served

    found = served.verify(folder)
    if json:
        output.print_json(dataclasses.asdict(found))
    else:
        output.console().print(served.verified_text(folder, found), soft_wrap=True)
    return 0 if found.ok else 1


def serve(
    root: options.Root = DEFAULT_ROOT,
    model: options.Model = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    rest_port: Annotated[int, typer.Option("--rest-port", min=0, max=65535)] = 8501,
    grpc_port: Annotated[int, typer.Option("--grpc-port", min=0, max=65535)] = 8500,
    max_request_mb: Annotated[
        float, typer.Option("--max-request-mb", min=0.001, help="The embedded server refuses larger requests.")
    ] = 64.0,
    kind: Annotated[
        Kind | None, typer.Option("--with", help="This server and no other.", show_default="the first at hand")
    ] = None,
) -> None:
    """Serves the live version: tensorflow_model_server, its image, or the embedded server; the first at hand."""
    from pipeline import serve as server

    server.start(
        root, model, host=host, rest_port=rest_port, grpc_port=grpc_port, max_request_mb=max_request_mb, kind=kind
    )


def predict(
    file: Annotated[
        Path | None,
        typer.Argument(help="Rows as JSON lines, csv or parquet; - is standard input (JSON lines).", show_default="-"),
    ] = None,
    root: options.Root = DEFAULT_ROOT,
    model: options.Model = None,
    version: Annotated[int | None, typer.Option("--version", help="A version.", show_default="the live one")] = None,
    rows: Annotated[int | None, typer.Option("--rows", "-n", min=1, help="Only the first so many rows.")] = None,
    server: Annotated[
        str | None, typer.Option("--server", help="Ask a server's REST API, such as http://127.0.0.1:8501, instead.")
    ] = None,
    label: Annotated[str, typer.Option("--label", help="With --server: the version with this label.")] = "",
    to: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Score the file, or a quoted glob, in bulk on Beam to .parquet or .csv."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Asks the served model through its raw signature: here without a server, a server, or in bulk on Beam."""
    from pipeline import output, served

    if to is not None:
        made = served.score_files(root, model, version, file, to)
        if json:
            output.print_json(dataclasses.asdict(made))
        else:
            output.console().print(f"{made.rows} rows by version {made.version}: {', '.join(made.files)}", markup=False)
        return
    if server is not None:
        scored = served.predict_by_server(server, model, version, label, file, rows)
    else:
        scored = served.predict(root, model, version, file, rows)
    if json:
        output.print_json(dataclasses.asdict(scored))
    else:
        output.print_table(served.answers_table(scored))
