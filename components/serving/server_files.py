"""Files around the versions: TensorFlow Serving's configuration, a compose file, a Kubernetes manifest.

They lie in `<serving directory>/server/`, which is no version because its name is no number, and are written anew by
every change of the versions, so they never name a version that is gone. Text only: the tests parse them with the real
protos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from components.errors import ServingError
from components.serving.config import ServingConfig
from components.serving.directory import ServingDirectory

MODELS_CONFIG = "models.config"
BATCHING_PARAMETERS = "batching_parameters.txt"
MONITORING_CONFIG = "monitoring.config"
COMPOSE = "compose.yaml"
KUBERNETES = "kubernetes.yaml"
SETTINGS = "serving.json"
"""The `ServingConfig` of the last push: a rollback or a promotion writes the other files anew by it."""
IMAGE = "tensorflow/serving:2.16.1"
METRICS_PATH = "/monitoring/prometheus/metrics"
_CONFIG_POLL_SECONDS = 5


def write(directory: ServingDirectory, name: str, config: ServingConfig) -> None:
    """Makes the files say what the directory holds."""
    directory.write_server_files(contents(directory, name, config))


def settings(directory: ServingDirectory) -> ServingConfig:
    """The configuration of the last push; the defaults where there was none.

    Raises:
        ServingError: The file is damaged.
    """
    path = directory.server_folder / SETTINGS
    try:
        return ServingConfig.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return ServingConfig()
    except ValueError as error:
        raise ServingError(f"{path} is damaged: {error}.", "Remove it; the next push writes it anew.") from error


def contents(directory: ServingDirectory, name: str, config: ServingConfig) -> dict[str, bytes]:
    """The files, by name."""
    numbers = [version.number for version in directory.versions()]
    labels = {label: number for label, number in directory.state().labels.items() if number in numbers}
    texts = {
        MODELS_CONFIG: models_config(name, f"/models/{name}", numbers, labels, config),
        BATCHING_PARAMETERS: batching_parameters(config),
        MONITORING_CONFIG: monitoring_config(),
        COMPOSE: compose(name, directory.base, config),
        KUBERNETES: kubernetes(name, config),
        SETTINGS: config.model_dump_json(indent=2) + "\n",
    }
    return {file: text.encode() for file, text in texts.items()}


def models_config(
    name: str,
    base_path: str,
    numbers: Sequence[int],
    labels: Mapping[str, int],
    config: ServingConfig,
    *,
    one_by_one: bool = False,
) -> str:
    """`models.config`: which versions are loaded, and their labels.

    Without labels the newest versions are served as they come. With labels the versions are named one by one, because
    a label may name an old one, and so they are where a version may be seen half copied (`one_by_one`): the server has
    to read this file again after a push, which `--model_config_file_poll_wait_seconds` makes it do.
    """
    served = sorted({*sorted(numbers)[-config.versions_served :], *labels.values()})
    if labels or one_by_one:
        policy = "specific { " + " ".join(f"versions: {number}" for number in served) + " }"
    else:
        policy = f"latest {{ num_versions: {config.versions_served} }}"
    lines = [
        "# Written by taxiway at every push, rollback and promotion; changes are lost.",
        "model_config_list {",
        "  config {",
        f"    name: {_quote(name)}",
        f"    base_path: {_quote(base_path)}",
        '    model_platform: "tensorflow"',
        f"    model_version_policy {{ {policy} }}",
        *(f"    version_labels {{ key: {_quote(label)} value: {number} }}" for label, number in sorted(labels.items())),
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def batching_parameters(config: ServingConfig) -> str:
    """`batching_parameters.txt`, for `--batching_parameters_file` beside `--enable_batching`."""
    batching = config.batching
    lines = [
        "# Used with --enable_batching. On a CPU: as many threads as cores, and first no waiting at all.",
        f"max_batch_size {{ value: {batching.max_batch_size} }}",
        f"batch_timeout_micros {{ value: {batching.timeout_micros} }}",
        f"max_enqueued_batches {{ value: {batching.max_enqueued_batches} }}",
    ]
    if batching.threads:  # otherwise the server counts its cores, which are not this machine's
        lines.append(f"num_batch_threads {{ value: {batching.threads} }}")
    return "\n".join(lines) + "\n"


def monitoring_config() -> str:
    """`monitoring.config`: Prometheus metrics on the REST port."""
    return f"prometheus_config {{ enable: true path: {_quote(METRICS_PATH)} }}\n"


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def server_flags(name: str, config: ServingConfig) -> list[str]:
    """Flags of `tensorflow_model_server` that go with these files, mounted at `/models/<name>`."""
    folder = f"/models/{name}/server"
    flags = [
        f"--model_config_file={folder}/{MODELS_CONFIG}",
        f"--model_config_file_poll_wait_seconds={_CONFIG_POLL_SECONDS}",
        "--allow_version_labels_for_unavailable_models",
        f"--monitoring_config_file={folder}/{MONITORING_CONFIG}",
    ]
    if config.batching.enabled:
        flags += ["--enable_batching", f"--batching_parameters_file={folder}/{BATCHING_PARAMETERS}"]
    return flags


def compose(name: str, base: Path, config: ServingConfig) -> str:
    """A compose file that serves this directory, on loopback only."""
    service = {
        "image": IMAGE,
        "command": server_flags(name, config),
        "ports": ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"],
        "volumes": [{"type": "bind", "source": str(base), "target": f"/models/{name}", "read_only": True}],
        "restart": "unless-stopped",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
    }
    return _yaml({"services": {_dns(name): service}})


def kubernetes(name: str, config: ServingConfig) -> str:
    """A Deployment, its Service and the claim of the volume that holds the serving directory."""
    app = _dns(name)
    ports = [{"name": "grpc", "containerPort": 8500}, {"name": "rest", "containerPort": 8501}]
    container = {
        "name": "server",
        "image": IMAGE,
        "args": server_flags(name, config),
        "ports": ports,
        "volumeMounts": [{"name": "models", "mountPath": f"/models/{name}", "readOnly": True}],
        # The answer is 200 in every state, so readiness asks for an answer from the model itself: its metadata.
        "readinessProbe": {"httpGet": {"path": f"/v1/models/{name}/metadata", "port": "rest"}, "periodSeconds": 5},
        "livenessProbe": {"tcpSocket": {"port": "grpc"}, "initialDelaySeconds": 10},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": "8501", "prometheus.io/path": METRICS_PATH}
    template = {
        "metadata": {"labels": {"app": app}, "annotations": annotations},
        "spec": {
            "containers": [container],
            "volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": f"{app}-models", "readOnly": True}}],
        },
    }
    claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "5Gi"}}}
    service_ports = [{"name": port["name"], "port": port["containerPort"]} for port in ports]
    documents = [
        _kind("v1", "PersistentVolumeClaim", f"{app}-models", claim),
        _kind("apps/v1", "Deployment", app, {"selector": {"matchLabels": {"app": app}}, "template": template}),
        _kind("v1", "Service", app, {"selector": {"app": app}, "ports": service_ports}),
    ]
    return "---\n".join(_yaml(document) for document in documents)


def _kind(api: str, kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": {"app": name}}, "spec": dict(spec)}


def _dns(name: str) -> str:
    """A name that Kubernetes and compose accept."""
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower()).strip("-")
    return plain or "model"


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(content), sort_keys=False, width=120, allow_unicode=True)
