"""State of a serving directory beside its versions: labels, digests that were rolled back, the candidate, numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from taxiway.components.errors import ServingError
from taxiway.components.files import durable_files
from taxiway.components.saved_models import manifest
from taxiway.components.serving.versions.candidates.candidate import Candidate, parse_candidate
from taxiway.components.serving.versions.candidates.numbers import Ranges, add_numbers

_FORGOTTEN = (
    "Without it the live version stays live; labels, quarantine, candidate and numbers are then forgotten, so that a "
    "model that a rollback took back may be pushed again."
)


@dataclass(frozen=True)
class DirectoryState:
    """Labels and quarantine of one serving directory.

    Attributes:
        labels: Label to version number.
        quarantined: Digest to `{"version", "reason", "time"}`: models that a rollback took back. A push of the same
            bytes is refused unless it is forced.
        candidate: The version that is tried beside the live one; None: none.
        numbers: Numbers that versions were given here, also of those that are gone; see `candidates.numbers`.
    """

    labels: Mapping[str, int] = field(default_factory=dict)
    quarantined: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    candidate: Candidate | None = None
    numbers: Ranges = ()

    def with_label(self, label: str, version: int) -> DirectoryState:
        return replace(self, labels={**self.labels, label: version})

    def without_label(self, label: str) -> DirectoryState:
        return replace(self, labels={name: number for name, number in self.labels.items() if name != label})

    def check_free(self, label: str) -> None:
        """Refuses to move the label by which clients and retention know the candidate.

        Raises:
            ServingError: It names the candidate.
        """
        if self.candidate and label == self.candidate.policy:
            raise ServingError(
                f"The label {label!r} names the candidate, version {self.candidate.version}, as long as it is tried.",
                "Make the candidate live with taxiway promote, or take it back with taxiway rollback.",
            )

    def with_quarantined(self, digest: str, entry: Mapping[str, Any]) -> DirectoryState:
        return replace(self, quarantined={**self.quarantined, digest: dict(entry)})

    def without_quarantined(self, digest: str) -> DirectoryState:
        return replace(self, quarantined={each: entry for each, entry in self.quarantined.items() if each != digest})

    def with_numbers(self, *numbers: int) -> DirectoryState:
        """With further numbers that were given."""
        return replace(self, numbers=add_numbers(self.numbers, numbers))

    def with_candidate(self, candidate: Candidate) -> DirectoryState:
        """With this candidate, which its label names, in the place of another one."""
        return replace(self.without_candidate().with_label(candidate.policy, candidate.version), candidate=candidate)

    def without_candidate(self) -> DirectoryState:
        """Without candidate and without its label."""
        if self.candidate is None:
            return self
        return replace(self.without_label(self.candidate.policy), candidate=None)


def read_state(path: Path) -> DirectoryState:
    """The state in a file, or an empty one where there is none.

    Raises:
        ServingError: The file is damaged or of a newer Taxiway.
    """
    remedy = f"Put {path} back from a backup, or remove it. {_FORGOTTEN}"
    stored = manifest.read_versioned_json(path, remedy) or {}
    try:
        labels = {str(label): int(number) for label, number in stored.get("labels", {}).items()}
        numbers = add_numbers(tuple((int(first), int(last)) for first, last in stored.get("numbers", [])), ())
        candidate = parse_candidate(stored.get("candidate"))
        quarantined = {digest: dict(entry) for digest, entry in stored.get("quarantined", {}).items()}
        return DirectoryState(labels, quarantined, candidate, numbers)
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        raise ServingError(f"{path} is damaged: {error}.", remedy) from error


def write_state(path: Path, state: DirectoryState) -> None:
    """Replaces the file."""
    content: dict[str, Any] = {"labels": dict(state.labels), "quarantined": dict(state.quarantined)}
    if state.candidate:
        content["candidate"] = state.candidate.to_json()
    if state.numbers:
        content["numbers"] = [list(each) for each in state.numbers]
    durable_files.replace_file(path, manifest.dump_versioned_json(content))
