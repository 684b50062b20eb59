"""What a server tells of the pipeline of a run: its specification."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from taxiway.pipeline.kubeflow.client.connection import Connection
from taxiway.pipeline.kubeflow.client.server_errors import KubeflowServerError

VERSION_PATH = "/apis/v2beta1/pipelines/{pipeline_id}/versions/{version_id}"


def fetch_specification(server: Connection, run: Mapping[str, Any]) -> dict[str, Any]:
    """The specification of a run's pipeline; empty where the server has it no more.

    Args:
        server: Server of the run.
        run: Answer of `Connection.fetch_run`.
    """
    spec, version = run.get("pipeline_spec"), run.get("pipeline_version_reference") or {}
    if not spec and version.get("pipeline_version_id"):
        ids = {"pipeline_id": version.get("pipeline_id", ""), "version_id": version["pipeline_version_id"]}
        with contextlib.suppress(KubeflowServerError):
            spec = server.fetch_json("the pipeline's version", VERSION_PATH, **ids).get("pipeline_spec")
    return dict(spec.get("pipeline_spec") or spec) if isinstance(spec, dict) else {}
