"""One node's execution as a JSON file: what ML Metadata would hold, for nodes that ran without it.

One JSON file a node and run, `<root>/executions/<run id>/<node>.json`, format version 1:

    {"version": 1, "run_id", "pipeline", "node", "executor", "state": "complete" | "failed",
     "started", "finished": seconds since 1970, "error": "",
     "properties": {name: value}, "parameters": {name: value},
     "inputs": {key: [{"uri", "type", "properties": {name: value}}]}, "outputs": the same}

Artifacts are joined by their URI: a node that the backend served from its cache leaves no record in that run, and its
outputs are those of the record of the run that made them. Beside the record, in a folder of the node's name, is what
the node kept of its results (`taxiway.pipeline.tracking.store.kept_results`). Nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from taxiway.components.config_section import Section
from taxiway.components.errors import StoreError
from taxiway.components.files.durable_files import replace_file

RECORD_VERSION = 1
FOLDER = "executions"


class ArtifactRecord(Section):
    """One artifact that a node read or wrote."""

    uri: str
    type: str
    """As TFX names it: `Model`, `taxiway.Verdict`."""
    properties: dict[str, Any] = Field(default_factory=dict)
    """Properties and custom properties, as the backend keeps them: every number is a float."""


class ExecutionRecord(Section):
    """One execution of one node."""

    version: Literal[1] = 1
    run_id: str
    pipeline: str
    node: str
    executor: str
    """Dotted path of the executor's class."""
    state: Literal["complete", "failed"]
    started: float
    finished: float
    error: str = ""
    properties: dict[str, Any] = Field(default_factory=dict)
    """The execution properties, as the executor saw them."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """The parameters of the run that the node took."""
    inputs: dict[str, tuple[ArtifactRecord, ...]] = Field(default_factory=dict)
    outputs: dict[str, tuple[ArtifactRecord, ...]] = Field(default_factory=dict)


def name_properties(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Properties by their own names: the backend knows no others than custom ones, and TFX marks those of nodes so."""
    return {name.removeprefix("custom:"): value for name, value in stored.items()}


def find_record_file(root: str | Path, run_id: str, node: str) -> Path:
    """Where the record of a node is, if there is one."""
    return Path(root, FOLDER, run_id, f"{node}.json")


def write_record(root: str | Path, record: ExecutionRecord) -> Path:
    """Writes the record under a root, whole or not at all. A retry replaces the record of the try before.

    Raises:
        StoreError: The root cannot be written.
    """
    file = find_record_file(root, record.run_id, record.node)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, record.model_dump_json(indent=2))
    except OSError as error:
        raise StoreError(
            f"The execution record {file} cannot be written: {error.strerror}.",
            "Mount a volume that the pods may write at resources.kubeflow.root.",
        ) from error
    return file


def read_execution_records(root: str | Path) -> list[ExecutionRecord]:
    """All records under a root, by the time at which the executions began.

    Raises:
        StoreError: A file is no record, or of a later version.
    """
    files = sorted(Path(root, FOLDER).glob("*/[!.]*.json"))
    return sorted((_read_record(file) for file in files), key=lambda record: record.started)


def _read_record(file: Path) -> ExecutionRecord:
    try:
        return ExecutionRecord.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise StoreError(
            f"{file} is no execution record of version {RECORD_VERSION}: {error}",
            "Move it away, or read it with the version of Taxiway that wrote it.",
        ) from error
