"""The commands around the serving directory: versions, rollback, promote, verify, serve, predict."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import typer

from components.serving.limits import Limits
from pipeline.commands import options
from pipeline.layout import DEFAULT_ROOT

PANEL = "The model that is served"
AllowedOps = Annotated[
    list[str] | None,
    typer.Option("--allow-op", help="A TensorFlow op of your own layers that the model may hold. Repeatable."),
]
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
    output.print_notes(served.notes(root, model))


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
        words = f"Live: version {made['version']}, {made['reason']}\n{made['path']}"
        output.console().print(words, soft_wrap=True, markup=False)
    if made["not_recorded"]:
        words = f"Not recorded in ML Metadata: {made['not_recorded']}"
        output.console(stderr=True).print(words, soft_wrap=True, markup=False)


def promote(
    version: Annotated[int, typer.Argument(help="A version.")],
    label: Annotated[str, typer.Option("--label", "-l", help="The label that clients may ask for.")],
    root: options.Root = DEFAULT_ROOT,
    model: options.Model = None,
) -> None:
    """Gives a label such as canary to a version; a labelled version is kept."""
    from pipeline import output, served

    served.promote(root, model, version, label)
    output.console().print(f"{label}: version {version}", markup=False)


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
    ] = Limits.request_bytes / 1e6,
    max_memory_mb: Annotated[
        float, typer.Option("--max-memory-mb", min=1, help="What requests to the embedded server may come to in all.")
    ] = Limits.memory_bytes / 1e6,
    max_answer_mb: Annotated[
        float, typer.Option("--max-answer-mb", min=0.001, help="The embedded server gives no larger answers.")
    ] = Limits.answer_bytes / 1e6,
    max_rows: Annotated[
        int, typer.Option("--max-rows", min=1, help="Of one request to the embedded server.")
    ] = Limits.rows,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", help="A name under which clients reach the embedded server; repeat it. *: any."),
    ] = None,
    kind: Annotated[
        Kind | None, typer.Option("--with", help="This server and no other.", show_default="the first at hand")
    ] = None,
    allow_op: AllowedOps = None,
) -> None:
    """Serves the live version: tensorflow_model_server, its image, or the embedded server; the first at hand."""
    from components.serving import serve as serve_module
    from pipeline import serve as server

    limits = serve_module.EmbeddedLimits(
        max_request_mb, max_memory_mb, max_answer_mb, max_rows, tuple(allow_host or ())
    )
    server.start(
        root,
        model,
        host=host,
        rest_port=rest_port,
        grpc_port=grpc_port,
        limits=limits,
        kind=kind,
        allowed_ops=allow_op or (),
    )


def predict(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="Rows in a format that trains, read as the model's training read its rows; - is standard input.",
            show_default="-",
        ),
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
    allow_op: AllowedOps = None,
    json: options.Json = False,
) -> None:
    """Asks the served model through its raw signature: here without a server, a server, or in bulk on Beam."""
    from pipeline import output, served

    if to is not None:
        made = served.score_files(root, model, version, file, to, allow_op or ())
        if json:
            output.print_json(dataclasses.asdict(made))
        else:
            output.console().print(f"{made.rows} rows by version {made.version}: {', '.join(made.files)}", markup=False)
        output.print_notes(made.notes)
        return
    if server is not None:
        scored = served.predict_by_server(server, root, model, version, label, file, rows)
    else:
        scored = served.predict(root, model, version, file, rows, allow_op or ())
    if json:
        output.print_json(dataclasses.asdict(scored))
    else:
        output.print_table(served.answers_table(scored))
    output.print_notes(scored.notes)
