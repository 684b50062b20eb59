"""The push as the pusher does it: into the directory, then the files around the versions."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components import subprocesses
from components.contract import LINEAGE_FILE, READING_RULES_FILE
from components.errors import ServingError
from components.serving import server_files
from components.serving.config import ServingConfig
from components.serving.directory import PushResult, ServingDirectory
from components.serving.manifest import EXTRA


def push(
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
    """Pushes a SavedModel and tidies up.

    Args:
        model: The SavedModel.
        base: The serving directory.
        name: Under which the server knows the model.
        provenance: See `provenance.record`.
        config: Retention, lock, server files.
        expected_digest: Of what the serving validator tried; empty: it tried nothing.
        validated: Folder whose `assets.extra/` holds what the validator made for the model (warm-up requests).
        lineage: JSON file that the version carries as its lineage.
        reading_rules: JSON file that the version carries: how training read its rows.
        force: Push even what is live or quarantined.

    Raises:
        ServingError: Nothing was pushed; the live version is as it was. Or it was, and could not be published: the
            message says so.
    """
    directory = ServingDirectory(base, lock_timeout_seconds=config.lock_timeout_seconds)
    extra = Path(validated, EXTRA) if validated else None
    extra_files = {file.name: file for file in sorted(extra.iterdir())} if extra and extra.is_dir() else {}
    if lineage:
        extra_files[Path(LINEAGE_FILE).name] = Path(lineage)
    if reading_rules:
        extra_files[Path(READING_RULES_FILE).name] = Path(reading_rules)
    result = directory.push(model, provenance, extra_files=extra_files, expected_digest=expected_digest, force=force)
    if result.pushed:
        directory.retain(config.versions_kept)
        server_files.write(directory, name, config)
    publish(directory, name, config)
    return result


def publish(directory: ServingDirectory, name: str, config: ServingConfig) -> None:
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
    with tempfile.TemporaryDirectory(prefix="taxiway-publish-") as folder:
        log = Path(folder, "log.txt")
        outcome = subprocesses.run(
            "components.serving.published", job, log, timeout_seconds=config.publish_timeout_seconds
        )
        if not outcome.ok and "problem" not in outcome.details:
            raise ServingError(
                f"The versions of {directory.base} were not copied to {config.publish_to}: {outcome.error}\n"
                f"{log.read_text(errors='replace')[-2000:]}",
                "They are live in the serving directory. Run again: what is missing is copied.",
            )
        subprocesses.raise_again(outcome, ServingError)


def not_blessed(base: str | Path, why: str) -> PushResult:
    """The result where a gate refused the candidate: nothing changes."""
    live = ServingDirectory(base).live()
    number, path = (live.number, live.path) if live else (None, None)
    return PushResult(False, number, path, "", f"not pushed: {why}")
