"""Follows a run to its end, also when the server does not answer for a while or a token expires."""

from __future__ import annotations

import time
from collections.abc import Callable

from taxiway.pipeline.exit_codes import EXIT_LOST
from taxiway.pipeline.kubeflow.api_client import KubeflowServer
from taxiway.pipeline.kubeflow.client.server_errors import (
    KubeflowServerError,
    KubeflowSignInError,
    KubeflowUnavailableError,
)
from taxiway.pipeline.kubeflow.run_status import FINISHED, RunStatus

MAX_FAILURES = 8
"""With the pauses below about nine minutes: longer than a gateway or an API server takes to start again."""
MAX_SIGN_INS = 2
MAX_PAUSE_SECONDS = 120.0


class LostSightError(KubeflowServerError):
    """The run goes on, and nobody here knows how."""

    exit_code = EXIT_LOST


def follow_run(
    server: KubeflowServer,
    run_id: str,
    tell: Callable[[str], None],
    *,
    every_seconds: float = 10.0,
    sleep: Callable[[float], None] = time.sleep,
) -> RunStatus:
    """Asks for a run until it has ended.

    Args:
        server: Server that has the run.
        run_id: Id of the run.
        tell: Function that is called with every new state, and with what went wrong before another try.
        every_seconds: Pause between two questions; doubled with each failure in a row.
        sleep: Function that waits.

    Raises:
        LostSightError: The server refuses, or gave no usable answer several times in a row.
    """
    last, failures = "", 0
    while True:
        try:
            status = server.fetch_status(run_id)
        except KubeflowServerError as error:
            failures += 1
            pause = min(every_seconds * 2 ** (failures - 1), MAX_PAUSE_SECONDS)
            if failures > _count_allowed(error):
                raise _make_lost_error(server, run_id, error) from error
            tell(f"{error.problem.rstrip('.')}. Asking again in {pause:g} s.")
            sleep(pause)
            if isinstance(error, KubeflowSignInError):
                server.renew_credentials()
            continue
        failures = 0
        if status.state != last:
            tell(status.state.lower())
        if status.state in FINISHED:
            return status
        last = status.state
        sleep(every_seconds)


def _count_allowed(error: KubeflowServerError) -> int:
    if isinstance(error, KubeflowSignInError):
        return MAX_SIGN_INS
    return MAX_FAILURES if isinstance(error, KubeflowUnavailableError) else 0


def _make_lost_error(server: KubeflowServer, run_id: str, error: KubeflowServerError) -> LostSightError:
    remedy = f"The cluster goes on without us. Follow the run again: {server.make_command('follow', run_id)}"
    return LostSightError(f"Lost sight of the run {run_id}: {error.problem}", f"{error.remedy} {remedy}".strip())
