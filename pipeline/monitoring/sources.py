"""What a version's traffic is judged by: the version, its training reference, its log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from taxiway.components.errors import ServingError
from taxiway.components.gates.reference_statistics import find_version_reference
from taxiway.components.saved_models.decision_rule import read_threshold
from taxiway.components.saved_models.signature_inputs import SignatureInput, read_signature_inputs
from taxiway.components.saved_models.training_reference import TrainingReference, read_reference
from taxiway.components.serving.config import REQUEST_LOG_FOLDER, ServingConfig
from taxiway.components.serving.versions import server_files
from taxiway.components.serving.versions.directory import Version
from taxiway.components.serving.versions.version import check_readable
from taxiway.components.tables.reading_rules import ReadingRules, read_rules
from taxiway.pipeline.root import Root
from taxiway.pipeline.serving.versions import open_directory

TIMES = "a time, or a part of one: a window has other times than training"
LEFT_OUT = "serving.monitoring.leave_out"


@dataclass(frozen=True)
class MonitoredVersion:
    """A version, and what its traffic is compared with.

    Attributes:
        root: The root.
        model: Name of the model.
        version: The version.
        settings: Settings of the last push.
        inputs: Tensors of its `serving_raw`.
        reference: What its training looked like.
        rules: How training read its rows; None: the version does not say.
        threshold: Score above which a binary model decides for the second class.
    """

    root: Root
    model: str
    version: Version
    settings: ServingConfig
    inputs: dict[str, SignatureInput]
    reference: TrainingReference
    rules: ReadingRules | None
    threshold: float

    @property
    def log_folder(self) -> Path:
        """Where the embedded server logs."""
        return self.version.path.parent / REQUEST_LOG_FOLDER

    @property
    def columns(self) -> set[str]:
        """The columns that the model takes; empty where it does not say."""
        return {entry.column for entry in self.inputs.values()}

    def find_unjudged(self, leave_out: Iterable[str] = ()) -> dict[str, str]:
        """Reason by column: times, and those that are left out."""
        times = dict.fromkeys(list_time_columns(self.rules), TIMES)
        return times | dict.fromkeys(leave_out, LEFT_OUT)


def open_version(root: Root, model: str | None, number: int | None) -> MonitoredVersion:
    """A version and its reference.

    Args:
        root: The root.
        model: Name of the model; None: the only one.
        number: Number of the version; None: the live one.

    Raises:
        UsageError: There is no such model.
        ServingError: There is no such version, or nothing to compare its traffic with.
    """
    directory = open_directory(root.path, model)
    version = directory.get_version(number) if number is not None else directory.find_live()
    if version is None:
        raise ServingError(f"{directory.base} has no version.", "Push one first: taxiway run.")
    check_readable(version)
    name = directory.base.name
    folder = root.statistics / name
    kept = find_version_reference(folder, version.path, f"the training data of version {version.number}")
    reference = read_reference(version.path, kept.file)
    if reference is None:
        raise ServingError(
            f"Version {version.number} of {name} carries no training statistics, and {kept.why}: there is nothing to "
            "compare its traffic with.",
            "Push a version with this Taxiway (taxiway run): it carries them in assets.extra.",
        )
    settings, inputs = server_files.read_settings(directory), read_signature_inputs(version.path)
    rules, threshold = read_rules(version.path), read_threshold(version.path)
    return MonitoredVersion(root, name, version, settings, inputs, reference, rules, threshold)


def list_time_columns(rules: ReadingRules | None) -> list[str]:
    """Times, and what training made of them."""
    if rules is None:
        return []
    times = [name for name, kind in rules.kinds.items() if kind.partition(":")[0] == "time"]
    calendar = rules.table.get("calendar") or {}
    return [*times, *(f"{source}_{part}" for source, parts in calendar.items() for part in parts)]
