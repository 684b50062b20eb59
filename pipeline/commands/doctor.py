"""`taxiway doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from taxiway.pipeline.commands import options
from taxiway.pipeline.exit_codes import EXIT_FAILED, EXIT_LIVE
from taxiway.pipeline.root import DEFAULT_ROOT, Root

STORE = "store"
ENGINES = ("flink", "spark")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("doctor", rich_help_panel="This machine")(doctor)


def doctor(
    config: options.ConfigFile = None,
    root: options.Root = DEFAULT_ROOT,
    target: Annotated[
        str,
        typer.Option(
            "--target",
            help="Instead: what kfp or vertex would refuse or ignore of the pipeline; flink or spark: whether the "
            "engine's workers answer.",
        ),
    ] = "",
    host: Annotated[
        str, typer.Option("--host", help="With --target kfp: also whether this server can run it: its URL.")
    ] = "",
    namespace: options.Namespace = "",
    overrides: options.Overrides = None,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what is safe to mend in the root's store.")] = False,
    json: options.Json = False,
) -> int:
    """Says what this machine can and cannot do, and what in the root's store is not as it should be.

    Advisories published for the installed packages are notes.

    With --target kfp --host URL: also the server's release, API and permissions, the pipeline root and the image, with
    what to do about each. With --target flink: sends one element to the engine of resources.beam and back. Exit code 1
    where this machine, or the target, cannot run the pipeline, or something in the
    store is not as it should be.
    """
    if target in ENGINES and not (host or namespace):
        return _examine_engine(config, overrides, target, root, json)
    if host or namespace:
        return _examine_server(config, overrides, target, host, namespace, json)
    if target:
        return _examine_target(config, overrides, target, json)
    from taxiway.pipeline.console import printing
    from taxiway.pipeline.maintenance import check_machine

    machine, store = check_machine.examine_machine(root), _examine_store(root, fix)
    if json:
        printing.print_json([finding.model_dump() for finding in (*machine, *store)])
    else:
        printing.print_renderable(check_machine.make_findings_table([*machine, *store]))
    usable = all(finding.ok or not finding.needed for finding in machine)
    return EXIT_LIVE if usable and all(finding.ok for finding in store) else EXIT_FAILED


def _examine_store(root: Path, fix: bool) -> list[Any]:
    """Troubles of the root's store as findings; none where nothing ran yet."""
    from taxiway.components.errors import TaxiwayError
    from taxiway.pipeline.maintenance import check_store
    from taxiway.pipeline.maintenance.findings import MachineFinding
    from taxiway.pipeline.tracking.store import execution_record

    place = Root.at(root)
    if not any(
        path.exists() for path in (place.metadata, place.serving, place.runs, place.path / execution_record.FOLDER)
    ):
        return []
    try:
        troubles = check_store.fix_store(place) if fix else check_store.examine_store(place)
    except TaxiwayError as error:  # what the machine can do is worth saying all the same
        return [MachineFinding(name=STORE, ok=False, detail=str(error))]
    sound = [] if troubles else [MachineFinding(name=STORE, ok=True, detail="everything is as it should be")]
    return [
        *sound,
        *(MachineFinding(name=f"{STORE}: {each.kind}", ok=False, detail=each.to_sentence()) for each in troubles),
    ]


def _examine_target(config: Path | None, overrides: list[str] | None, target: str, json: bool) -> int:
    """Exit code 1 where the target would refuse the pipeline."""
    from taxiway.pipeline.commands.kubeflow import silence_imports

    silence_imports()
    from taxiway.pipeline.console import printing
    from taxiway.pipeline.kubeflow import commands

    findings = commands.examine_target(config, overrides or (), target)
    if json:
        printing.print_json([finding.model_dump() for finding in findings])
    else:
        _print_pipeline(findings)
    return EXIT_FAILED if any(finding.level == "refused" for finding in findings) else EXIT_LIVE


def _examine_engine(config: Path | None, overrides: list[str] | None, target: str, root: Path, json: bool) -> int:
    """Exit code 1 where the engine's workers would not run the steps."""
    from taxiway.components.errors import EngineError, UsageError
    from taxiway.pipeline.config import load_config
    from taxiway.pipeline.console import printing
    from taxiway.pipeline.maintenance import check_machine
    from taxiway.pipeline.maintenance.findings import MachineFinding
    from taxiway.pipeline.runs.launching.engine import check_engine
    from taxiway.pipeline.user_modules import make_importable

    settings = load_config(config, overrides or ())
    runner = settings.resources.beam.runner
    if runner != target:
        raise UsageError(
            f"resources.beam.runner is {runner}, not {target}.",
            f"Say the engine there: resources.beam: {{runner: {target}, job_endpoint: HOST:8099}}.",
        )
    make_importable(settings)
    seen = "a worker has taken an element, is of this release, and writes where steps read"
    finding = MachineFinding(name=f"{target} workers", ok=True, detail=seen, needed=True)
    try:
        check_engine(settings, Root.at(root))
    except EngineError as error:
        finding = finding.model_copy(update={"ok": False, "detail": str(error)})
    if json:
        printing.print_json([finding.model_dump()])
    else:
        printing.print_renderable(check_machine.make_findings_table([finding]))
    return EXIT_LIVE if finding.ok else EXIT_FAILED


def _print_pipeline(findings: list[Any]) -> None:
    """What the target would do with the pipeline; an empty table would look as if something were missing."""
    from taxiway.pipeline.console import printing
    from taxiway.pipeline.kubeflow import commands

    if findings:
        printing.print_renderable(commands.make_findings_table(findings))
    else:
        printing.make_console().print("The target takes the pipeline as it is: nothing is refused or ignored.")


def _examine_server(
    config: Path | None, overrides: list[str] | None, target: str, host: str, namespace: str, json: bool
) -> int:
    """Exit code 1 where the server would refuse the pipeline, or something that a run needs is not there."""
    from taxiway.components.errors import UsageError
    from taxiway.pipeline.commands.kubeflow import silence_imports

    if target != "kfp" or not host:
        raise UsageError("--host and --namespace are of a Kubeflow Pipelines server.", "Give --target kfp --host URL.")
    silence_imports()
    from taxiway.pipeline.config import load_config
    from taxiway.pipeline.console import printing
    from taxiway.pipeline.kubeflow import commands
    from taxiway.pipeline.kubeflow.examination import examine, finding

    kubeflow = load_config(config, overrides or ()).resources.kubeflow
    server = examine.examine_server(host, namespace, kubeflow)
    pipeline = commands.examine_target(config, overrides or (), target)
    if json:
        printing.print_json(
            {"server": [each.model_dump() for each in server], "pipeline": [each.model_dump() for each in pipeline]}
        )
    else:
        printing.print_renderable(finding.make_findings_table(server))
        _print_pipeline(pipeline)
    refused = any(each.level == "refused" for each in pipeline)
    return EXIT_FAILED if refused or any(each.state == "failed" for each in server) else EXIT_LIVE
