"""`taxiway doctor`."""

from __future__ import annotations

import typer

from pipeline.commands import options
from pipeline.layout import DEFAULT_ROOT


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("doctor", rich_help_panel="This machine")(doctor)


def doctor(root: options.Root = DEFAULT_ROOT, json: options.Json = False) -> int:
    """Says what this machine can and cannot do, and why. Exit code 1 where it cannot run the pipeline."""
    from pipeline import doctor as examination
    from pipeline import output

    findings = examination.examine(root)
    if json:
        output.print_json([finding.model_dump() for finding in findings])
    else:
        output.print_table(examination.table(findings))
    return 0 if all(finding.ok or not finding.needed for finding in findings) else 1
