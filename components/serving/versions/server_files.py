"""Files around the versions: TensorFlow Serving's configuration, a compose file, a Kubernetes manifest.

They are in `<serving directory>/server/`, which is no version because its name is no number, and are rewritten by
every change of the versions, so they never name a version that is gone. Text only: the tests parse them with the real
protos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from taxiway.components.errors import ServingError
from taxiway.components.serving.config import ServingConfig
from taxiway.components.serving.versions import kubernetes_manifest
from taxiway.components.serving.versions.candidates.candidate import format_rollout
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.components.serving.versions.kubernetes_manifest import IMAGE, METRICS_PATH

MODELS_CONFIG = "models.config"
"""For a server in a container, which sees the directory at `/models/<name>`."""
LOCAL_MODELS_CONFIG = "models.local.config"
"""For a server on this machine, which sees the directory where it lies."""
BATCHING_PARAMETERS = "batching_parameters.txt"
MONITORING_CONFIG = "monitoring.config"
COMPOSE = "compose.yaml"
KUBERNETES = "kubernetes.yaml"
ROLLOUT = "rollout.json"
"""For a proxy in front of TensorFlow Serving: which label gets which share. `{}` where there is no candidate."""
SETTINGS = "serving.json"
"""The `ServingConfig` of the last push: a rollback or a promotion rewrites the other files from it."""
_CONFIG_POLL_SECONDS = 5


def write_files(directory: ServingDirectory, name: str, config: ServingConfig) -> None:
    """Makes the files say what the directory holds."""
    directory.write_server_files(build_files(directory, name, config))


def refresh_files(directory: ServingDirectory, name: str) -> ServingConfig:
    """Makes the files say what the directory holds now, by the configuration of the last push, which is returned."""
    settings = read_settings(directory)
    write_files(directory, name, settings)
    return settings


def read_settings(directory: ServingDirectory) -> ServingConfig:
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
        raise ServingError(f"{path} is damaged: {error}.", "Remove it; the next push writes it again.") from error


def build_files(directory: ServingDirectory, name: str, config: ServingConfig) -> dict[str, bytes]:
    """The files, by name."""
    numbers = [version.number for version in directory.list_versions()]
    state = directory.load_state()
    labels = {label: number for label, number in state.labels.items() if number in numbers}
    texts = {
        MODELS_CONFIG: format_models_config(name, f"/models/{name}", numbers, labels, config),
        LOCAL_MODELS_CONFIG: format_models_config(name, str(directory.base), numbers, labels, config),
        BATCHING_PARAMETERS: format_batching_parameters(config),
        MONITORING_CONFIG: format_monitoring_config(),
        COMPOSE: format_compose(name, directory.base, config),
        KUBERNETES: format_kubernetes(name, config),
        ROLLOUT: format_rollout(state.candidate),
        SETTINGS: config.model_dump_json(indent=2) + "\n",
    }
    return {file: text.encode() for file, text in texts.items()}


def format_models_config(
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
        f"    name: {_quote_text(name)}",
        f"    base_path: {_quote_text(base_path)}",
        '    model_platform: "tensorflow"',
        f"    model_version_policy {{ {policy} }}",
        *(
            f"    version_labels {{ key: {_quote_text(label)} value: {number} }}"
            for label, number in sorted(labels.items())
        ),
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def format_batching_parameters(config: ServingConfig) -> str:
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


def format_monitoring_config() -> str:
    """`monitoring.config`: Prometheus metrics on the REST port."""
    return f"prometheus_config {{ enable: true path: {_quote_text(METRICS_PATH)} }}\n"


def _quote_text(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def build_server_flags(seen_at: str, config: ServingConfig, models_config: str = MODELS_CONFIG) -> list[str]:
    """Flags of `tensorflow_model_server` that go with these files.

    Args:
        seen_at: Path at which the server sees the serving directory.
        config: Configuration, which says whether requests are batched.
        models_config: The file that lists the versions.
    """
    return [
        f"--model_config_file={seen_at}/server/{models_config}",
        f"--model_config_file_poll_wait_seconds={_CONFIG_POLL_SECONDS}",
        "--allow_version_labels_for_unavailable_models",
        *_build_option_flags(seen_at, config),
    ]


def build_bucket_flags(url: str) -> list[str]:
    """Flags of a server that follows the copy of the versions on an object store.

    Args:
        url: Folder of the versions there, such as `gs://bucket/serving/taxi`.
    """
    return [
        f"--model_config_file={url}/server/{MODELS_CONFIG}",
        f"--model_config_file_poll_wait_seconds={_CONFIG_POLL_SECONDS}",
        "--allow_version_labels_for_unavailable_models",
    ]


def _build_option_flags(seen_at: str, config: ServingConfig) -> list[str]:
    """Flags that do not depend on which versions there are."""
    batching = ["--enable_batching", f"--batching_parameters_file={seen_at}/server/{BATCHING_PARAMETERS}"]
    return [f"--monitoring_config_file={seen_at}/server/{MONITORING_CONFIG}", *(batching * config.batching.enabled)]


def choose_server_flags(directory: ServingDirectory, name: str, seen_at: str) -> list[str]:
    """Flags by which `tensorflow_model_server` follows a directory, as the last push configured it.

    Without a file that lists the versions for a server there (nothing was pushed by Taxiway, an earlier Taxiway pushed,
    or the directory was moved since) the server follows the newest version, and knows no labels.

    Args:
        directory: The serving directory.
        name: Name under which the server knows the model.
        seen_at: Path at which the server sees the directory.

    Raises:
        ServingError: The settings of the last push are damaged.
    """
    settings = read_settings(directory)
    for file in (MODELS_CONFIG, LOCAL_MODELS_CONFIG):
        path = directory.server_folder / file
        if path.is_file() and f"base_path: {_quote_text(seen_at)}\n" in path.read_text(encoding="utf-8"):
            return build_server_flags(seen_at, settings, file)
    flags = [f"--model_name={name}", f"--model_base_path={seen_at}"]
    return flags + (_build_option_flags(seen_at, settings) if (directory.server_folder / SETTINGS).is_file() else [])


def format_compose(name: str, base: Path, config: ServingConfig) -> str:
    """A compose file that serves this directory, on loopback only."""
    service = {
        "image": IMAGE,
        "command": build_server_flags(f"/models/{name}", config),
        "ports": ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"],
        "volumes": [{"type": "bind", "source": str(base), "target": f"/models/{name}", "read_only": True}],
        "restart": "unless-stopped",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
    }
    return _dump_yaml({"services": {kubernetes_manifest.make_dns_name(name): service}})


def format_kubernetes(name: str, config: ServingConfig) -> str:
    """A Deployment, its Service and the claim of the volume that holds the serving directory."""
    app = kubernetes_manifest.make_dns_name(name)
    flags = build_server_flags(f"/models/{name}", config)
    deployed = kubernetes_manifest.Deployed(app, name, flags, claim=f"{app}-models")
    return kubernetes_manifest.dump_documents(
        [
            kubernetes_manifest.build_claim(deployed.claim, app, "5Gi"),
            kubernetes_manifest.build_deployment(deployed),
            kubernetes_manifest.build_service(deployed),
        ]
    )


def _dump_yaml(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(content), sort_keys=False, width=120, allow_unicode=True)
