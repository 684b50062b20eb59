"""Repairs ML Metadata: ends open executions, records digests of artifacts, and sets damaged artifacts aside.

Ctrl-C and SIGKILL leave executions RUNNING for ever. Only the holder of the root's lock may call this module: then
every open execution belongs to a process that has ended.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb

from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import artifact_digests
from taxiway.pipeline.tracking.store.mlmd_connection import find_node, open_for_writing
from taxiway.pipeline.tracking.store.store_file import has_store_file

OPEN = (pb.Execution.NEW, pb.Execution.RUNNING)
NEWEST = 200
"""Executions looked at: those of several runs."""


def end_open_executions(root: Root, state: Literal["FAILED", "CANCELED"]) -> list[str]:
    """Gives every open execution a terminal state and removes what it had begun to write.

    Args:
        root: Root whose lock the caller holds.
        state: State that they get: `FAILED` of a run that died, `CANCELED` of one that is being interrupted.

    Returns:
        The nodes whose executions were ended.

    Raises:
        StoreError: `metadata.db` is damaged or of another program.
    """
    if not has_store_file(root):
        return []
    mlmd, nodes = open_for_writing(root.metadata), []
    for execution in _list_newest(mlmd):
        if execution.last_known_state in OPEN:
            nodes.append(find_node(mlmd, execution)[1])
            _remove_folders(_list_begun_folders(root.artifacts / nodes[-1], execution.id))
            execution.last_known_state = pb.Execution.State.Value(state)
            mlmd.put_executions([execution])
    return nodes


def set_aside_damaged(root: Root) -> list[artifact_digests.DamagedArtifact]:
    """Takes artifacts whose files are gone, emptied or changed out of the cache's reach.

    Args:
        root: Root whose lock the caller holds.

    Raises:
        StoreError: `metadata.db` is damaged or of another program.
    """
    return artifact_digests.set_aside_damaged(open_for_writing(root.metadata)) if has_store_file(root) else []


def record_digests(root: Root, execution_id: int) -> None:
    """Records the digests of what an execution has just written."""
    artifact_digests.record_digests(open_for_writing(root.metadata), execution_id)


def _list_newest(mlmd: metadata_store.MetadataStore) -> list[pb.Execution]:
    """Every run ends what the one before left open, so only the newest executions can be."""
    order = metadata_store.OrderByField.ID
    return mlmd.get_executions(metadata_store.ListOptions(limit=NEWEST, order_by=order, is_asc=False))


def _list_begun_folders(node: Path, execution_id: int) -> list[Path]:
    """Folders that TFX made for an execution: `<node>/<output>/<id>` and `<node>/.system/<kind>/<id>`."""
    return [*node.glob(f"*/{execution_id}"), *node.glob(f".system/*/{execution_id}")]


def _remove_folders(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)  # a left-over costs space, nothing else
