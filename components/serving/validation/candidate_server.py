"""Serves a candidate for validation: in this process, with or without real connections, or in a container."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from taxiway.components.errors import ServingError
from taxiway.components.processes import subprocesses
from taxiway.components.saved_models.session import SavedModelSession, Tensors
from taxiway.components.serving.requests import warmup
from taxiway.components.serving.requests.clients import GrpcClient, RestClient
from taxiway.components.serving.server import launch
from taxiway.components.serving.server.embedded import LOOPBACK, EmbeddedServer, ServerOptions
from taxiway.components.serving.server.repository import VersionStatus

CONTAINER_SECONDS = 120.0
END_SECONDS = 30.0


class CandidateServer:
    """Serves a candidate for as long as it is entered.

    Attributes:
        grpc: Client over a real connection; None where `over` is `process`.
        rest: Client over a real connection; None where `over` is `process`.
        signatures: Names of each signature's inputs.
    """

    def __init__(
        self, over: str, candidate: str | Path, extra: Path, name: str, allowed_ops: Sequence[str] = ()
    ) -> None:
        """Args:
        over: `network`, `process` or `container`; see `ServingConfig.validate_over`.
        candidate: The SavedModel.
        extra: Folder with the warm-up requests in `assets.extra/`.
        name: Name under which the server knows the model.
        allowed_ops: TensorFlow ops allowed beside `allowed_ops.ALLOWED`.
        """
        self._allowed_ops = allowed_ops
        self._over, self._candidate, self._extra, self._name = over, Path(candidate), extra, name
        self._stack = contextlib.ExitStack()
        self.grpc: GrpcClient | None = None
        self.rest: RestClient | None = None
        self.signatures: dict[str, set[str]] = {}
        self._load_seconds = 0.0
        self._memory_before_mb = 0.0

    def __enter__(self) -> CandidateServer:
        """Starts the server.

        Raises:
            ServingError: The candidate does not become available, with the server's reason.
        """
        self._memory_before_mb, started = _memory_mb(), time.monotonic()
        try:
            {"network": self._start_network, "process": self._start_in_process, "container": self._start_container}[
                self._over
            ]()
        except BaseException:
            self._stack.close()
            raise
        self._load_seconds = time.monotonic() - started
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def measure_figures(self) -> dict[str, Any]:
        """Load time in seconds (reading, warm-up, first readiness) and memory added, in 10^6 bytes."""
        memory = None if self._over == "container" else _memory_mb() - self._memory_before_mb
        return {"load_seconds": self._load_seconds, "memory_mb": memory}

    def ask_candidate(self, signature: str, inputs: Tensors) -> Tensors:
        """The candidate's answer, over gRPC where there is a connection."""
        if self.grpc:
            return self.grpc.predict(signature, inputs)
        return self._servable.run(signature, inputs)

    def _start_in_process(self) -> None:
        self._servable = self._stack.enter_context(SavedModelSession(self._candidate))
        warmup.replay_requests(self._servable, self._extra)
        self.signatures = {name: set(proto.inputs) for name, proto in self._servable.signatures.items()}

    def _start_network(self) -> None:
        options = ServerOptions(rest_port=0, grpc_port=0, drain_seconds=2.0, allow_op=",".join(self._allowed_ops))
        server = self._stack.enter_context(EmbeddedServer(self._name, self._make_directory(), options))
        state, error = server.repository.list_statuses()[1]
        if state is not VersionStatus.AVAILABLE:
            raise ServingError(error)
        self.signatures = _read_signatures(self._connect_clients(server.grpc_port, server.rest_port))

    def _start_container(self) -> None:
        ports = {"grpc_port": _free_port(), "rest_port": _free_port()}
        started = launch.build_command(self._name, self._make_directory(), kind="container", **ports)  # type: ignore[arg-type]
        process = subprocesses.start_program(started.argv)  # this process's output is the validation's log
        self._stack.callback(subprocesses.end_process, process, END_SECONDS)
        rest = self._connect_clients(**ports)
        deadline = time.monotonic() + CONTAINER_SECONDS
        while not _is_ready(rest):
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServingError("the container did not make the model available; its output is in the log")
            time.sleep(0.2)
        self.signatures = _read_signatures(rest)

    def _connect_clients(self, grpc_port: int, rest_port: int) -> RestClient:
        self.grpc = GrpcClient(f"{LOOPBACK}:{grpc_port}", self._name)
        self.rest = rest = RestClient(f"http://{LOOPBACK}:{rest_port}", self._name)
        self._stack.callback(self.grpc.close)
        self._stack.callback(rest.close)
        return rest

    def _make_directory(self) -> Path:
        """A serving directory of one version: the candidate with its warm-up requests, as it would be pushed."""
        base = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="taxiway-trial-"))) / self._name
        shutil.copytree(self._candidate, base / "1")
        shutil.copytree(self._extra, base / "1", dirs_exist_ok=True)
        return base


def _read_signatures(rest: RestClient) -> dict[str, set[str]]:
    return {name: set(entry["inputs"]) for name, entry in rest.get_signatures().items()}


def _is_ready(rest: RestClient) -> bool:
    with contextlib.suppress(ServingError):
        return any(version["state"] == "AVAILABLE" for version in rest.get_status())
    return False


def _memory_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        return int(sock.getsockname()[1])
