"""The commands around the serving directory: versions, rollback, promote, verify, serve, predict."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from taxiway.components.serving.protocol.limits import Limits
from taxiway.pipeline.commands import options
from taxiway.pipeline.exit_codes import EXIT_FAILED, EXIT_LIVE
from taxiway.pipeline.root import DEFAULT_ROOT

PANEL = "The model that is served"
AllowedOps = Annotated[
    list[str] | None,
    typer.Option("--allow-op", help="A TensorFlow op of your own layers that the model may hold. Repeatable."),
]
Kind = Literal["binary", "container", "embedded"]
Manifest = Literal["kserve", "kubernetes"]
_cluster_option: Any = partial(typer.Option, rich_help_panel="In a cluster")


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (versions, rollback, promote, verify, serve, predict):
        app.command(command.__name__, rich_help_panel=PANEL)(command)


def versions(root: options.Root = DEFAULT_ROOT, model: options.Model = None, json: options.Json = False) -> None:
    """Lists the versions in the serving directory, the live one marked, with what each came from."""
    from taxiway.pipeline.console import printing
    from taxiway.pipeline.serving.rollout import describe_trial, read_shadow_figures
    from taxiway.pipeline.serving.versions import (
        list_notes,
        list_versions,
        make_versions_table,
        open_directory,
        version_to_json,
    )

    listed = list_versions(root, model)
    directory = open_directory(root, model)
    if json:
        shadows = {v.number: read_shadow_figures(directory, v.candidate) for v in listed if v.candidate}
        printing.print_json([{**version_to_json(v), "shadow": shadows.get(v.number)} for v in listed])
    else:
        printing.print_renderable(make_versions_table(listed))
    printing.print_notes([*list_notes(root, model), *([] if json else describe_trial(directory))])


def rollback(
    version: Annotated[
        int | None, typer.Argument(help="The version to return to.", show_default="the one before the live one")
    ] = None,
    root: options.Root = DEFAULT_ROOT,
    model: options.Model = None,
    reason: Annotated[str, typer.Option("--reason", help="For the records.")] = "",
    json: options.Json = False,
) -> None:
    """Makes an earlier version live again: its bytes under a new number. The model taken back is not pushed again.

    While a candidate is tried (serving.promotion: shadow or canary), it is the candidate that is taken back, and the
    live version stays; with VERSION, that version becomes live.
    """
    from taxiway.pipeline.console import printing
    from taxiway.pipeline.serving import rollout
    from taxiway.pipeline.serving.versions import open_directory, roll_back_version

    if version is None and open_directory(root, model).load_state().candidate:
        _print_decision(rollout.withdraw_candidate(root, model, reason), json)
        return
    result = roll_back_version(root, model, version, reason)
    if json:
        printing.print_json(result)
    else:
        words = f"Live: version {result['version']}, {result['reason']}\n{result['path']}"
        printing.make_console().print(words, soft_wrap=True, markup=False)
    if result["not_recorded"]:
        words = f"Not recorded in ML Metadata: {result['not_recorded']}"
        printing.make_console(stderr=True).print(words, soft_wrap=True, markup=False)
    _end_unfinished(result["unfinished"])


def _end_unfinished(problems: Sequence[str]) -> None:
    """Says what failed after an action that stands, and ends with 1; does nothing where nothing did."""
    from taxiway.pipeline.console import printing

    for problem in problems:
        printing.make_console(stderr=True).print(f"Done, but: {problem}", soft_wrap=True, markup=False)
    if problems:
        raise typer.Exit(1)


def promote(
    version: Annotated[
        int | None, typer.Argument(help="A version, to be given a --label.", show_default="the candidate")
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", "-l", help="With VERSION: the label that clients may ask for.")
    ] = None,
    remove_label: Annotated[
        str | None, typer.Option("--remove-label", help="Instead: take this label away from the version that has it.")
    ] = None,
    auto: Annotated[
        bool, typer.Option("--auto", help="Do what the monitor's newest verdict on the canary asks for.")
    ] = False,
    share: Annotated[
        float | None, typer.Option("--share", help="Give the candidate this share of the requests, such as 0.25.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="For the records.")] = "",
    root: options.Root = DEFAULT_ROOT,
    model: options.Model = None,
    json: options.Json = False,
) -> None:
    """Makes the candidate of serving.promotion live; or gives a label such as stable to a version, which is then kept.

    With --auto a canary goes to its next share where the verdict of `taxiway monitor --version N` is right, becomes
    live after the last one, is taken back where the verdict is wrong, and stays as it is where there is no new verdict.
    """
    from taxiway.components.errors import UsageError
    from taxiway.components.serving.versions.action_log import Actor
    from taxiway.pipeline.console import printing
    from taxiway.pipeline.serving import rollout
    from taxiway.pipeline.serving.versions import promote_version
    from taxiway.pipeline.serving.versions import remove_label as take_label_away

    if remove_label is not None:
        if version is not None or label is not None or auto or share is not None:
            raise UsageError("--remove-label goes with no other change.", "Give it alone, with a --reason.")
        held_by, unfinished = take_label_away(root, model, remove_label, Actor(reason=reason))
        printing.make_console().print(f"{remove_label}: taken from version {held_by}", markup=False)
        _end_unfinished(unfinished)
        return
    if (version is None) != (label is None):
        raise UsageError("A label is for a version: VERSION and --label go together.", "Give both, or neither.")
    if version is not None and label is not None:
        unfinished = promote_version(root, model, version, label, Actor(reason=reason))
        printing.make_console().print(f"{label}: version {version}", markup=False)
        _end_unfinished(unfinished)
    elif auto:
        from taxiway.pipeline.monitoring.candidate import read_candidate_verdict

        _print_decision(rollout.advance_canary(root, model, read_candidate_verdict(root, model)), json)
    elif share is not None:
        _print_decision(rollout.set_share(root, model, share, reason), json)
    else:
        _print_decision(rollout.promote_candidate(root, model, reason), json)


def _print_decision(decision: Any, json: bool) -> None:
    from taxiway.pipeline.console import printing

    heads = {
        "promoted": f"Live: version {decision.version}",
        "waits": f"Version {decision.candidate} stays a candidate",
    }
    heads |= {"withdrawn": f"Taken back: version {decision.candidate}", "stepped": "Stepped"}
    if json:
        printing.print_json(dataclasses.asdict(decision))
    else:
        printing.make_console().print(f"{heads[decision.change]}: {decision.reason}", soft_wrap=True, markup=False)
    if decision.not_recorded:
        words = f"Not recorded in ML Metadata: {decision.not_recorded}"
        printing.make_console(stderr=True).print(words, soft_wrap=True, markup=False)
    _end_unfinished(decision.unfinished)


def verify(
    folder: Annotated[Path, typer.Argument(help="A version's folder, or a copy of one on any machine.")],
    json: options.Json = False,
) -> int:
    """Checks a SavedModel without loading it: its operations, and every byte against its manifest. Exit code 1: bad."""
    from taxiway.pipeline.console import printing
    from taxiway.pipeline.serving.versions import format_verification, verify_model

    verification = verify_model(folder)
    if json:
        printing.print_json(dataclasses.asdict(verification))
    else:
        printing.make_console().print(format_verification(folder, verification), soft_wrap=True)
    return EXIT_LIVE if verification.ok else EXIT_FAILED


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
    access_log: Annotated[
        str, typer.Option("--access-log", help="The embedded server writes a JSON line a request there; -: to stderr.")
    ] = "",
    kind: Annotated[
        Kind | None, typer.Option("--with", help="This server and no other.", show_default="the first available")
    ] = None,
    allow_op: AllowedOps = None,
    manifest: Annotated[
        Manifest | None,
        _cluster_option("--manifest", help="Instead: print a KServe InferenceService, or a Deployment."),
    ] = None,
    storage: Annotated[
        str, _cluster_option("--storage", help="The versions there: pvc://CLAIM/FOLDER, gs://..., s3://...")
    ] = "",
    name: Annotated[str, _cluster_option("--name", help="Of the objects.", show_default="the model's")] = "",
    namespace: Annotated[str, _cluster_option("--namespace", help="Of the objects.")] = "",
    service_account: Annotated[
        str, _cluster_option("--service-account", help="Of the pods, such as one that may read the bucket.")
    ] = "",
    version: Annotated[
        int | None, _cluster_option("--version", min=1, help="With kserve: this one.", show_default="the newest")
    ] = None,
    canary: Annotated[
        int | None, _cluster_option("--canary", min=0, max=100, help="With kserve: its share of the traffic in %.")
    ] = None,
    replicas: Annotated[int, _cluster_option("--replicas", min=1, help="Pods.")] = 1,
    output: Annotated[
        Path | None, _cluster_option("--output", "-o", help="The file to write.", show_default="standard output")
    ] = None,
) -> None:
    """Serves the live version: tensorflow_model_server, its image, or the embedded server; the first available.

    With --manifest it starts nothing: it writes what Kubernetes needs to serve the versions, for `kubectl apply -f -`.
    """
    if manifest is not None:
        from taxiway.pipeline.serving.manifests.write import ManifestOptions, write_manifest

        write_manifest(
            ManifestOptions(
                manifest, root, storage, model, name, namespace, service_account, version, canary, replicas, output
            )
        )
        return
    _refuse_cluster_options(storage, name, namespace, service_account, version, canary, output)
    from taxiway.components.serving.server.launch import EmbeddedLimits
    from taxiway.pipeline.serving.launch import start_server

    hosts = tuple(allow_host or ())
    limits = EmbeddedLimits(max_request_mb, max_memory_mb, max_answer_mb, max_rows, hosts, access_log)
    start_server(
        root,
        model,
        host=host,
        rest_port=rest_port,
        grpc_port=grpc_port,
        limits=limits,
        kind=kind,
        allowed_ops=allow_op or (),
    )


def _refuse_cluster_options(*given: object) -> None:
    """Without `--manifest` they would be left out of account in silence, `--version` above all."""
    if any(value not in (None, "") for value in given):
        from taxiway.components.errors import UsageError

        problem = "--storage, --name, --namespace, --service-account, --version, --canary and -o are for a cluster."
        raise UsageError(problem, "Add --manifest kserve or --manifest kubernetes.")


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
    from taxiway.pipeline.console import printing
    from taxiway.pipeline.serving.versions import make_answers_table, predict_by_server, predict_rows, score_files

    if to is not None:
        result = score_files(root, model, version, file, to, allow_op or ())
        if json:
            printing.print_json(dataclasses.asdict(result))
        else:
            printing.make_console().print(
                f"{result.rows} rows by version {result.version}: {', '.join(result.files)}", markup=False
            )
        printing.print_notes(result.notes)
        return
    if server is not None:
        scored = predict_by_server(server, root, model, version, label, file, rows)
    else:
        scored = predict_rows(root, model, version, file, rows, allow_op or ())
    if json:
        printing.print_json(dataclasses.asdict(scored))
    else:
        printing.print_renderable(make_answers_table(scored))
    printing.print_notes(scored.notes)
