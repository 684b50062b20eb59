"""The push as the pusher does it: into the directory, then the files around the versions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taxiway.components.contract import LINEAGE_FILE, READING_RULES_FILE
from taxiway.components.errors import ServingError
from taxiway.components.processes import subprocesses
from taxiway.components.saved_models.manifest import EXTRA
from taxiway.components.serving.config import ServingConfig
from taxiway.components.serving.versions import server_files
from taxiway.components.serving.versions.candidates.candidate import Trial
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.components.serving.versions.push_result import PushResult


def push_model(
    model: str | Path,
    base: str | Path,
    name: str,
    provenance: Mapping[str, Any],
    config: ServingConfig,
    *,
    expected_digest: str = "",
    validated: str | Path | None = None,
    lineage: str | Path | None = None,
    reading_rules: str | Path | None = None,
    force: bool = False,
) -> PushResult:
    """Pushes a SavedModel, retires old versions and writes the server's files.

    Args:
        model: The SavedModel.
        base: The serving directory.
        name: Name under which the server knows the model.
        provenance: Result of `provenance.build_provenance`.
        config: Retention, lock, server files.
        expected_digest: Digest of what the serving validator tried; empty: it tried nothing.
        validated: Folder whose `assets.extra/` holds what the validator made for the model (warm-up requests).
        lineage: JSON file that the version carries as its lineage.
        reading_rules: JSON file that the version carries: how training read its rows.
        force: Push even what is live or quarantined.

    Raises:
        ServingError: Nothing was pushed; the live version is as it was. Or it was, and could not be published: the
            message says so.
    """
    directory = ServingDirectory(base, lock_timeout_seconds=config.lock_timeout_seconds)
    extra_files = _list_extra_files(validated, {LINEAGE_FILE: lineage, READING_RULES_FILE: reading_rules})
    result = directory.push(
        model,
        provenance,
        extra_files=extra_files,
        expected_digest=expected_digest,
        force=force,
        trial=make_trial(config),
    )
    if result.pushed:
        directory.retain_newest(config.versions_kept)
        server_files.write_files(directory, name, config)
    publish_versions(directory, name, config)
    return result


def make_trial(config: ServingConfig) -> Trial | None:
    """How a push is tried beside the live version; None: it becomes live at once."""
    if config.promotion == "immediate":
        return None
    shares = (config.rollout.shadow_share,) if config.promotion == "shadow" else config.rollout.canary_shares
    return Trial(config.promotion, shares)


def _list_extra_files(validated: str | Path | None, others: Mapping[str, str | Path | None]) -> dict[str, str | Path]:
    """Name in `assets.extra/` to the file that becomes it: the validator's files and others."""
    extra = Path(validated, EXTRA) if validated else None
    made_files = extra.iterdir() if extra and extra.is_dir() else ()
    others_by_name = {Path(name).name: file for name, file in others.items() if file}
    return {file.name: file for file in made_files} | others_by_name


def publish_versions(directory: ServingDirectory, name: str, config: ServingConfig) -> None:
    """Makes the object store hold what the directory holds, where the configuration names one.

    Raises:
        ServingError: The store did not take it. The directory's live version stays; doing it again completes the copy.
    """
    if not config.publish_to:
        return
    job = {
        "base": str(directory.base),
        "name": name,
        "url": config.publish_to,
        "config": config.model_dump_json(exclude={"publish_to"}),
    }
    outcome = subprocesses.run_module(
        "taxiway.components.serving.versions.object_store", job, None, timeout_seconds=config.publish_timeout_seconds
    )
    if not outcome.ok and "problem" not in outcome.details:
        raise ServingError(
            f"The versions of {directory.base} were not copied to {config.publish_to}: {outcome.error}\n"
            f"{outcome.log_tail}",
            "They are live in the serving directory. Run again: what is missing is copied.",
        )
    subprocesses.raise_child_error(outcome, ServingError)


def make_refused_result(base: str | Path, why: str) -> PushResult:
    """The result where a gate refused the candidate: nothing changes."""
    live = ServingDirectory(base).find_live()
    number, path = (live.number, live.path) if live else (None, None)
    return PushResult(False, number, path, "", f"not pushed: {why}")
