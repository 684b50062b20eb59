"""A Deployment of TensorFlow Serving and its Service.

The server reads `server/models.config`, which every push, rollback and promotion writes, again every few seconds: it
goes to the next version in place, with its warm-up requests, and the version before answers until then.
"""

from __future__ import annotations

from typing import Any

from taxiway.components.errors import UsageError
from taxiway.components.serving.versions import kubernetes_manifest, server_files
from taxiway.pipeline.serving.manifests.request import ManifestRequest


def build_documents(request: ManifestRequest) -> list[dict[str, Any]]:
    """The Deployment and the Service.

    Raises:
        UsageError: TensorFlow Serving cannot read that storage, or an option is one of KServe's.
    """
    if request.pinned:
        problem = "A Deployment serves what server/models.config names: it has no --version and no --canary."
        raise UsageError(problem, "Use --manifest kserve for shares of the traffic, or labels: `taxiway promote`.")
    storage = request.storage
    deployed = kubernetes_manifest.Deployed(
        name=request.name,
        model=request.model,
        args=_choose_flags(request),
        claim=storage.place if storage.is_volume else "",
        sub_path=storage.folder if storage.is_volume else "",
        namespace=request.namespace,
        replicas=request.replicas,
        service_account=request.service_account,
    )
    return [kubernetes_manifest.build_deployment(deployed), kubernetes_manifest.build_service(deployed)]


def _choose_flags(request: ManifestRequest) -> list[str]:
    if request.storage.is_volume:
        return server_files.build_server_flags(f"/models/{request.model}", request.config)
    if request.storage.scheme == "gs":
        return server_files.build_bucket_flags(request.storage.uri)
    raise UsageError(
        f"--storage {request.storage.uri}: TensorFlow Serving's image does not read s3://.",
        "Use --manifest kserve, which copies from there, or a volume: pvc://CLAIM/FOLDER.",
    )
