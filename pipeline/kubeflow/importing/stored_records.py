"""Execution records in the object store: each node's step uploads its own beside its outputs.

`PIPELINE_ROOT/PIPELINE/RUN/NODE/NUMBER/record`. A node that the backend took from its cache has none in that run; its
outputs, which others of the run have read, say which run made them.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from taxiway.components.errors import StoreError
from taxiway.components.files.object_stores import explain_store_errors, open_file_system, split_url
from taxiway.pipeline.kubeflow.page.outputs import RECORD
from taxiway.pipeline.tracking.store.execution_record import ExecutionRecord


def read_run_records(run_uri: str, files: Any = None) -> list[ExecutionRecord]:
    """The records of a run, and of the runs whose outputs it took from the cache.

    Args:
        run_uri: `PIPELINE_ROOT/PIPELINE/RUN`.
        files: Object with `glob` and `read_text`; None: `ObjectFiles`.

    Raises:
        StoreError: The object store cannot be read, or a file is no record.
    """
    store = files or ObjectFiles()
    records = {uri: _read_record(store, uri) for uri in sorted(store.glob(f"{run_uri.rstrip('/')}/*/*/{RECORD}"))}
    waiting, pipeline_uri = list(records.values()), f"{run_uri.rstrip('/').rpartition('/')[0]}/"
    while waiting:
        for uri in _list_makers(waiting.pop(), pipeline_uri):
            if uri not in records and store.glob(uri):
                records[uri] = _read_record(store, uri)
                waiting.append(records[uri])
    return list(records.values())


def _list_makers(record: ExecutionRecord, pipeline_uri: str) -> list[str]:
    """Where the records of the nodes should be whose outputs a node read: beside the outputs, in the same place."""
    uris = [artifact.uri for listed in record.inputs.values() for artifact in listed]
    return sorted({f"{uri.rpartition('/')[0]}/{RECORD}" for uri in uris if uri.startswith(pipeline_uri)})


def _read_record(store: Any, uri: str) -> ExecutionRecord:
    try:
        return ExecutionRecord.model_validate_json(store.read_text(uri))
    except ValidationError as error:
        raise StoreError(
            f"{uri} is no execution record of this version: {error}", "Read it with the Taxiway that wrote it."
        ) from error


class ObjectFiles:
    """Files of an object store, by their URIs."""

    def glob(self, pattern: str) -> list[str]:
        """URIs that match a pattern.

        Raises:
            StoreError: No store is read so here, or the store refuses, or does not answer.
        """
        files, path = open_file_system(pattern)
        with explain_store_errors(pattern):
            return [f"{split_url(pattern)[0]}://{found}" for found in files.glob(path)]

    def read_text(self, uri: str) -> str:
        """A file's text.

        Raises:
            StoreError: As `glob`.
        """
        files, path = open_file_system(uri)
        with explain_store_errors(uri):
            return str(files.cat_file(path).decode("utf-8"))
