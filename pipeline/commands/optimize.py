"""`taxiway optimize`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("optimize", rich_help_panel="What happened")(optimize)


def optimize(
    variant: Annotated[str, typer.Argument(help="A variant of the report, such as `structured_pruned+int8_weights`.")],
    report: Annotated[
        Path, typer.Option("--reproduce", help="The optimizer's report: its file, or the folder that holds it.")
    ],
    out: Annotated[Path, typer.Option("-o", "--output", help="A folder that does not exist or is empty.")] = Path(
        "reproduced"
    ),
) -> int:
    """Makes one variant of an optimizer's report again, and says what differs from the first time."""
    from components.optimizer.reproduction import reproduce
    from pipeline import output

    console = output.console()
    with console.status(f"making {variant} again"):
        made = reproduce(report, variant, out)
    console.print(f"{variant} is in {made.folder}", soft_wrap=True, markup=False)
    for difference in made.differences:
        console.print(f"  {difference}", soft_wrap=True, markup=False)
    return 0
