"""Pipelines and their versions on a server: found by name in a namespace, made where there are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kfp_server_api

from taxiway.components.errors import UsageError

FILE = "Compiled file: sha256 "
"""Start of a version's description, before the digest of the file that it was uploaded from."""


def upload_package(
    client: Any, file: Path, name: str, revision: str, namespace: str, *, digest: str
) -> tuple[str, str]:
    """Uploads a compiled file as a version of its pipeline, unless the version is there.

    Args:
        client: kfp's client.
        file: The file that is uploaded.
        name: Name of the pipeline.
        revision: Name of the version.
        namespace: Namespace; empty: the client's.
        digest: Digest of the compiled file, which the version's description keeps.

    Returns:
        Ids of the pipeline and of the version.

    Raises:
        UsageError: The version was made from another file: its run would be one of that file.
    """
    pipeline_id = _find_pipeline(client, name, namespace) or _create_pipeline(client, name, namespace)
    version = _find_version(client, pipeline_id, revision)
    if version is None:
        described = f"{FILE}{digest}"
        version = client.upload_pipeline_version(str(file), revision, pipeline_id=pipeline_id, description=described)
    _check_file(version, name, digest)
    return pipeline_id, str(version.pipeline_version_id)


def _check_file(version: Any, pipeline: str, digest: str) -> None:
    """A version whose description says nothing of a file, such as one made by hand, is taken as it is."""
    described = version.description or ""
    if described.startswith(FILE) and described != f"{FILE}{digest}":
        raise UsageError(
            f"The version {version.display_name!r} of the pipeline {pipeline!r} on the server is another file.",
            "A version never changes: give another --revision, or none; then it is named after the file's content.",
        )


def make_name_filter(name: str) -> str:
    """The filter of a listing that finds what has exactly this name."""
    predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
    return json.dumps({"predicates": [predicate]})


def _find_pipeline(client: Any, name: str, namespace: str) -> str:
    """The pipeline of this name in the namespace; the client's own look-up knows no namespace."""
    page = client.list_pipelines(filter=make_name_filter(name), namespace=namespace or None, page_size=100)
    return next((str(pipeline.pipeline_id) for pipeline in page.pipelines or ()), "")


def _create_pipeline(client: Any, name: str, namespace: str) -> str:
    body = kfp_server_api.V2beta1Pipeline(display_name=name, namespace=namespace or None)
    # The name of this argument differs between the releases of the package.
    return str(client.pipelines.pipeline_service_create_pipeline(body).pipeline_id)


def _find_version(client: Any, pipeline_id: str, revision: str) -> Any:
    """The version of this name; a revision is uploaded once."""
    token = ""
    while True:
        page = client.list_pipeline_versions(pipeline_id, page_token=token, page_size=100)
        for version in page.pipeline_versions or ():
            if version.display_name == revision:
                return version
        token = page.next_page_token or ""
        if not token:
            return None
