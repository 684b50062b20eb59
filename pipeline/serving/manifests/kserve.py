"""An InferenceService of KServe, with its runtime for TensorFlow Serving.

The runtime serves `/mnt/models` under the service's own name. KServe mounts the folder of a claim there, so a server
sees each push; from a bucket its storage initializer copies everything when a pod starts, so a new version needs new
pods (`pkg/webhook/admission/pod/storage_initializer_injector.go`, release 0.20.0).
"""

from __future__ import annotations

from typing import Any

from taxiway.components.serving.config import ServingConfig
from taxiway.components.serving.versions import server_files
from taxiway.components.serving.versions.kubernetes_manifest import make_object
from taxiway.pipeline.serving.manifests.request import ManifestRequest

MODELS_FOLDER = "/mnt/models"
CONFIG_FOLDER = "/etc/taxiway"
RUNTIME = "kserve-tensorflow-serving"
VERSION_ANNOTATION = "taxiway/version"
"""KServe hands an annotation on to the pods: with another version there are other pods."""
DEPLOYMENT_MODE = {"serving.kserve.io/deploymentMode": "Serverless"}
"""Shares of the traffic are Knative's; releases from 0.16 call this mode `Knative` and take both words."""


def build_documents(request: ManifestRequest) -> list[dict[str, Any]]:
    """The InferenceService; before it, where a version is named, the ConfigMap that names it to the server."""
    service = make_object("serving.kserve.io/v1beta1", "InferenceService", request.name, request.namespace)
    annotations = _make_annotations(request)
    if annotations:
        service["metadata"]["annotations"] = annotations
    service["spec"] = {"predictor": _build_predictor(request)}
    return [_build_config_map(request), service] if request.pinned else [service]


def _make_annotations(request: ManifestRequest) -> dict[str, str]:
    annotations = DEPLOYMENT_MODE if request.canary_percent is not None else {}
    if request.version and not request.storage.is_volume:
        annotations = {**annotations, VERSION_ANNOTATION: str(request.version)}
    return annotations


def _build_predictor(request: ManifestRequest) -> dict[str, Any]:
    predictor: dict[str, Any] = {"minReplicas": request.replicas}
    if request.canary_percent is not None:
        predictor["canaryTrafficPercent"] = request.canary_percent
    if request.service_account:
        predictor["serviceAccountName"] = request.service_account
    predictor["model"] = _build_model(request)
    if request.pinned:
        predictor["volumes"] = [{"name": "versions", "configMap": {"name": _name_config_map(request)}}]
    return predictor


def _build_model(request: ManifestRequest) -> dict[str, Any]:
    model: dict[str, Any] = {
        "modelFormat": {"name": "tensorflow", "version": "2"},
        "runtime": RUNTIME,
        "protocolVersion": "v1",
        "storageUri": request.storage.uri,
    }
    if request.pinned:
        model["args"] = [f"--model_config_file={CONFIG_FOLDER}/{server_files.MODELS_CONFIG}"]
        model["volumeMounts"] = [{"name": "versions", "mountPath": CONFIG_FOLDER, "readOnly": True}]
    return model


def _name_config_map(request: ManifestRequest) -> str:
    """A name of its own for each version: the revision before keeps its own file, and so its version."""
    return f"{request.name}-version-{request.version}"


def _build_config_map(request: ManifestRequest) -> dict[str, Any]:
    versions = [request.version or 0]
    text = server_files.format_models_config(
        request.name, MODELS_FOLDER, versions, {}, ServingConfig(), one_by_one=True
    )
    head = make_object("v1", "ConfigMap", _name_config_map(request), request.namespace, request.name)
    without_header = text.partition("\n")[2]  # which says that a push rewrites it
    return {**head, "data": {server_files.MODELS_CONFIG: without_header}}
