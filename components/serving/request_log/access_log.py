"""The access log: one JSON line for each request, without its content."""

from __future__ import annotations

import datetime
import json
import logging.handlers
import sys
from pathlib import Path

from taxiway.components.errors import ServingError
from taxiway.components.serving.request_log.background_writer import BackgroundWriter
from taxiway.components.serving.request_log.request_trace import RequestTrace

STANDARD_ERROR = "-"
FILE_BYTES = 64_000_000
FILES_KEPT = 5
QUEUE_BYTES = 4_000_000
_LINE_BYTES = 300
"""Counted for a waiting line."""


class AccessLog:
    """Lines: `time`, `entrypoint`, `client`, `api`, `model`, `version`, `signature`, `status`, `rows`, `ms`."""

    def __init__(self, path: str) -> None:
        """Args:
        path: The file; `-` is standard error. It is moved to PATH.1 to PATH.5 at 64 MB.

        Raises:
            ServingError: The file cannot be written.
        """
        self._handler = _open_handler(path)
        self._writer: BackgroundWriter[str] = BackgroundWriter("access", self._write_line, QUEUE_BYTES)
        self.count_records = self._writer.count_records

    def add_request(self, trace: RequestTrace) -> None:
        """Hands the line of a request that has ended to the writer."""
        self._writer.put(format_line(trace), _LINE_BYTES)

    def close(self, seconds: float) -> None:
        """Writes what waits."""
        self._writer.close(seconds)
        self._handler.close()

    def _write_line(self, line: str) -> None:
        self._handler.emit(logging.makeLogRecord({"msg": line}))


def format_line(trace: RequestTrace) -> str:
    """One line. JSON escapes what a terminal would obey."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    fields = ("entrypoint", "client", "api", "model", "version", "signature", "status", "rows")
    return json.dumps(
        {"time": now, **{name: getattr(trace, name) for name in fields}, "ms": round(trace.seconds * 1e3, 3)}
    )


class _RaisingFileHandler(logging.handlers.RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        raise


def _open_handler(path: str) -> logging.Handler:
    if path == STANDARD_ERROR:
        return logging.StreamHandler(sys.stderr)
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        return _RaisingFileHandler(path, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8")
    except OSError as error:
        raise ServingError(
            f"The access log {path} cannot be written: {error.strerror}.", "Name another file."
        ) from error
