"""What differs between the backends that the emulator follows: how artifacts are kept, and handed to the next task.

Two are known: release 2.17, which keeps artifacts in ML Metadata, and what comes after it without ML Metadata
(kubeflow/pipelines 12920, 13986), as its branch stood in July 2026.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from taxiway.components.errors import UsageError, suggest_matches
from taxiway.pipeline.emulator import errors
from taxiway.pipeline.emulator.errors import TaskFailedError

Artifact = dict[str, Any]
StoredArtifact = dict[str, Any]
"""What the backend keeps of an output: `id`, `key`, `type` (of the producer), `uri`, `metadata`."""
Metadata = dict[str, Any]

SESSION = {
    "Provider": "minio",
    "Params": {
        "accessKeyKey": "accesskey",
        "disableSSL": "true",
        "endpoint": "seaweedfs.kubeflow:9000",
        "fromEnv": "false",
        "maxRetries": "5",
        "region": "minio",
        "secretKeyKey": "secretkey",
        "secretName": "mlpipeline-minio-artifact",
    },
}
"""`getDefaultMinioSessionInfo` of `backend/src/v2/config/env.go`, where no `kfp-launcher` says another."""
_SYSTEM_TYPES = {
    "system.Artifact": "Artifact",
    "system.Dataset": "Dataset",
    "system.Model": "Model",
    "system.Metrics": "Metric",
    "system.ClassificationMetrics": "ClassificationMetric",
    "system.SlicedClassificationMetrics": "SlicedClassificationMetric",
    "system.HTML": "HTML",
    "system.Markdown": "Markdown",
}
"""`artifactTypeSchemaToArtifactTypeMap`: kinds that the backend without ML Metadata has a name of its own for."""


_WITHOUT_FILES = ("system.ClassificationMetrics", "system.SlicedClassificationMetrics")


@dataclass(frozen=True)
class Release:
    """A backend.

    Attributes:
        name: Name, as `taxiway emulate --release` takes it.
        title: What it is, in words.
        make_id: Function that makes an artifact's id, from how many there are.
        store_metadata: Function from what a task wrote on an artifact, and its key, to what is kept.
        describe_input: Function from what is kept to what a consumer is given.
        check_output: Function that refuses what a task has written of an output: its key, the title of its type, its
            metadata, whether there is a file or folder.
        fills_defaults: Whether the driver adds the defaults of parameters, or leaves it to the launcher.
    """

    name: str
    title: str
    make_id: Callable[[int], str]
    store_metadata: Callable[[Metadata, str], Metadata]
    describe_input: Callable[[StoredArtifact], Artifact]
    check_output: Callable[[str, str, Metadata, bool], None] = lambda key, title, metadata, exists: None
    fills_defaults: bool = False

    def store_output(self, number: int, key: str, kind: Mapping[str, str], uri: str, metadata: Metadata) -> Artifact:
        """What is kept of an output."""
        kept = self.store_metadata(metadata, key)
        return {"id": self.make_id(number), "key": key, "type": dict(kind), "uri": uri, "metadata": kept}


def find_release(name: str) -> Release:
    """A release by its name.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in RELEASES:
        raise UsageError(f"--release {name!r}: the emulator follows no such release.", suggest_matches(name, RELEASES))
    return RELEASES[name]


def _store_in_mlmd(metadata: Metadata, key: str) -> Metadata:
    """`RecordArtifact`: two properties are added, and values become those that ML Metadata knows."""
    stored = {name: _convert_value(name, value) for name, value in metadata.items()}
    return {"display_name": key, "store_session_info": json.dumps(SESSION, separators=(",", ":")), **stored}


def _convert_value(name: str, value: Any) -> Any:
    """`StructValueToMLMDValue` and back: booleans become numbers, lists and mappings are wrapped."""
    if value is None:
        problem = f"failed to convert RuntimeArtifact to MLMD artifact: unknown/unsupported value type of {name}: null"
        raise TaskFailedError(problem, errors.CONVERTER)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, list):
        return {"list": value}
    return {"struct": value} if isinstance(value, dict) else value


def _describe_from_mlmd(stored: StoredArtifact) -> Artifact:
    """`toRuntimeArtifact`: the name is the number in the store, and the type is lost.

    `GetOutputArtifactsByExecutionId` leaves the schema empty, and `ToRuntimeArtifact` hands that on.
    """
    artifact = {"name": stored["id"], "type": {"instanceSchema": ""}, "uri": stored["uri"]}
    return {**artifact, "metadata": stored["metadata"]}


def _describe_from_api_server(stored: StoredArtifact) -> Artifact:
    """`convertArtifactToRuntimeArtifact`: the name is the producer's key, the title is its whole schema."""
    kind: Mapping[str, str] = stored["type"]
    title = kind.get("instanceSchema") or kind.get("schemaTitle", "")
    artifact = {"name": stored["key"], "type": {"schemaTitle": _SYSTEM_TYPES.get(title, title)}, "uri": stored["uri"]}
    metadata = {"metadata": stored["metadata"]} if stored["metadata"] else {}
    return {**artifact, **metadata, "artifactId": stored["id"]}


def _check_api_server_output(key: str, title: str, metadata: Metadata, exists: bool) -> None:
    """`uploadOutputArtifacts`: every declared output must be there, and a metric is a number."""
    if title == "system.Metrics":
        for name, value in metadata.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                problem = f'metric value "{name}" must be a number, got {type(value).__name__}'
                raise TaskFailedError(problem, errors.LAUNCHER)
    elif not exists and title not in _WITHOUT_FILES:
        raise TaskFailedError(f'declared output artifact "{key}" is missing', errors.LAUNCHER)


RELEASES = {
    "2.17": Release(
        "2.17",
        f"Kubeflow Pipelines {errors.RELEASE}, with ML Metadata",
        str,
        _store_in_mlmd,
        _describe_from_mlmd,
    ),
    "without-mlmd": Release(
        "without-mlmd",
        "Kubeflow Pipelines without ML Metadata, the branch `mlmd-removal` of July 2026",
        lambda number: str(uuid.uuid4()),
        lambda metadata, key: metadata,
        _describe_from_api_server,
        check_output=_check_api_server_output,
        fills_defaults=True,
    ),
}
DEFAULT_RELEASE = "2.17"
