"""`taxiway doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands import options
from pipeline.layout import DEFAULT_ROOT


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
    json: options.Json = False,
) -> int:
    """Says what this machine can and cannot do, and why. Exit code 1 where it cannot run the pipeline."""
    if target:
        return _of_target(config, overrides, target, json)
    from pipeline import doctor as examination
    from pipeline import output

    findings = examination.examine(root)
    if json:
        output.print_json([finding.model_dump() for finding in findings])
    else:
        output.print_table(examination.table(findings))
    return 0 if all(finding.ok or not finding.needed for finding in findings) else 1


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
