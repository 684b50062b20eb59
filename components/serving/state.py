"""What a serving directory remembers beside its versions: labels, and digests that were rolled back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.errors import ServingError
from components.serving import files, manifest


@dataclass(frozen=True)
class State:
    """Labels and quarantine of one serving directory.

    Attributes:
        labels: Label to version number.
        quarantined: Digest to `{"version", "reason", "time"}`: models that a rollback took back. A push of the same
            bytes is refused unless it is forced.
    """

    labels: Mapping[str, int] = field(default_factory=dict)
    quarantined: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def with_label(self, label: str, version: int) -> State:
        return State({**self.labels, label: version}, self.quarantined)

    def without_label(self, label: str) -> State:
        return State({name: number for name, number in self.labels.items() if name != label}, self.quarantined)

    def with_quarantined(self, digest: str, entry: Mapping[str, Any]) -> State:
        return State(self.labels, {**self.quarantined, digest: dict(entry)})

    def without_quarantined(self, digest: str) -> State:
        return State(self.labels, {known: entry for known, entry in self.quarantined.items() if known != digest})


def read_state(path: Path) -> State:
    """The state in a file, or an empty one where there is none.

    Raises:
        ServingError: The file is damaged or of a newer Taxiway.
    """
    stored = manifest.read_json(path) or {}
    try:
        labels = {str(label): int(number) for label, number in stored.get("labels", {}).items()}
        return State(labels, dict(stored.get("quarantined", {})))
    except (AttributeError, TypeError, ValueError) as error:
        raise ServingError(
            f"{path} is damaged: {error}.", "Remove it: labels and quarantine are then forgotten."
        ) from error


def write_state(path: Path, state: State) -> None:
    """Replaces the file."""
    files.replace_file(path, manifest.dump_json({"labels": dict(state.labels), "quarantined": dict(state.quarantined)}))
