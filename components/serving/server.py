"""The embedded server: for development, tests and small loads. `python -m components.serving.server --help`.

It speaks TensorFlow Serving's API and follows the serving directory; TensorFlow computes. It has no request batching
and one Python process; where `tensorflow_model_server` is at hand, `taxiway serve` starts that.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from components.errors import ServingError, TaxiwayError
from components.printable_text import visible_lines
from components.serving import connections, grpc_server, rest
from components.serving.api import Api
from components.serving.limits import Limits
from components.serving.repository import Repository
from components.serving.servable import disable_xla
from components.serving.sites import SiteRules

LOG = logging.getLogger(__name__)
LOOPBACK = "127.0.0.1"
STOP_MARGIN_SECONDS = 2.0
"""Of the time for a stop: kept for freeing the models after the last request."""


@dataclass(frozen=True)
class ServerOptions:
    """Where a server listens and what it takes.

    Attributes:
        host: Address; loopback unless told otherwise.
        rest_port: 0 takes a free one.
        grpc_port: 0 takes a free one.
        allow_host: More names, with commas between them, under which clients reach it; `*`: any.
        max_request_mb: Size limit of a request, in 10^6 bytes.
        max_memory_mb: What all requests may come to, counted as arrays and objects.
        max_answer_mb: Size limit of an answer's arrays.
        max_rows: Of one request.
        max_connections: Open at once, over REST and over gRPC each.
        header_seconds: For a connection to name its request.
        body_seconds: For a request to arrive.
        compute_seconds: For its answer.
        send_seconds: For the client to take it.
        threads: Requests computed at once, over REST and over gRPC each.
        session_threads: Threads of each model's session; 0: TensorFlow's choice.
        drain_seconds: How long a stop waits for requests under way.
        poll_seconds: How often the serving directory is looked at.
        versions_served: Newest versions held.
        allow_op: TensorFlow ops allowed beside the list of `ops.ALLOWED`, commas between them.
    """

    host: str = LOOPBACK
    rest_port: int = 8501
    grpc_port: int = 8500
    allow_host: str = ""
    max_request_mb: float = Limits.request_bytes / 1e6
    max_memory_mb: float = Limits.memory_bytes / 1e6
    max_answer_mb: float = Limits.answer_bytes / 1e6
    max_rows: int = Limits.rows
    max_connections: int = Limits.connections
    header_seconds: float = Limits.header_seconds
    body_seconds: float = Limits.body_seconds
    compute_seconds: float = Limits.compute_seconds
    send_seconds: float = Limits.send_seconds
    threads: int = Limits.threads
    session_threads: int = 0
    drain_seconds: float = 10.0
    poll_seconds: float = 1.0
    versions_served: int = 1
    allow_op: str = ""

    def limits(self) -> Limits:
        """What the server takes at once."""
        request = int(self.max_request_mb * 1e6)
        return Limits(
            request_bytes=request,
            bodies_bytes=4 * request,
            memory_bytes=int(self.max_memory_mb * 1e6),
            answer_bytes=int(self.max_answer_mb * 1e6),
            rows=self.max_rows,
            threads=self.threads,
            connections=self.max_connections,
            header_seconds=self.header_seconds,
            body_seconds=self.body_seconds,
            compute_seconds=self.compute_seconds,
            send_seconds=self.send_seconds,
        )


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
        self._api = Api({name: self.repository}, self.options.limits())
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
        sock = _listen(self.options.host, self.options.rest_port)
        self.rest_port = sock.getsockname()[1]
        try:
            address = f"{_bracket(self.options.host)}:{self.options.grpc_port}"
            self._grpc, self.grpc_port = grpc_server.start(self._api, address)
        except RuntimeError as error:
            sock.close()
            raise _taken(self.options.host, self.options.grpc_port, "--grpc-port") from error
        self.repository.start()
        self._rest = uvicorn.Server(self._rest_config())
        self._thread = threading.Thread(target=self._rest.run, args=([sock],), name="rest", daemon=True)
        self._thread.start()

    def _rest_config(self) -> uvicorn.Config:
        rules = SiteRules(self.options.host, self.options.allow_host.split(","))
        return uvicorn.Config(
            rest.application(self._api, rules),
            http=connections.protocol(self._api.limits),  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            log_level="warning",
            access_log=False,
            h11_max_incomplete_event_size=1 << 15,
            timeout_graceful_shutdown=max(1, int(self.options.drain_seconds - STOP_MARGIN_SECONDS)),
        )

    def stop(self) -> bool:
        """Takes no new request, ends those under way, frees the models.

        Returns:
            Whether everything ended within `drain_seconds`. What did not still runs in threads of this process.
        """
        until = time.monotonic() + self.options.drain_seconds
        self._rest.should_exit = True
        stopped = self._grpc.stop(max(1.0, self.options.drain_seconds - STOP_MARGIN_SECONDS))
        self._thread.join(_left(until))
        ended = stopped.wait(_left(until)) and not self._thread.is_alive()
        return self.repository.stop(_left(until)) and ended


def _left(until: float) -> float:
    return max(0.5, until - time.monotonic())


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


class _VisibleFormatter(logging.Formatter):
    """Names of files and what models say are shown; a terminal does not obey them."""

    def format(self, record: logging.LogRecord) -> str:
        return visible_lines(super().format(record))


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT, and then ends this process. The first line on standard output is JSON:
    `rest_port`, `grpc_port`."""
    parser = argparse.ArgumentParser(prog="python -m components.serving.server", description=__doc__)
    parser.add_argument("--model-name", required=True)
    parser.add_argument("--model-base-path", required=True)
    defaults = ServerOptions()
    for name, value in vars(defaults).items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(value), default=value)
    given = vars(parser.parse_args(arguments))
    name, base = given.pop("model_name"), given.pop("model_base_path")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_VisibleFormatter("%(asctime)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    disable_xla()
    server = EmbeddedServer(name, base, ServerOptions(**given))
    try:
        server.start()
    except TaxiwayError as error:
        print(visible_lines(str(error)), file=sys.stderr)
        return error.exit_code
    print(json.dumps({"rest_port": server.rest_port, "grpc_port": server.grpc_port}), flush=True)
    stop.wait()
    if not server.stop():
        LOG.warning("some work did not end within %g s and is cut off", server.options.drain_seconds)
    # At once: the interpreter would wait for every thread, among them one that computes or loads without end.
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
