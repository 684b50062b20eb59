"""`taxiway serve`: starts the first server at hand and hands it the terminal."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

from rich.markup import escape

from components.errors import ServingError
from components.serving import serve
from pipeline import output, served


def start(
    root: str | Path,
    model: str | None,
    *,
    host: str,
    rest_port: int,
    grpc_port: int,
    max_request_mb: float = 64.0,
    kind: Literal["binary", "container", "embedded"] | None = None,
) -> None:
    """Replaces this process by the server, so that signals and the exit code are the server's own.

    Raises:
        UsageError: There is no such model.
        ServingError: The server asked for is not at hand.
    """
    base = served.directory(root, model).base
    command = serve.command(
        base.name,
        base,
        host=host,
        rest_port=rest_port,
        grpc_port=grpc_port,
        max_request_mb=max_request_mb,
        kind=kind,
    )
    console = output.console(stderr=True)
    console.print(f"Serving {base.name} from {escape(str(base))} with {command.description}.", soft_wrap=True)
    console.print(f"REST: http://{host}:{rest_port}/v1/models/{base.name}:predict   gRPC: {host}:{grpc_port}")
    sys.stderr.flush()
    try:
        os.execvpe(command.argv[0], list(command.argv), {**os.environ, **command.environment})
    except OSError as error:
        raise ServingError(f"{command.argv[0]} cannot be started: {error.strerror}.", "Is it executable?") from error
