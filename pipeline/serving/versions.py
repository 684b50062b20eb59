"""The serving directory as the command line shows it. Neither TFX nor TensorFlow is imported to list versions."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from taxiway.components.errors import UsageError, suggest_matches
from taxiway.components.saved_models import model_versions
from taxiway.components.serving.requests import local_predict as prediction
from taxiway.components.serving.requests.bulk_predict import BulkResult
from taxiway.components.serving.requests.local_predict import PredictResult
from taxiway.components.serving.safety import load_check
from taxiway.components.serving.safety.load_check import VerifyResult
from taxiway.components.serving.versions import operations
from taxiway.components.serving.versions.action_log import Actor
from taxiway.components.serving.versions.directory import ServingDirectory, Version
from taxiway.pipeline.console import printing, progress
from taxiway.pipeline.root import Root
from taxiway.pipeline.serving import row_files

DEFAULT_MODEL = "taxi"
LOCK_SECONDS = 600.0
"""Time that a command waits for another change of a serving directory."""


def open_directory(
    root: str | Path, model: str | None = None, lock_timeout_seconds: float = LOCK_SECONDS
) -> ServingDirectory:
    """The serving directory of a model.

    Args:
        root: The root, or its path.
        model: The model's name; where None the only one under the root, `taxi` where there are several.
        lock_timeout_seconds: Time to wait for another change of the directory.

    Raises:
        UsageError: There is no such model.
    """
    place = Root.at(root)
    models, name = list_models(place), choose_model(place, model)
    if name in models:
        return ServingDirectory(place.serving / name, lock_timeout_seconds=lock_timeout_seconds)
    if not models:
        raise UsageError(f"Nothing has been pushed under {place.path} yet.", "Make a run with: taxiway run")
    raise UsageError(f"There is no model {name!r} under {place.serving}.", suggest_matches(name, models))


def choose_model(root: Root, model: str | None) -> str:
    """The model's name; where None the only one that has a version, `taxi` where there are several or none."""
    models = list_models(root)
    return model or (models[0] if len(models) == 1 else DEFAULT_MODEL)


def list_models(root: Root) -> list[str]:
    """Names of the models that have a version."""
    if not root.serving.is_dir():
        return []
    return sorted(folder.name for folder in root.serving.iterdir() if model_versions.list_version_folders(folder))


def list_versions(root: str | Path, model: str | None = None) -> list[Version]:
    """The versions of a model, newest first.

    Raises:
        UsageError: There is no such model.
    """
    return open_directory(root, model).list_versions()[::-1]


def list_notes(root: str | Path, model: str | None = None) -> list[str]:
    """Notes on numbers of a model's versions that may mislead a reader, a sentence each."""
    return open_directory(root, model).list_notes()


def version_to_json(version: Version) -> dict[str, Any]:
    """One version as JSON values."""
    return {
        "version": version.number,
        "live": version.live,
        "labels": list(version.labels),
        "quarantine": dict(version.quarantine) if version.quarantine else None,
        "candidate": version.candidate.to_json() if version.candidate else None,
        "problem": version.problem,
        "path": str(version.path),
        "digest": version.digest,
        "bytes": version.total_bytes,
        "pushed_at": version.pushed_at,
        "provenance": dict(version.provenance),
    }


def make_versions_table(versions: Iterable[Version]) -> Table:
    """The versions as a table."""
    lines = [
        (
            str(version.number),
            _format_status(version),
            printing.escape_markup(", ".join(version.labels)),
            printing.format_time(version.pushed_at),
            printing.format_bytes(version.total_bytes),
            printing.escape_markup(version.provenance.get("variant") or "–"),
            printing.escape_markup(_format_quality(version.provenance) or "–"),
            _format_origin(version.provenance),
            version.digest.removeprefix("sha256:")[:12],
        )
        for version in versions
    ]
    columns = ("version", "", "labels", "pushed", "size", "variant", "quality", "from", "digest")
    return printing.make_table("", columns, lines, right=("size",))


def _format_status(version: Version) -> str:
    """Live, a candidate with its share, quarantined, damaged, or several of them; nothing where it is none."""
    words = ["[green]live[/]"] if version.live else []
    if version.candidate:
        words.append(f"[yellow]{version.candidate.policy} {version.candidate.share * 100:.3g} %[/]")
    words += ["[red]quarantined[/]"] if version.quarantine else []
    return " ".join([*words, *(["[red]damaged[/]"] if version.problem else [])])


def _format_quality(provenance: Mapping[str, Any]) -> str | None:
    value = provenance.get("quality")
    value = value.get("value") if isinstance(value, Mapping) else value
    return f"{provenance.get('metric', '')} {value:.4f}".strip() if isinstance(value, (int, float)) else None


def _format_origin(provenance: Mapping[str, Any]) -> str | None:
    if provenance.get("rollback_of"):
        return printing.escape_markup(f"rollback of {provenance['rollback_of']}")
    if provenance.get("promoted_from"):
        return printing.escape_markup(f"candidate {provenance['promoted_from']}")
    return printing.escape_markup(f"run {provenance['run_id']}") if provenance.get("run_id") else None


def roll_back_version(
    root: str | Path,
    model: str | None,
    version: int | None,
    reason: str,
    actor: Actor | None = None,
    *,
    seen_live: int | None = None,
    lock_timeout_seconds: float = LOCK_SECONDS,
) -> dict[str, Any]:
    """Makes an earlier version live again.

    Args:
        root: The root.
        model: The model's name; see `open_directory`.
        version: The version whose bytes return; None: see `ServingDirectory.rollback`.
        reason: Reason, for the records.
        actor: Who does it; None: the process's user, on the command line.
        seen_live: The version that was live when it was decided; None: not compared.
        lock_timeout_seconds: Time to wait for another change of the directory.

    Returns:
        `version`, `path`, `reason`, `execution` (in ML Metadata), `not_recorded` (why there is none) and `unfinished`
        (what else failed after the version went live).

    Raises:
        UsageError: There is no such model.
        ServingError: There is nothing to return to, or another version is live; the live version is as it was.
    """
    directory = open_directory(root, model, lock_timeout_seconds)
    open_store = partial(open_metadata_store, Root.at(root))
    rollback = operations.rollback_version(
        directory, directory.base.name, open_store, version, reason, actor, seen_live=seen_live
    )
    return {
        "version": rollback.result.version,
        "path": str(rollback.result.path),
        "reason": rollback.result.reason,
        "execution": rollback.execution,
        "not_recorded": rollback.not_recorded,
        "unfinished": list(rollback.unfinished),
    }


def open_metadata_store(root: Root) -> Any:
    """ML Metadata's store, opened for writing; None where the root has none."""
    from taxiway.pipeline.tracking.store import mlmd_connection, store_file

    return mlmd_connection.open_for_writing(root.metadata) if store_file.has_store_file(root) else None


def promote_version(
    root: str | Path,
    model: str | None,
    version: int,
    label: str,
    actor: Actor | None = None,
    *,
    seen_live: int | None = None,
    lock_timeout_seconds: float = LOCK_SECONDS,
) -> tuple[str, ...]:
    """Gives a label to a version.

    Args:
        root: The root.
        model: The model's name; see `open_directory`.
        version: The version.
        label: The label.
        actor: Who does it and why; None: the process's user, on the command line.
        seen_live: The version that was live when it was decided; None: not compared.
        lock_timeout_seconds: Time to wait for another change of the directory.

    Returns:
        What failed after the label was given, a sentence each.

    Raises:
        UsageError: There is no such model.
        ServingError: There is no such version, or it is no label. Nothing was changed.
    """
    directory = open_directory(root, model, lock_timeout_seconds)
    return operations.promote_version(directory, directory.base.name, version, label, actor, seen_live=seen_live)


def remove_label(
    root: str | Path,
    model: str | None,
    label: str,
    actor: Actor | None = None,
    *,
    seen_version: int | None = None,
    lock_timeout_seconds: float = LOCK_SECONDS,
) -> tuple[int, tuple[str, ...]]:
    """Takes a label away from the version that has it.

    Args:
        root: The root.
        model: The model's name; see `open_directory`.
        label: The label.
        actor: Who does it and why; None: the process's user, on the command line.
        seen_version: The version that had the label when it was decided; None: not compared.
        lock_timeout_seconds: Time to wait for another change of the directory.

    Returns:
        The version, and what failed after the label was taken away, a sentence each.

    Raises:
        UsageError: There is no such model.
        ServingError: There is no such label, or another version has it. Nothing was changed.
    """
    directory = open_directory(root, model, lock_timeout_seconds)
    return operations.demote_label(directory, directory.base.name, label, actor, seen_version=seen_version)


def verify_model(folder: Path) -> VerifyResult:
    """Checks a SavedModel anywhere; see `load_check.verify_model`."""
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.", "Name a version's folder, or a copy of one.")
    with tempfile.TemporaryDirectory(prefix="taxiway-") as logs, progress.redirect_output(Path(logs, "log.txt")):
        return load_check.verify_model(folder)  # it reads protos through TensorFlow, which has much to say


def format_verification(folder: Path, result: VerifyResult) -> str:
    """What `taxiway verify` prints."""
    if result.ok:
        against = "every byte as it was pushed" if result.has_manifest else "no manifest, so only its operations"
        return f"[green]ok[/] {printing.escape_markup(folder)}: {against}\ndigest {result.digest}"
    problems = "\n".join(f"  {printing.escape_lines(problem)}" for problem in result.problems)
    return f"[red]bad[/] {printing.escape_markup(folder)}:\n{problems}"


def predict_rows(
    root: str | Path,
    model: str | None,
    version: int | None,
    file: Path | None,
    limit: int | None,
    allowed_ops: Sequence[str] = (),
) -> PredictResult:
    """Scores rows with one version, in a process of its own.

    Args:
        root: The root.
        model: The model's name; see `open_directory`.
        version: Number of the version; None: the live one.
        file: Rows; None or `-`: standard input.
        limit: Most rows; None: all.
        allowed_ops: TensorFlow ops allowed beside the list.

    Raises:
        UsageError: There is no such model.
        DataError: Rows that cannot be read.
        ServingError: There is no such version, or it cannot be loaded.
    """
    base = open_directory(root, model).base
    with row_files.open_rows(file, limit) as source:
        return prediction.predict_locally(base, source, version=version, allowed_ops=allowed_ops)


def predict_by_server(
    url: str,
    root: str | Path,
    model: str | None,
    version: int | None,
    label: str,
    file: Path | None,
    limit: int | None,
) -> PredictResult:
    """Scores rows by asking a server of TensorFlow Serving's API.

    Args:
        url: Address of its REST API.
        root: Root under which the version may lie too, with the rules by which its training read rows.
        model: The model's name there; None: the only one under the root, else `taxi`.
        version: Number of the version to ask.
        label: Label of the version to ask. Without number and label: the latest.
        file: Rows; None or `-`: standard input.
        limit: Most rows; None: all.

    Raises:
        ServingError: No server answers, or it answers with an error.
        DataError: Rows that cannot be read, or do not fit the model.
    """
    from taxiway.components.serving.requests import remote_predict

    name = choose_model(Root.at(root), model)
    base = Root.at(root).serving / name
    with row_files.open_rows(file, limit) as source:
        return remote_predict.predict_remotely(url, name, source, version=version, label=label, serving_directory=base)


def score_files(
    root: str | Path,
    model: str | None,
    version: int | None,
    file: Path | None,
    to: Path,
    allowed_ops: Sequence[str] = (),
) -> BulkResult:
    """Scores a file or a glob in bulk on Beam.

    Raises:
        UsageError: No file, or no such model.
        ServingError: There is no such version, or it cannot be loaded.
        DataError: The files cannot be read, or do not fit the model.
    """
    from taxiway.components.serving.requests import bulk_predict

    if file is None or str(file) == "-":
        raise UsageError("Bulk scoring reads files, not standard input.", "Name a file, or a glob in quotes.")
    return bulk_predict.score_files(
        open_directory(root, model).base, str(file), to, version=version, allowed_ops=allowed_ops
    )


def make_answers_table(scored: PredictResult) -> Table:
    """One line a row, one column an output."""
    columns = list(scored.answers[0]) if scored.answers else []
    lines = [
        (number, *(_format_cell(answer[c]) for c in columns)) for number, answer in enumerate(scored.answers, start=1)
    ]
    table = printing.make_table(f"version {scored.version}", ("row", *columns), lines, right=("row", *columns))
    if scored.ignored:
        table.caption = printing.escape_markup(f"not used by the model: {', '.join(scored.ignored)}")
        table.caption_justify = "left"
    return table


def _format_cell(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return _format_cell(value[0]) if len(value) == 1 else " ".join(_format_cell(part) for part in value)
    return f"{value:.6g}" if isinstance(value, float) else printing.escape_markup(value)
