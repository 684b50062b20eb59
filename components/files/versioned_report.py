"""Reads JSON reports that carry a format version: a file of another version than the reader's is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxiway.components.errors import (
    DataError,
    OptimizationError,
    ServingError,
    StoreError,
    TaxiwayError,
    TrainingError,
)


@dataclass(frozen=True)
class ReportFormat:
    """A kind of report. A file without `version` is taken for this version.

    Attributes:
        kind: Name of the report with its article, for messages.
        writer: What writes it, for messages.
        error: Class of the error that refuses another version.
        version: The only version that is read.
    """

    kind: str
    writer: str
    error: type[TaxiwayError]
    version: int = 1

    def check_version(self, content: Any, file: Path) -> None:
        """Call it before the fields are compared with this version's.

        Raises:
            TaxiwayError: `error`; the file has another version.
        """
        version = content.get("version", self.version) if isinstance(content, dict) else self.version
        if version != self.version:
            raise self.error(
                f"{file} is {self.kind} of format version {version!r}; this Taxiway reads version {self.version}.",
                f"Read it with the Taxiway that wrote it, or run {self.writer} again to write a new one.",
            )

    def read_report(self, file: Path) -> Any:
        """The file's JSON.

        Raises:
            TaxiwayError: As `check_version`.
            ValueError: The file is no JSON.
            OSError: The file cannot be read.
        """
        content = json.loads(file.read_text(encoding="utf-8"))
        self.check_version(content, file)
        return content


INGEST_NOTES = ReportFormat("a record of ingested data", "ExampleGen", DataError)
OPTIMIZATION_REPORT = ReportFormat("an optimization report", "the optimizer", OptimizationError)
SERVING_REPORT = ReportFormat("a serving report", "the serving validator", ServingError)
EXPLANATION_REPORT = ReportFormat("an explanation of a model", "the explainer", StoreError)
PUSH_REPORT = ReportFormat("a push's report", "the pusher", ServingError)
TRAINING_HISTORY = ReportFormat("a training history", "the trainer", TrainingError)
TUNING_REPORT = ReportFormat("a report of trials", "the tuner", TrainingError)
GATE_VERDICT = ReportFormat("a gate's verdict", "the gate", StoreError)
SERVING_VERDICT = ReportFormat("a verdict on a served version", "taxiway monitor", StoreError)
WATCH_STATE = ReportFormat("the state of a watch", "taxiway watch", StoreError)
