"""The server in which a candidate is tried: in this process over real connections, without them, or in a container."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from components.errors import ServingError
from components.serving import serve, warmup
from components.serving.client import GrpcClient, RestClient
from components.serving.repository import Status
from components.serving.servable import Servable, Tensors
from components.serving.server import LOOPBACK, EmbeddedServer, ServerOptions

CONTAINER_SECONDS = 120.0


class Trial:
    """Serves a candidate for as long as it is entered.

    Attributes:
        ask: Signature and inputs to outputs, by the shortest way there is.
        grpc, rest: Clients over real connections; None where `over` is `process`.
        signatures: Names of each signature's inputs.
    """

    def __init__(
        self, over: str, candidate: str | Path, extra: Path, name: str, allowed_ops: Sequence[str] = ()
    ) -> None:
        """Args:
        over: `network`, `process` or `container`; see `ServingConfig.validate_over`.
        candidate: The SavedModel.
        extra: Folder with the warm-up requests in `assets.extra/`.
        name: Under which the server knows the model.
        allowed_ops: TensorFlow ops allowed beside the list of `ops.ALLOWED`.
        """
        self._allowed_ops = allowed_ops
        self._over, self._candidate, self._extra, self._name = over, Path(candidate), extra, name
        self._stack = contextlib.ExitStack()
        self.grpc: GrpcClient | None = None
        self.rest: RestClient | None = None
        self.signatures: dict[str, set[str]] = {}
        self._load_seconds = 0.0
        self._memory_before_mb = 0.0

    def __enter__(self) -> Trial:
        """Starts the server.

        Raises:
            ServingError: The candidate does not become available, with the server's reason.
        """
        self._memory_before_mb, started = _memory_mb(), time.monotonic()
        try:
            {"network": self._network, "process": self._process, "container": self._container}[self._over]()
        except BaseException:
            self._stack.close()
            raise
        self._load_seconds = time.monotonic() - started
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def figures(self) -> dict[str, Any]:
        """Load time in seconds (reading, warm-up, first readiness) and memory added, in 10^6 bytes."""
        memory = None if self._over == "container" else _memory_mb() - self._memory_before_mb
        return {"load_seconds": self._load_seconds, "memory_mb": memory}

    def ask(self, signature: str, inputs: Tensors) -> Tensors:
        """Asks the candidate."""
        if self.grpc:
            return self.grpc.predict(signature, inputs)
        return self._servable.run(signature, inputs)

    def _process(self) -> None:
        self._servable = self._stack.enter_context(Servable(self._candidate))
        warmup.replay(self._servable, self._extra)
        self.signatures = {name: set(proto.inputs) for name, proto in self._servable.signatures.items()}

    def _network(self) -> None:
        options = ServerOptions(rest_port=0, grpc_port=0, drain_seconds=2.0, allow_op=",".join(self._allowed_ops))
        server = self._stack.enter_context(EmbeddedServer(self._name, self._directory(), options))
        state, error = server.repository.statuses()[1]
        if state is not Status.AVAILABLE:
            raise ServingError(error)
        self.signatures = _declared(self._connect(server.grpc_port, server.rest_port))

    def _container(self) -> None:
        ports = {"grpc_port": _free_port(), "rest_port": _free_port()}
        started = serve.command(self._name, self._directory(), kind="container", **ports)  # type: ignore[arg-type]
        process = subprocess.Popen(started.argv, stdin=subprocess.DEVNULL)
        self._stack.callback(_end, process)
        rest = self._connect(**ports)
        deadline = time.monotonic() + CONTAINER_SECONDS
        while not _ready(rest):
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServingError("the container did not make the model available; its output is in the log")
            time.sleep(0.2)
        self.signatures = _declared(rest)

    def _connect(self, grpc_port: int, rest_port: int) -> RestClient:
        self.grpc = GrpcClient(f"{LOOPBACK}:{grpc_port}", self._name)
        self.rest = rest = RestClient(f"http://{LOOPBACK}:{rest_port}", self._name)
        self._stack.callback(self.grpc.close)
        self._stack.callback(rest.close)
        return rest

    def _directory(self) -> Path:
        """A serving directory of one version: the candidate with its warm-up requests, as it would be pushed."""
        base = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="taxiway-trial-"))) / self._name
        shutil.copytree(self._candidate, base / "1")
        shutil.copytree(self._extra, base / "1", dirs_exist_ok=True)
        return base


def _declared(rest: RestClient) -> dict[str, set[str]]:
    return {name: set(entry["inputs"]) for name, entry in rest.metadata().items()}


def _ready(rest: RestClient) -> bool:
    with contextlib.suppress(ServingError):
        return any(version["state"] == "AVAILABLE" for version in rest.status())
    return False


def _memory_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        return int(sock.getsockname()[1])


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
