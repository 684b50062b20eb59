"""The verdict of a gate: findings, numbers, and whether the run goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from taxiway.components.config_section import Section
from taxiway.components.files.versioned_report import GATE_VERDICT

VERDICT_FILE = "verdict.json"
VERDICT_VERSION: Literal[1] = 1


class GateFinding(Section):
    """One thing that a gate found."""

    rule: str
    """The rule that was broken, such as `ENUM_TYPE_UNEXPECTED_STRING_VALUES` or `min_rows`."""
    explanation: str
    """What a person reads: the value found, and what was expected."""
    split: str = ""
    column: str = ""
    blocking: bool = True


class VerdictRecord(Section):
    """A gate's verdict, written as `verdict.json`."""

    version: Literal[1] = VERDICT_VERSION
    gate: str
    findings: tuple[GateFinding, ...] = ()
    numbers: dict[str, Any] = Field(default_factory=dict)
    """What was measured, by name; each gate documents its own."""

    @property
    def passed(self) -> bool:
        return not any(finding.blocking for finding in self.findings)

    @property
    def reason(self) -> str:
        """One sentence: the first blocking finding, and how many more there are; empty where it passed."""
        blocking = [finding for finding in self.findings if finding.blocking]
        if not blocking:
            return ""
        first = blocking[0]
        where = f"{first.column}: " if first.column else ""
        more = f" (and {len(blocking) - 1} more)" if len(blocking) > 1 else ""
        return f"{where}{first.explanation}{more}"

    def write_verdict(self, folder: str | Path) -> None:
        payload = self.model_copy().model_dump_json(indent=2)
        Path(folder, VERDICT_FILE).write_text(payload, encoding="utf-8")

    @classmethod
    def read_verdict(cls, folder: str | Path) -> VerdictRecord:
        """The verdict in a folder.

        Raises:
            StoreError: It has another format version.
        """
        return cls.model_validate(GATE_VERDICT.read_report(Path(folder, VERDICT_FILE)))
