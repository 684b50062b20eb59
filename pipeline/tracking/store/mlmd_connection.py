"""Opens ML Metadata's sqlite file: the only module that does.

The file is looked at before ML Metadata opens it (`taxiway.pipeline.tracking.store.store_file`), and whatever ML
Metadata says of it afterwards becomes a `StoreError` that names the file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import message
from ml_metadata import errors as mlmd_errors
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as pb

from taxiway.components.errors import StoreError
from taxiway.pipeline import tfx_private
from taxiway.pipeline.tracking.store.store_file import check_file, make_damage_error

RUN_CONTEXT = "pipeline_run"
NODE_CONTEXT = "node"
OTHER_VERSION = "MLMD database version"
"""Begins what ML Metadata says of a store of a newer schema."""


def open_readonly(path: Path) -> MetadataStore:
    """ML Metadata's own store, opened for reading.

    Raises:
        StoreError: There is none, or the file is no metadata store, or it is locked.
    """
    return _open_store(path, pb.SqliteMetadataSourceConfig.READONLY)


def open_for_writing(path: Path) -> MetadataStore:
    """ML Metadata's own store, opened for writing. The caller holds the root's lock.

    Raises:
        StoreError: `metadata.db` is missing, damaged or of another program.
    """
    return _open_store(path, pb.SqliteMetadataSourceConfig.READWRITE)


def _open_store(path: Path, mode: Any) -> MetadataStore:
    check_file(path)
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    config.sqlite.connection_mode = mode
    return tfx_private.open_guarded_store(config, lambda: translate_errors(path))


@contextlib.contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """ML Metadata's errors as sentences about its file; what is only not found passes."""
    try:
        yield
    except (mlmd_errors.NotFoundError, mlmd_errors.AlreadyExistsError, mlmd_errors.InvalidArgumentError):
        raise
    except (mlmd_errors.AbortedError, mlmd_errors.UnavailableError) as error:
        raise StoreError(f"{path} is locked by another process.", "Try again in a moment.") from error
    except (mlmd_errors.StatusError, RuntimeError, UnicodeDecodeError, message.DecodeError) as error:
        if not isinstance(error, mlmd_errors.FailedPreconditionError) and OTHER_VERSION not in str(error):
            raise make_damage_error(path, f"is damaged: {error}") from error
        raise StoreError(
            f"{path} is of another version of ML Metadata than this one reads: {error}",
            "Use the Taxiway that wrote it, or give another --root.",
        ) from error


def find_node(mlmd: Any, execution: pb.Execution) -> tuple[str, str]:
    """The pipeline and the node of an execution; its type stands for both where no context names them.

    Args:
        mlmd: Answers the questions of a `MetadataStore`.
        execution: One of its executions.
    """
    contexts = mlmd.get_contexts_by_execution(execution.id)
    name = next((context.name for context in contexts if context.type == NODE_CONTEXT), execution.type)
    pipeline, _, node = name.rpartition(".")  # the context is called <pipeline>.<node>
    return pipeline, node
