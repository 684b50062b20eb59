"""After a node has succeeded: keeps its small results beside its record, and writes what the page shows."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from taxiway.pipeline.kubeflow.page import node_page, writing
from taxiway.pipeline.kubeflow.page.outputs import RECORD, PageFacts
from taxiway.pipeline.tracking.store import kept_results
from taxiway.pipeline.tracking.store.execution_record import ArtifactRecord, ExecutionRecord, name_properties
from taxiway.pipeline.tracking.store.metadata_store import StoredArtifact


def finish_node(
    record: ExecutionRecord,
    root: Path | None,
    paths: Mapping[str, str],
    page: Mapping[str, writing.PageOutput],
    output_file: Path,
    facts: PageFacts,
) -> None:
    """Keeps results and writes the page's outputs; neither fails the node.

    Args:
        record: Record of the execution, which is written.
        root: Root of the runs; None where the node was given none.
        paths: Local paths by URI.
        page: The node's outputs for the page, by name.
        output_file: `outputs.outputFile`.
        facts: What the compiler says of the pipeline.
    """
    outputs = _list_artifacts(record.outputs, paths)
    kept = kept_results.find_folder(root, record.run_id, record.node) if root else output_file.parent / "kept"
    if root:
        _keep_results(root, record, outputs)
    if not page:
        return
    inputs = {artifact.key: artifact for artifact in _list_artifacts(record.inputs, paths)}
    finished = node_page.FinishedNode(record.node, tuple(outputs), inputs, root or Path(), kept, facts)
    shown = node_page.show_node(finished, tuple(page))
    writing.write_page_outputs(page, {**shown, RECORD: record.model_dump_json(indent=2)}, output_file)


def _keep_results(root: Path, record: ExecutionRecord, outputs: list[StoredArtifact]) -> None:
    written = {artifact.key: (artifact.type, Path(artifact.uri)) for artifact in outputs}
    try:
        notes = kept_results.keep_results(root, record.run_id, record.node, written)
    except OSError as error:
        notes = [f"The results of {record.node} cannot be kept under {root}: {error}."]
    for note in notes:
        print(note, file=sys.stderr, flush=True)


def _list_artifacts(sides: Mapping[str, tuple[ArtifactRecord, ...]], paths: Mapping[str, str]) -> list[StoredArtifact]:
    """The first artifact of each input or output, with its local path as its URI."""
    return [
        StoredArtifact(
            id=0,
            type=listed[0].type,
            uri=paths.get(listed[0].uri, listed[0].uri),
            state="LIVE",
            key=key,
            properties=name_properties(listed[0].properties),
        )
        for key, listed in sides.items()
        if listed
    ]
