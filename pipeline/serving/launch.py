"""`taxiway serve`: replaces this process by the first server available."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from taxiway.components.errors import ServingError
from taxiway.components.saved_models import model_versions
from taxiway.components.serving.config import REQUEST_LOG_FOLDER, ServingConfig
from taxiway.components.serving.server import launch
from taxiway.components.serving.versions import server_files
from taxiway.components.serving.versions.kubernetes_manifest import METRICS_PATH
from taxiway.components.text.printable import escape_text
from taxiway.pipeline.console import printing
from taxiway.pipeline.serving import versions


def start_server(
    root: str | Path,
    model: str | None,
    *,
    host: str,
    rest_port: int,
    grpc_port: int,
    limits: launch.EmbeddedLimits | None = None,
    kind: Literal["binary", "container", "embedded"] | None = None,
    allowed_ops: Sequence[str] = (),
) -> None:
    """Replaces this process by the server, so that signals and the exit code are the server's own.

    Raises:
        UsageError: There is no such model.
        ServingError: The requested server is not available, or the live version may not be loaded.
    """
    directory = versions.open_directory(root, model)
    base, settings = directory.base, server_files.read_settings(directory)
    command = launch.build_command(
        base.name,
        base,
        host=host,
        rest_port=rest_port,
        grpc_port=grpc_port,
        limits=limits,
        kind=kind,
        config=settings.model_copy(update={"allowed_ops": tuple(allowed_ops)}),
    )
    live = model_versions.find_live_version(base)
    if command.kind != "embedded" and live is not None:  # ours looks at every version itself; TensorFlow's never does
        from taxiway.components.serving.safety.load_check import check_loadable

        check_loadable(live[1], allowed_ops)
    _print_lines(
        f"Serving {base.name} from {base} with {command.description}.",
        f"REST: http://{host}:{rest_port}/v1/models/{base.name}:predict   gRPC: {host}:{grpc_port}",
        f"Metrics for Prometheus: http://{host}:{rest_port}{METRICS_PATH}",
        *_list_log_notes(command.kind, base, settings, limits),
    )
    _replace_process(command)


def _list_log_notes(kind: str, base: Path, settings: ServingConfig, limits: launch.EmbeddedLimits | None) -> list[str]:
    """Where requests are logged; or that they are not although it was asked for."""
    rate = settings.request_log.sampling_rate
    if kind == "embedded":
        return [f"Request log: {rate:.3g} of the requests, in {base / REQUEST_LOG_FOLDER}"] if rate else []
    asked = {"serving.request_log": rate, "--access-log": limits.access_log if limits else ""}
    return [
        f"{name} is of the embedded server only (--with embedded): TensorFlow Serving's released programs have no log "
        "collector, so nothing is logged here."
        for name, value in asked.items()
        if value
    ]


def _print_lines(*lines: str) -> None:
    console = printing.make_console(stderr=True)
    for line in lines:
        console.print(escape_text(line), soft_wrap=True, markup=False)
    sys.stderr.flush()


def _replace_process(command: launch.ServerCommand) -> None:
    try:
        os.execvpe(command.argv[0], list(command.argv), {**os.environ, **command.environment})
    except OSError as error:
        raise ServingError(f"{command.argv[0]} cannot be started: {error.strerror}.", "Is it executable?") from error
