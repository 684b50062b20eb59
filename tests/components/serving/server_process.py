"""The embedded server in a process of its own, on free ports of loopback."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from taxiway.components.serving.server.embedded import LOOPBACK

PREDICT = "/v1/models/taxi:predict"
MB = 1_000_000


class Server:
    """A server's process and its ports."""

    def __init__(self, base: Path, options: dict[str, Any]) -> None:
        argv = [
            sys.executable,
            "-m",
            "taxiway.components.serving.server.embedded",
            "--model-name",
            "taxi",
            "--model-base-path",
            str(base),
        ]
        words = [str(word) for pair in {"--rest-port": 0, "--grpc-port": 0, **options}.items() for word in pair]
        environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1"}
        self.process = subprocess.Popen(
            [*argv, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        ports = json.loads(self.process.stdout.readline())
        self.rest_port, self.grpc_port = ports["rest_port"], ports["grpc_port"]

    def connect(self, port: int | None = None) -> socket.socket:
        return socket.create_connection((LOOPBACK, port or self.rest_port), timeout=30)

    def ask(self, body: bytes = b'{"instances": [""]}', path: str = PREDICT) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(LOOPBACK, self.rest_port, timeout=60)
        try:
            connection.request("POST" if path == PREDICT else "GET", path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def memory_mb(self) -> float:
        return float(psutil.Process(self.process.pid).memory_info().rss) / MB


@contextlib.contextmanager
def serving(base: Path, options: dict[str, Any]) -> Iterator[Server]:
    server = Server(base, options)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()
        server.process.stdout.close()
