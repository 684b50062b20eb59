"""`taxiway serve`: starts the first server at hand and hands it the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from components import servables
from components.errors import ServingError
from components.printable_text import visible
from components.serving import serve
from components.serving.config import ServingConfig
from pipeline import output, served


def start(
    root: str | Path,
    model: str | None,
    *,
    host: str,
    rest_port: int,
    grpc_port: int,
    limits: serve.EmbeddedLimits | None = None,
    kind: Literal["binary", "container", "embedded"] | None = None,
    allowed_ops: Sequence[str] = (),
) -> None:
    """Replaces this process by the server, so that signals and the exit code are the server's own.

    Raises:
        UsageError: There is no such model.
        ServingError: The server asked for is not at hand, or the live version may not be loaded.
    """
    base = served.directory(root, model).base
    command = serve.command(
        base.name,
        base,
        host=host,
        rest_port=rest_port,
        grpc_port=grpc_port,
        limits=limits,
        kind=kind,
        config=ServingConfig(allowed_ops=tuple(allowed_ops)),
    )
    live = servables.live_version(base)
    if command.kind != "embedded" and live is not None:  # ours looks at every version itself; TensorFlow's never does
        from components.serving.checked import check_loadable

        check_loadable(live[1], allowed_ops)
    console = output.console(stderr=True)
    said = f"Serving {base.name} from {base} with {command.description}."
    console.print(visible(said), soft_wrap=True, markup=False)
    words = f"REST: http://{host}:{rest_port}/v1/models/{base.name}:predict   gRPC: {host}:{grpc_port}"
    console.print(visible(words), soft_wrap=True, markup=False)
    sys.stderr.flush()
    try:
        os.execvpe(command.argv[0], list(command.argv), {**os.environ, **command.environment})
    except OSError as error:
        raise ServingError(f"{command.argv[0]} cannot be started: {error.strerror}.", "Is it executable?") from error
