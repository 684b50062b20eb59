"""Which server to start, and how: TensorFlow's own binary, its image, or the embedded one. Imports nothing heavy."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from taxiway.components.errors import ServingError
from taxiway.components.processes import subprocesses
from taxiway.components.processes.container_engines import ENGINES
from taxiway.components.serving.config import ServingConfig
from taxiway.components.serving.protocol.limits import Limits
from taxiway.components.serving.versions import server_files
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.components.serving.versions.server_files import IMAGE

Kind = Literal["binary", "container", "embedded"]
CONTAINER_GRPC, CONTAINER_REST = 8500, 8501


@dataclass(frozen=True)
class ServerCommand:
    """How to start a server.

    Attributes:
        kind: Kind of server.
        argv: The command; it serves until SIGTERM.
        environment: Variables added to the caller's environment.
        description: Sentence for the user: the server that is started, and why.
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
        max_memory_mb: Memory that all requests together may take, in 10^6 bytes.
        max_answer_mb: Size limit of an answer.
        max_rows: Most rows of one request.
        allow_hosts: Names, beside its address and localhost, under which clients reach it.
        access_log: File with a JSON line for each request; `-` is standard error; empty: none.
    """

    max_request_mb: float = Limits.request_bytes / 1e6
    max_memory_mb: float = Limits.memory_bytes / 1e6
    max_answer_mb: float = Limits.answer_bytes / 1e6
    max_rows: int = Limits.rows
    allow_hosts: tuple[str, ...] = ()
    access_log: str = ""

    def to_arguments(self) -> list[str]:
        """As options of the server's command."""
        numbers = {name: value for name, value in vars(self).items() if name != "allow_hosts"}
        pairs = [(f"--{name.replace('_', '-')}", str(value)) for name, value in numbers.items()]
        return [word for pair in [*pairs, ("--allow-host", ",".join(self.allow_hosts))] for word in pair]


def build_command(
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
    """The command that serves a model, by the first server available.

    Args:
        name: Name by which requests ask for the model.
        base: The serving directory.
        host: Address to listen on; loopback unless told otherwise.
        rest_port: Port for REST.
        grpc_port: Port for gRPC.
        limits: Limits of the embedded server.
        config: Versions served and ops allowed by the embedded server; the others follow the last push's settings.
        kind: The only kind of server to start; None: the first available.
        find: Function that finds a program, as `shutil.which` does.

    Raises:
        ServingError: The requested server is not available.
    """
    base, config = Path(base).absolute(), config or ServingConfig()
    tried: list[Kind] = [kind] if kind else ["binary", "container", "embedded"]
    for candidate in tried:
        if candidate == "binary" and find("tensorflow_model_server"):
            return _build_binary_command(name, base, host, rest_port, grpc_port)
        if candidate == "container":
            engine = find_engine(find)
            if engine:
                return _build_container_command(engine, name, base, host, rest_port, grpc_port)
        if candidate == "embedded":
            return _build_embedded_command(name, base, host, rest_port, grpc_port, limits or EmbeddedLimits(), config)
    raise _make_unavailable_error(kind)


def _make_unavailable_error(kind: Kind | None) -> ServingError:
    wanted = "tensorflow_model_server on the PATH" if kind == "binary" else f"podman or docker with the image {IMAGE}"
    return ServingError(f"There is no {wanted}.", "Install it, or serve with the embedded server.")


def find_engine(find: Callable[[str], str | None] = shutil.which) -> str | None:
    """`podman` or `docker`, where it has the image already; nothing is downloaded."""
    for engine in ENGINES:
        program = find(engine)
        if program and _run_succeeds([program, "image", "inspect", IMAGE]):
            return program
    return None


def _run_succeeds(argv: list[str]) -> bool:
    try:
        return subprocess.run(argv, capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _build_binary_command(name: str, base: Path, host: str, rest_port: int, grpc_port: int) -> ServerCommand:
    argv = ["tensorflow_model_server", f"--port={grpc_port}", f"--rest_api_port={rest_port}"]
    argv += server_files.choose_server_flags(ServingDirectory(base), name, str(base))
    # The binary listens on every address; only the image's published ports can be bound to one.
    where = "" if host == "0.0.0.0" else f"; it listens on every address, not only on {host}"
    return ServerCommand("binary", tuple(argv), f"tensorflow_model_server from the PATH{where}")


def _build_container_command(
    engine: str, name: str, base: Path, host: str, rest_port: int, grpc_port: int
) -> ServerCommand:
    argv = [engine, "run", "--rm", "--init", "-v", f"{base}:/models/{name}:ro"]
    argv += ["-p", f"{host}:{grpc_port}:{CONTAINER_GRPC}", "-p", f"{host}:{rest_port}:{CONTAINER_REST}"]
    flags = server_files.choose_server_flags(ServingDirectory(base), name, f"/models/{name}")
    argv += ["-e", f"MODEL_NAME={name}", IMAGE, *flags]
    return ServerCommand("container", tuple(argv), f"the image {IMAGE} through {Path(engine).name}")


def _build_embedded_command(
    name: str, base: Path, host: str, rest_port: int, grpc_port: int, limits: EmbeddedLimits, config: ServingConfig
) -> ServerCommand:
    module = "taxiway.components.serving.server.embedded"
    argv = subprocesses.make_command(module, "--model-name", name, "--model-base-path", str(base))
    argv += ["--host", host, "--rest-port", str(rest_port), "--grpc-port", str(grpc_port)]
    argv += [*limits.to_arguments(), "--versions-served", str(config.versions_served)]
    argv += ["--allow-op", ",".join(config.allowed_ops)] if config.allowed_ops else []
    argv += ["--request-log", config.request_log.model_dump_json()] if config.request_log.sampling_rate else []
    argv += ["--shadow-queue-mb", str(config.rollout.queue_mb)]
    why = f"the embedded server (no tensorflow_model_server and no image {IMAGE} here): for small loads"
    return ServerCommand("embedded", tuple(argv), why, dict(subprocesses.CHILD_ENVIRONMENT))
