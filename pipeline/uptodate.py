"""Whether the live version comes from the same data, configuration and code. Asked before TFX is imported."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from components.errors import StoreError
from components.gates.schema import edited_content
from components.serving.directory import ServingDirectory, Version
from components.tables.files import fingerprint
from pipeline import record
from pipeline.config import Config
from pipeline.fingerprint import code_fingerprint
from pipeline.layout import Root
from pipeline.record import RunRecord

PIPELINE_MODULE = "pipeline.dag"
LIBRARIES = ("tfx", "tensorflow", "tf-keras", "tensorflow-transform", "tensorflow-model-analysis")
HOME = Path(__file__).parent.parent


def inputs_digest(config: Config) -> str:
    """One digest of everything that decides what a run makes.

    Raises:
        DataError: The data cannot be read.
    """
    folder = config.source.parent if config.source else None
    content: dict[str, Any] = {
        "data": fingerprint(config.data).digest,
        "configuration": config.model_dump(mode="json", exclude={"resources"}),
        "schema": edited_content(config.schema_path),  # an inferred one follows from the data
        "code": code_fingerprint(_modules(config), (HOME, folder) if folder else (HOME,)),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _modules(config: Config) -> list[str]:
    functions = (config.preprocessing.function, config.model.function)
    return [PIPELINE_MODULE, *(dotted.rpartition(".")[0] for dotted in functions if dotted)]


def same_inputs(root: Root, config: Config, digest: str) -> tuple[Version, RunRecord] | None:
    """The live version and the run that pushed it, where that run's inputs were the same; else None.

    A rollback is never up to date: somebody did not want what these inputs make.
    """
    live = ServingDirectory(root.serving / config.name).live()
    if live is None or live.provenance.get("rollback_of") or not live.provenance.get("run_id"):
        return None
    run = next((run for run in _ended(root, live) if run.inputs == digest), None)
    return (live, run) if run else None


def _ended(root: Root, live: Version) -> Iterator[RunRecord]:
    """Runs that pushed this version and came to their end, or found it live already.

    One that was killed right after its push is none of them: its executions are still to be closed.
    """
    pushed = _read_summary(root.run(str(live.provenance["run_id"])))
    if pushed is None or pushed.state == "live":
        yield from filter(None, [pushed])
        return
    for folder in sorted(root.runs.iterdir(), reverse=True):
        run = _read_summary(folder)
        if run and run.state == "live" and run.push and run.push.version == live.number:
            yield run


def _read_summary(folder: Path) -> RunRecord | None:
    """One that cannot be read proves nothing."""
    with contextlib.suppress(StoreError):
        return record.read(folder)
    return None
