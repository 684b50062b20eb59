"""What the holder of the root's lock mends and marks in ML Metadata: open executions, damaged and finished artifacts.

Ctrl-C and SIGKILL leave executions RUNNING for ever.

Only the holder of the root's lock may call this: then every open execution belongs to a process that is gone.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb

from pipeline import integrity, store, store_file
from pipeline.layout import Root

OPEN = (pb.Execution.NEW, pb.Execution.RUNNING)
NEWEST = 200
"""Executions looked at: those of several runs."""


def end_open_executions(root: Root, state: Literal["FAILED", "CANCELED"]) -> list[str]:
    """Gives every open execution a terminal state and removes what it had begun to write.

    Args:
        root: Whose lock the caller holds.
        state: `FAILED` for a run that died, `CANCELED` for one that is being interrupted.

    Returns:
        The nodes whose executions were ended.

    Raises:
        StoreError: `metadata.db` is damaged or of another program.
    """
    if not has_store(root):
        return []
    mlmd, nodes = writable(root), []
    for execution in _newest(mlmd):
        if execution.last_known_state in OPEN:
            nodes.append(_node(mlmd, execution))
            _remove(_begun(root.artifacts / nodes[-1], execution.id))
            execution.last_known_state = pb.Execution.State.Value(state)
            mlmd.put_executions([execution])
    return nodes


def set_aside_damaged(root: Root) -> list[integrity.Damage]:
    """Takes artifacts whose files are gone, emptied or changed out of the cache's reach.

    Args:
        root: Whose lock the caller holds.

    Raises:
        StoreError: `metadata.db` is damaged or of another program.
    """
    return integrity.set_aside_damaged(writable(root)) if has_store(root) else []


def has_store(root: Root) -> bool:
    """Whether anything was recorded.

    Raises:
        StoreError: Something was, and is lost.
    """
    return store_file.present(root)


def seal(root: Root, execution_id: int) -> None:
    """Records the digests of what an execution has just written."""
    integrity.seal(writable(root), execution_id)


def writable(root: Root) -> metadata_store.MetadataStore:
    """The root's store, opened for writing. The caller holds the root's lock.

    Raises:
        StoreError: `metadata.db` is missing, damaged or of another program.
    """
    store_file.check_file(root.metadata)
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(root.metadata)
    config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READWRITE
    return store.PlainStore(config, root.metadata)


def _newest(mlmd: metadata_store.MetadataStore) -> list[pb.Execution]:
    """Every run ends what the one before left open, so only the newest executions can be."""
    order = metadata_store.OrderByField.ID
    return mlmd.get_executions(metadata_store.ListOptions(limit=NEWEST, order_by=order, is_asc=False))


def _node(mlmd: metadata_store.MetadataStore, execution: pb.Execution) -> str:
    contexts = mlmd.get_contexts_by_execution(execution.id)
    name = next((context.name for context in contexts if context.type == store.NODE_CONTEXT), execution.type)
    return name.rpartition(".")[2]


def _begun(node: Path, execution_id: int) -> list[Path]:
    """Folders that TFX made for an execution: `<node>/<output>/<id>` and `<node>/.system/<kind>/<id>`."""
    return [*node.glob(f"*/{execution_id}"), *node.glob(f".system/*/{execution_id}")]


def _remove(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)  # a left-over costs space, nothing else
