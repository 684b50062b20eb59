"""`taxiway doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.commands import options
from pipeline.layout import DEFAULT_ROOT, Root

STORE = "store"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("doctor", rich_help_panel="This machine")(doctor)


def doctor(
    config: options.ConfigFile = None,
    root: options.Root = DEFAULT_ROOT,
    target: Annotated[
        str, typer.Option("--target", help="Instead: what kfp or vertex would refuse or ignore of the pipeline.")
    ] = "",
    overrides: options.Overrides = None,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what is safe to mend in the root's store.")] = False,
    json: options.Json = False,
) -> int:
    """Says what this machine can and cannot do, and what in the root's store is not as it should be.

    Exit code 1 where this machine cannot run the pipeline, or something in the store is not as it should be.
    """
    if target:
        return _of_target(config, overrides, target, json)
    from pipeline import doctor as examination
    from pipeline import output

    findings = [*examination.examine(root), *_of_store(root, fix)]
    if json:
        output.print_json([finding.model_dump() for finding in findings])
    else:
        output.print_table(examination.table(findings))
    bad = [finding for finding in findings if not finding.ok]
    return 1 if any(finding.needed or finding.name.startswith(STORE) for finding in bad) else 0


def _of_store(root: Path, fix: bool) -> list[Any]:
    """Troubles of the root's store as findings; none where nothing ran yet."""
    from components.errors import TaxiwayError
    from pipeline.care import examine
    from pipeline.doctor import Finding
    from pipeline.kubeflow import records

    place = Root.at(root)
    if not any(path.exists() for path in (place.metadata, place.serving, place.runs, place.path / records.FOLDER)):
        return []
    try:
        troubles = examine.fix(place) if fix else examine.examine(place)
    except TaxiwayError as error:  # what the machine can do is worth saying all the same
        return [Finding(name=STORE, ok=False, detail=str(error))]
    sound = [] if troubles else [Finding(name=STORE, ok=True, detail="everything is as it should be")]
    return [*sound, *(Finding(name=f"{STORE}: {each.kind}", ok=False, detail=each.sentence()) for each in troubles)]


def _of_target(config: Path | None, overrides: list[str] | None, target: str, json: bool) -> int:
    """Exit code 1 where the target would refuse the pipeline."""
    from pipeline.commands.kubeflow import quiet

    quiet()
    from pipeline import output
    from pipeline.kubeflow import commands

    findings = commands.examine(config, overrides or (), target)
    if json:
        output.print_json([finding.model_dump() for finding in findings])
    else:
        output.print_table(commands.findings_table(findings))
    return 1 if any(finding.level == "refused" for finding in findings) else 0
