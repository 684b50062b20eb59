"""The embedded server: for development, tests and small loads.

`python -m taxiway.components.serving.server.embedded --help` lists its options.

It speaks TensorFlow Serving's API and follows the serving directory; TensorFlow computes. It has no request batching
and one Python process; where `tensorflow_model_server` is installed, `taxiway serve` starts that.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from taxiway.components.errors import TaxiwayError
from taxiway.components.saved_models.tensorflow_private import disable_xla
from taxiway.components.serving.config import RequestLogConfig, RolloutConfig
from taxiway.components.serving.protocol.limits import Limits
from taxiway.components.serving.request_log.access_log import AccessLog
from taxiway.components.serving.request_log.prediction_log import RequestLog
from taxiway.components.serving.server import connections, grpc_server, listening, rest
from taxiway.components.serving.server.api import ServingApi
from taxiway.components.serving.server.repository import ModelRepository
from taxiway.components.serving.server.request_origins import OriginRules
from taxiway.components.serving.server.request_recorder import RequestRecorder
from taxiway.components.serving.server.shadow import ShadowComparison
from taxiway.components.serving.server.verdict_metrics import VerdictMetrics
from taxiway.components.text.printable import escape_multiline

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
        max_memory_mb: Memory that all requests together may take, counted as arrays and objects.
        max_answer_mb: Size limit of an answer's arrays.
        max_rows: Most rows of one request.
        max_connections: Most connections open at once, over REST and over gRPC each.
        header_seconds: Time for a connection to name its request.
        body_seconds: Time for a request to arrive.
        compute_seconds: Time for its answer.
        send_seconds: Time for the client to take it.
        threads: Requests computed at once, over REST and over gRPC each.
        session_threads: Threads of each model's session; 0: TensorFlow's choice.
        drain_seconds: Time that a stop gives to requests under way.
        poll_seconds: Time between two looks at the serving directory.
        versions_served: Newest versions held.
        allow_op: TensorFlow ops allowed beside `allowed_ops.ALLOWED`, commas between them.
        access_log: File with a JSON line for each request; `-` is standard error; empty: none.
        request_log: A `RequestLogConfig` as JSON; empty: no request is logged.
        shadow_queue_mb: Requests that may wait to be compared with a shadow's answers, in 10^6 bytes.
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
    access_log: str = ""
    request_log: str = ""
    shadow_queue_mb: float = RolloutConfig().queue_mb

    def to_limits(self) -> Limits:
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
        self._recorder = _build_recorder(Path(base), self.options)
        self.repository = ModelRepository(
            name,
            base,
            versions_served=self.options.versions_served,
            poll_seconds=self.options.poll_seconds,
            threads=self.options.session_threads,
            allowed_ops=[op for op in self.options.allow_op.split(",") if op],
            on_load=self._recorder.metrics.add_load,
        )
        self._shadow = ShadowComparison(self.repository, Path(base), self.options.shadow_queue_mb)
        self._recorder.metrics.add_collector(self._shadow.collect_metrics)
        self._recorder.metrics.add_collector(VerdictMetrics(Path(base)).collect_metrics)
        shadows = {name: self._shadow}
        self._api = ServingApi({name: self.repository}, self.options.to_limits(), self._recorder, shadows)
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
        sock = listening.open_socket(self.options.host, self.options.rest_port, "--rest-port")
        self.rest_port = sock.getsockname()[1]
        try:
            address = f"{listening.bracket_host(self.options.host)}:{self.options.grpc_port}"
            self._grpc, self.grpc_port = grpc_server.start_server(self._api, address)
        except RuntimeError as error:
            sock.close()
            raise listening.make_address_error(self.options.host, self.options.grpc_port, "--grpc-port") from error
        self.repository.start()
        self._rest = uvicorn.Server(self._make_rest_config())
        self._thread = threading.Thread(target=self._rest.run, args=([sock],), name="rest", daemon=True)
        self._thread.start()

    def _make_rest_config(self) -> uvicorn.Config:
        rules = OriginRules(self.options.host, self.options.allow_host.split(","))
        return uvicorn.Config(
            rest.build_application(self._api, rules),
            http=connections.make_protocol(self._api.limits),  # type: ignore[arg-type]
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
        self._thread.join(_compute_remaining_seconds(until))
        ended = stopped.wait(_compute_remaining_seconds(until)) and not self._thread.is_alive()
        self._shadow.close(_compute_remaining_seconds(until))
        self._recorder.close(_compute_remaining_seconds(until))
        return self.repository.stop(_compute_remaining_seconds(until)) and ended


def _build_recorder(base: Path, options: ServerOptions) -> RequestRecorder:
    config = RequestLogConfig.model_validate_json(options.request_log) if options.request_log else RequestLogConfig()
    return RequestRecorder(
        AccessLog(options.access_log) if options.access_log else None,
        RequestLog(base, config) if config.sampling_rate else None,
    )


def _compute_remaining_seconds(until: float) -> float:
    return max(0.5, until - time.monotonic())


class _VisibleFormatter(logging.Formatter):
    """Names of files and what models say are shown; a terminal does not obey them."""

    def format(self, record: logging.LogRecord) -> str:
        return escape_multiline(super().format(record))


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT, and then ends this process. The first line on standard output is JSON:
    `rest_port`, `grpc_port`."""
    parser = argparse.ArgumentParser(prog="python -m taxiway.components.serving.server.embedded", description=__doc__)
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
    try:
        server = EmbeddedServer(name, base, ServerOptions(**given))
        server.start()
    except TaxiwayError as error:
        print(escape_multiline(str(error)), file=sys.stderr)
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
