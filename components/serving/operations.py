"""What people do to a serving directory beside pushing: roll back, promote, verify."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from components.errors import StoreError
from components.serving import manifest, push, record, server_files
from components.serving.directory import PushResult, ServingDirectory


@dataclass(frozen=True)
class Rollback:
    """A rollback that was made.

    Attributes:
        result: The new version.
        execution: Its id in ML Metadata; None where it is not recorded there.
        not_recorded: Why not; empty where it is.
    """

    result: PushResult
    execution: int | None
    not_recorded: str


def rollback(
    directory: ServingDirectory, model: str, metadata: Path | None, to: int | None = None, reason: str = ""
) -> Rollback:
    """Makes an earlier version live again, records it in ML Metadata, and writes the server's files anew.

    Args:
        directory: Of the model.
        model: Its name.
        metadata: The sqlite file of ML Metadata; None or not there: the rollback is not recorded.
        to: The version whose bytes return; None: see `ServingDirectory.rollback`.
        reason: For the records.

    Raises:
        ServingError: There is nothing to return to. The live version is then as it was.
    """
    result = directory.rollback(to, reason=reason)
    settings = server_files.settings(directory)
    server_files.write(directory, model, settings)
    execution, not_recorded = _record(directory, model, metadata, result)
    push.publish(directory, model, settings)
    return Rollback(result, execution, not_recorded)


def _record(
    directory: ServingDirectory, model: str, metadata: Path | None, result: PushResult
) -> tuple[int | None, str]:
    """The execution's id, and why there is none."""
    if metadata is None or not metadata.exists() or not metadata.stat().st_size:  # ML Metadata would begin a new one
        return None, "there is no metadata store"
    try:
        return record.rollback(metadata, model, directory.base, result), ""
    except StoreError as error:  # the rollback itself stands
        return None, str(error)


def promote(directory: ServingDirectory, model: str, number: int, label: str) -> None:
    """Gives a label to a version and writes the server's files anew.

    Raises:
        ServingError: There is no such version, or it is no label.
    """
    directory.promote(number, label)
    _tell_servers(directory, model)


def demote(directory: ServingDirectory, model: str, label: str) -> None:
    """Takes a label away and writes the server's files anew.

    Raises:
        ServingError: There is no such label.
    """
    directory.demote(label)
    _tell_servers(directory, model)


def _tell_servers(directory: ServingDirectory, model: str) -> None:
    """Writes the server's files anew, and the object store's copy where the last push had one."""
    settings = server_files.settings(directory)
    server_files.write(directory, model, settings)
    push.publish(directory, model, settings)


@dataclass(frozen=True)
class Verified:
    """What a look at a servable anywhere found.

    Attributes:
        digest: Of the model.
        problems: What is wrong, one sentence each; empty when it may be served.
        has_manifest: A push of ours made it, so that every byte could be compared.
    """

    digest: str
    problems: list[str]
    has_manifest: bool

    @property
    def ok(self) -> bool:
        return not self.problems


def verify(folder: str | Path, also_allowed: tuple[str, ...] = ()) -> Verified:
    """Checks a SavedModel as a program, and its bytes against its manifest where it has one. Nothing is loaded.

    Args:
        folder: Of the SavedModel; a version, or a copy of one on any machine.
        also_allowed: Ops allowed beside the list.

    Raises:
        ServingError: It is no SavedModel, or holds a symbolic link.
    """
    from components.serving import ops

    folder = Path(folder)
    problems = ops.check_folder(folder, also_allowed)
    stored = manifest.read_manifest(folder)
    if stored:
        problems += manifest.differences(folder, stored)
    return Verified(manifest.digest_folder(folder) if not problems else "", problems, stored is not None)
