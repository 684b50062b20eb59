"""Takes the page's outputs out of an invocation before the executor sees it, and writes them when it has ended."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxiway.pipeline.kubeflow.page.metadata import Metadata
from taxiway.pipeline.kubeflow.page.outputs import FILES, TYPES
from taxiway.pipeline.kubeflow.storage import get_local_path


@dataclass(frozen=True)
class PageOutput:
    """One output for the page: its URI, and the file in the container that the launcher uploads there."""

    uri: str
    path: Path


def find_page_outputs(invocation: Mapping[str, Any], declared: Collection[str]) -> dict[str, PageOutput]:
    """The outputs that the page shows, by name.

    Args:
        invocation: `ExecutorInput` of the backend, as JSON values.
        declared: Keys of the outputs that the component itself writes.
    """
    found = {}
    for key, value in invocation.get("outputs", {}).get("artifacts", {}).items():
        if key in TYPES and key not in declared and value.get("artifacts"):
            artifact = value["artifacts"][0]
            found[key] = PageOutput(
                artifact["uri"], Path(get_local_path(artifact["uri"], artifact.get("customPath", "")))
            )
    return found


def write_page_outputs(outputs: Mapping[str, PageOutput], shown: Mapping[str, str | Metadata], file: Path) -> None:
    """Writes files and metadata, and adds them to the file that the launcher reads.

    A file is written for every output that has one: a release without ML Metadata fails a step that leaves one out
    (`launcher_v2.go`, "declared output artifact is missing").

    Args:
        outputs: The outputs of the node, by name.
        shown: Text or metadata, by name.
        file: `outputs.outputFile`.
    """
    content = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    artifacts = content.setdefault("artifacts", {})
    for name, output in outputs.items():
        value = shown.get(name, "" if name in FILES else {})
        if isinstance(value, str):
            output.path.parent.mkdir(parents=True, exist_ok=True)
            output.path.write_text(value, encoding="utf-8")
        told = {} if isinstance(value, str) else value
        artifacts[name] = {"artifacts": [{"name": name, "uri": output.uri, "metadata": told}]}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content), encoding="utf-8")
