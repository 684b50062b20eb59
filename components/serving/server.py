"""The embedded server: for development, tests and small loads. `python -m components.serving.server --help`.

It speaks TensorFlow Serving's API and follows the serving directory; TensorFlow computes. It has no request batching
and one Python process; where `tensorflow_model_server` is at hand, `taxiway serve` starts that.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from components.errors import ServingError, TaxiwayError
from components.serving import grpc_server, rest
from components.serving.api import Api
from components.serving.repository import Repository
from components.serving.servable import disable_xla

LOG = logging.getLogger(__name__)
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class ServerOptions:
    """Where a server listens and what it takes.

    Attributes:
        host: Address; loopback unless told otherwise.
        rest_port: 0 takes a free one.
        grpc_port: 0 takes a free one.
        max_request_mb: Size limit of a request, in 10^6 bytes.
        threads: Requests computed at once.
        session_threads: Threads of each model's session; 0: TensorFlow's choice.
        drain_seconds: How long a stop waits for requests under way.
        poll_seconds: How often the serving directory is looked at.
        versions_served: Newest versions held.
        allow_op: TensorFlow ops allowed beside the list of `ops.ALLOWED`, commas between them.
    """

    host: str = LOOPBACK
    rest_port: int = 8501
    grpc_port: int = 8500
    max_request_mb: float = 64.0
    threads: int = 16
    session_threads: int = 0
    drain_seconds: float = 10.0
    poll_seconds: float = 1.0
    versions_served: int = 1
    allow_op: str = ""


class EmbeddedServer:
    """One model over gRPC and REST. A context manager: started on entry, drained and stopped on exit."""

    def __init__(self, name: str, base: str | Path, options: ServerOptions | None = None) -> None:
        self.options = options or ServerOptions()
        self.repository = Repository(
            name,
            base,
            versions_served=self.options.versions_served,
            poll_seconds=self.options.poll_seconds,
            threads=self.options.session_threads,
            allowed_ops=[op for op in self.options.allow_op.split(",") if op],
        )
        self._api = Api({name: self.repository})
        self.rest_port = self.grpc_port = 0

    def __enter__(self) -> EmbeddedServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listens, loads, and answers.

        Raises:
            ServingError: An address is taken.
        """
        limit = int(self.options.max_request_mb * 1e6)
        sock = _listen(self.options.host, self.options.rest_port)
        self.rest_port = sock.getsockname()[1]
        try:
            self._grpc, self.grpc_port = grpc_server.start(
                self._api,
                f"{_bracket(self.options.host)}:{self.options.grpc_port}",
                threads=self.options.threads,
                max_request_bytes=limit,
            )
        except RuntimeError as error:
            sock.close()
            raise _taken(self.options.host, self.options.grpc_port, "--grpc-port") from error
        self.repository.start()
        config = uvicorn.Config(
            rest.application(self._api, limit),
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=int(self.options.drain_seconds) or 1,
        )
        self._rest = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._rest.run, args=([sock],), name="rest", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Takes no new request, ends those under way, frees the models."""
        self._rest.should_exit = True
        stopped = self._grpc.stop(self.options.drain_seconds)
        self._thread.join(self.options.drain_seconds + 5)
        stopped.wait(self.options.drain_seconds + 5)
        self.repository.stop()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named TCP, or asyncio does not switch Nagle's algorithm off and every answer waits 40 ms for a delayed ACK.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(2048)  # from here on a client waits rather than being refused
    except OSError as error:
        sock.close()
        raise _taken(host, port, "--rest-port") from error
    return sock


def _taken(host: str, port: int, option: str) -> ServingError:
    return ServingError(f"Nothing can listen on {host} port {port}.", f"Choose another one with {option}, or 0.")


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT. The first line on standard output is JSON: `rest_port`, `grpc_port`."""
    parser = argparse.ArgumentParser(prog="python -m components.serving.server", description=__doc__)
    parser.add_argument("--model-name", required=True)
    parser.add_argument("--model-base-path", required=True)
    defaults = ServerOptions()
    for name, value in vars(defaults).items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(value), default=value)
    given = vars(parser.parse_args(arguments))
    name, base = given.pop("model_name"), given.pop("model_base_path")
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    disable_xla()
    try:
        with EmbeddedServer(name, base, ServerOptions(**given)) as server:
            print(json.dumps({"rest_port": server.rest_port, "grpc_port": server.grpc_port}), flush=True)
            stop.wait()
    except TaxiwayError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
