"""Whether the live version comes from the same data, configuration and code. TFX is not imported for it."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from taxiway.components.errors import StoreError
from taxiway.components.schema.curated import read_edited_text
from taxiway.components.serving.versions.candidates.candidate import PROMOTED_FROM
from taxiway.components.serving.versions.directory import ServingDirectory, Version
from taxiway.components.tables.sources.fingerprint import fingerprint_files
from taxiway.pipeline.code_fingerprint import fingerprint_code, list_libraries
from taxiway.pipeline.config import PipelineConfig
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import run_record
from taxiway.pipeline.tracking.run_record import RunRecord
from taxiway.pipeline.user_modules import list_user_functions

PIPELINE_MODULE = "taxiway.pipeline.dag"


def digest_inputs(config: PipelineConfig) -> str:
    """One digest of everything that decides what a run makes.

    Raises:
        DataError: The data cannot be read.
    """
    content: dict[str, Any] = {
        "data": fingerprint_files(config.data).digest,
        "configuration": config.model_dump(mode="json", exclude={"resources"}),
        "schema": read_edited_text(config.schema_path),  # an inferred one follows from the data
        "code": fingerprint_code(_list_modules(config), config.source.parent if config.source else None),
        "libraries": list_libraries(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _list_modules(config: PipelineConfig) -> list[str]:
    return [PIPELINE_MODULE, *(dotted.rpartition(".")[0] for dotted in list_user_functions(config))]


def find_same_inputs(root: Root, config: PipelineConfig, digest: str) -> tuple[Version, RunRecord] | None:
    """The live version and the run that pushed it, where that run's inputs were the same; else None.

    A rollback is never up to date: somebody did not want what these inputs make.
    """
    live = ServingDirectory(root.serving / config.name).find_live()
    if live is None or live.provenance.get("rollback_of") or not live.provenance.get("run_id"):
        return None
    run = next((run for run in _find_ended_runs(root, live) if run.inputs == digest), None)
    return (live, run) if run else None


def _find_ended_runs(root: Root, live: Version) -> Iterator[RunRecord]:
    """The run that pushed this version and came to its end, and those after it that found the version live already.

    One that was killed right after its push is none of them: its executions are still to be closed.
    """
    pushed = _read_summary(root.run_folder(str(live.provenance["run_id"])))
    if pushed is None:
        return
    if pushed.state == "live" or (live.provenance.get(PROMOTED_FROM) and pushed.push is not None):
        yield pushed
    for folder in sorted(root.runs.iterdir(), reverse=True):
        if folder.name == pushed.run_id:  # none before it can have found it
            return
        run = _read_summary(folder)
        if run and run.state == "live" and run.push and run.push.version == live.number and _was_whole(run):
            yield run


def _was_whole(run: RunRecord) -> bool:
    """Whether all of its inputs decided: in a part of the pipeline gates are left out, whose settings count here."""
    return all(node.state in ("done", "cached") for node in run.nodes)


def _read_summary(folder: Path) -> RunRecord | None:
    """The summary, or None where it is missing or cannot be read."""
    with contextlib.suppress(StoreError):
        return run_record.read_summary(folder)
    return None
