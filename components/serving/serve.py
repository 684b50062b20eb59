"""Which server to start, and how: TensorFlow's own binary, its image, or the embedded one. Imports nothing heavy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from components import subprocesses
from components.errors import ServingError
from components.serving.config import ServingConfig
from components.serving.limits import Limits

Kind = Literal["binary", "container", "embedded"]
IMAGE = "tensorflow/serving"
CONTAINER_GRPC, CONTAINER_REST = 8500, 8501


@dataclass(frozen=True)
class ServerCommand:
    """How to start a server.

    Attributes:
        kind: Which server.
        argv: The command; it serves until SIGTERM.
        environment: Added to the caller's.
        description: For the user: what is started and why.
    """

    kind: Kind
    argv: tuple[str, ...]
    description: str
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EmbeddedLimits:
    """What the embedded server takes; the others have settings of their own.

    Attributes:
        max_request_mb: Size limit of a request, in 10^6 bytes.
        max_memory_mb: What all requests may come to.
        max_answer_mb: Size limit of an answer.
        max_rows: Of one request.
        allow_hosts: Names, beside its address and localhost, under which clients reach it.
    """

    max_request_mb: float = Limits.request_bytes / 1e6
    max_memory_mb: float = Limits.memory_bytes / 1e6
    max_answer_mb: float = Limits.answer_bytes / 1e6
    max_rows: int = Limits.rows
    allow_hosts: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        """As options of the server's command."""
        numbers = {name: value for name, value in vars(self).items() if name != "allow_hosts"}
        pairs = [(f"--{name.replace('_', '-')}", str(value)) for name, value in numbers.items()]
        return [word for pair in [*pairs, ("--allow-host", ",".join(self.allow_hosts))] for word in pair]


def command(
    name: str,
    base: str | Path,
    *,
    host: str = "127.0.0.1",
    rest_port: int = 8501,
    grpc_port: int = 8500,
    limits: EmbeddedLimits | None = None,
    config: ServingConfig | None = None,
    kind: Kind | None = None,
    find: Callable[[str], str | None] = shutil.which,
) -> ServerCommand:
    """The command that serves a model, by the first server at hand.

    Args:
        name: Under which requests name the model.
        base: The serving directory.
        host: Address to listen on; loopback unless told otherwise.
        rest_port: For REST.
        grpc_port: For gRPC.
        limits: Of the embedded server.
        config: Versions served.
        kind: This server and no other.
        find: Finds programs; `shutil.which`.

    Raises:
        ServingError: The server asked for is not at hand.
    """
    base, config = Path(base).absolute(), config or ServingConfig()
    tried: list[Kind] = [kind] if kind else ["binary", "container", "embedded"]
    for candidate in tried:
        if candidate == "binary" and find("tensorflow_model_server"):
            return _binary(name, base, host, rest_port, grpc_port)
        if candidate == "container":
            engine = engine_with_image(find)
            if engine:
                return _container(engine, name, base, host, rest_port, grpc_port)
        if candidate == "embedded":
            return _embedded(name, base, host, rest_port, grpc_port, limits or EmbeddedLimits(), config)
    wanted = "tensorflow_model_server on the PATH" if kind == "binary" else f"docker or podman with the image {IMAGE}"
    raise ServingError(f"There is no {wanted}.", "Install it, or serve with the embedded server.")


def engine_with_image(find: Callable[[str], str | None] = shutil.which) -> str | None:
    """`docker` or `podman`, where it has the image already; nothing is downloaded."""
    for engine in ("docker", "podman"):
        program = find(engine)
        if program and _succeeds([program, "image", "inspect", IMAGE]):
            return program
    return None


def _succeeds(argv: list[str]) -> bool:
    try:
        return subprocess.run(argv, capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _follow(base: Path, name: str, seen_as: str) -> list[str]:
    """Flags that make TensorFlow's server follow the directory: its configuration file, where a push has left one."""
    file = base / "server" / "models.config"
    if not file.exists():
        return [f"--model_name={name}", f"--model_base_path={seen_as}"]
    return [
        f"--model_config_file={seen_as}/server/models.config",
        "--model_config_file_poll_wait_seconds=5",
        "--allow_version_labels_for_unavailable_models",
        f"--monitoring_config_file={seen_as}/server/monitoring.config",
    ]


def _binary(name: str, base: Path, host: str, rest_port: int, grpc_port: int) -> ServerCommand:
    argv = ["tensorflow_model_server", f"--port={grpc_port}", f"--rest_api_port={rest_port}"]
    argv += _follow(base, name, str(base))
    # The binary listens on every address; only the image's published ports can be bound to one.
    where = "" if host == "0.0.0.0" else f"; it listens on every address, not only on {host}"
    return ServerCommand("binary", tuple(argv), f"tensorflow_model_server from the PATH{where}")


def _container(engine: str, name: str, base: Path, host: str, rest_port: int, grpc_port: int) -> ServerCommand:
    argv = [engine, "run", "--rm", "--init", "-v", f"{base}:/models/{name}:ro"]
    argv += ["-p", f"{host}:{grpc_port}:{CONTAINER_GRPC}", "-p", f"{host}:{rest_port}:{CONTAINER_REST}"]
    argv += ["-e", f"MODEL_NAME={name}", IMAGE, *_follow(base, name, f"/models/{name}")]
    return ServerCommand("container", tuple(argv), f"the image {IMAGE} through {Path(engine).name}")


def _embedded(
    name: str, base: Path, host: str, rest_port: int, grpc_port: int, limits: EmbeddedLimits, config: ServingConfig
) -> ServerCommand:
    argv = [sys.executable, "-m", "components.serving.server", "--model-name", name, "--model-base-path", str(base)]
    argv += ["--host", host, "--rest-port", str(rest_port), "--grpc-port", str(grpc_port)]
    argv += [*limits.arguments(), "--versions-served", str(config.versions_served)]
    argv += ["--allow-op", ",".join(config.allowed_ops)] if config.allowed_ops else []
    why = "the embedded server (no tensorflow_model_server and no tensorflow/serving image here): for small loads"
    return ServerCommand("embedded", tuple(argv), why, dict(subprocesses.CHILD_ENVIRONMENT))
