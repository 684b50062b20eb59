"""What was found of one thing that a run on a cluster needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from rich.table import Table

from taxiway.components.config_section import Section
from taxiway.pipeline.console import printing

State = Literal["ok", "failed", "unknown"]
_MARKS = {"ok": "[green]yes[/]", "failed": "[bold red]NO[/]", "unknown": "[yellow]?[/]"}


class ServerFinding(Section):
    """One thing that a run needs, and whether it is there."""

    name: str
    state: State
    """`unknown`: it cannot be seen from this machine, or may be well for the cluster all the same."""
    detail: str
    remedy: str = ""


def make_findings_table(findings: Iterable[ServerFinding]) -> Table:
    """The findings, one a line."""
    rows = [
        (_MARKS[each.state], each.name, printing.escape_lines(f"{each.detail} {each.remedy}".strip()))
        for each in findings
    ]
    return printing.make_table("", ("", "what", "found"), rows)
