"""A first look at an engine's workers: one element goes there and comes back, before a run begins.

A worker that cannot start makes an engine wait for ever, without a word to the process that waits for the job
(Flink: "Still waiting for startup of environment"). And a worker that starts may be another release, without the
user's modules, or on a disk of its own, where what it writes is lost.
"""

from __future__ import annotations

import json
import re
import socket
import uuid
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from taxiway.components.beam.options import find_option
from taxiway.components.beam.worker_facts import collect_facts, compare_facts, write_facts
from taxiway.components.errors import EngineError
from taxiway.components.processes import subprocesses

CANCEL_SECONDS = 20.0
"""Time to start Python and Beam here and to cancel a job that hangs, beyond what the workers get."""
CONNECT_SECONDS = 5.0
_REMEDY = "Start the workers from our image, or from an environment with the same lock: docs/flink.md."
_CAUSE = re.compile(r"\b[A-Z]\w*(?:Error|Exception): (?![\w.]+(?:Error|Exception): )[^\n\\]+")


def check_workers(
    options: Sequence[str], folder: str, timeout_seconds: float, modules: Sequence[str] = ()
) -> dict[str, str]:
    """Sends one element to a worker, in a process of its own.

    Args:
        options: Options of Beam, as a step gets them.
        folder: Folder that exists on the storage that steps and workers share; a small file is written and removed.
        timeout_seconds: How long the element may take.
        modules: The user's modules that a worker must be able to import.

    Returns:
        The worker's facts: releases by package, as here.

    Raises:
        EngineError: Nothing answers, the worker does not start or cannot import, is of another release, or writes to
            another disk.
    """
    _check_job_server(find_option(options, "job_endpoint"))
    job = {"options": list(options), "folder": folder, "timeout_seconds": timeout_seconds, "modules": list(modules)}
    outcome = subprocesses.run_module(__name__, job, None, timeout_seconds=timeout_seconds + CANCEL_SECONDS)
    if outcome.returncode is None:
        raise make_silence_error(options, timeout_seconds)
    subprocesses.raise_child_error(outcome, EngineError)
    facts: dict[str, str] = (outcome.result or {})["facts"]
    if differing := compare_facts(collect_facts(), facts):
        raise EngineError(
            f"The engine's workers run something else than this process: {'; '.join(differing)}.", _REMEDY
        )
    return facts


def make_silence_error(options: Sequence[str], seconds: float) -> EngineError:
    """No worker has taken the element in time."""
    kind = find_option(options, "environment_type") or "DOCKER"
    place = find_option(options, "environment_config")
    where = f" ({kind.lower()}{': ' if place else ''}{place})"
    return EngineError(
        f"No worker{where} has answered within {seconds:g} s: it does not start, or the engine has no free slot.",
        "Look at the log of the pool of workers and at the engine's own page. " + _REMEDY,
    )


def _check_job_server(address: str) -> None:
    """Beam itself would wait for a minute, and then not name the address."""
    host, _, port = address.rpartition(":")
    if not host:
        return
    try:
        with closing(socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS)):
            return
    except OSError as error:
        raise EngineError(
            f"Nothing answers at the job endpoint {address}: {error.strerror or error}.",
            "Start Beam's job server beside the cluster, or correct resources.beam.job_endpoint: docs/flink.md.",
        ) from error


def send_element(job: dict[str, Any]) -> dict[str, Any]:
    """The child: runs the pipeline of one element and reads what the worker wrote.

    Raises:
        EngineError: See `check_workers`.
    """
    from apache_beam.io.filesystems import FileSystems

    path = FileSystems.join(job["folder"], f".preflight-{uuid.uuid4().hex}.json")
    _run_pipeline(job, path)
    if not FileSystems.exists(path):
        raise EngineError(
            f"A worker has written a file to {job['folder']}, and it is not there: the worker is on another disk.",
            "Give steps and workers one volume at the same path, or a root in an object store.",
        )
    with FileSystems.open(path) as file:
        facts = json.loads(file.read())
    FileSystems.delete([path])
    return {"facts": facts}


def _run_pipeline(job: dict[str, Any], path: str) -> None:
    import apache_beam as beam

    pipeline = beam.Pipeline(argv=job["options"])
    _ = pipeline | beam.Create([path]) | beam.Map(write_facts, job["modules"])
    try:
        result = pipeline.run()
        state = result.wait_until_finish(duration=int(job["timeout_seconds"] * 1000))
    except Exception as error:  # runners raise errors of their own, some of them RuntimeError
        raise explain_failure(str(error)) from error
    if not beam.runners.runner.PipelineState.is_terminal(state):
        result.cancel()
        raise make_silence_error(job["options"], job["timeout_seconds"])


def explain_failure(text: str) -> EngineError:
    """What a worker or the engine said, without their stacks."""
    lines = text.replace("\\n", "\n")  # a stack of Python within a stack of Java
    causes = [cause[0].partition(" [while running")[0].strip()[:300] for cause in _CAUSE.finditer(lines)]
    said = "; ".join(dict.fromkeys(causes)) or text.strip().splitlines()[0][:300]
    return EngineError(f"The first element did not come back from the engine's workers: {said}", _REMEDY)


if __name__ == "__main__":
    subprocesses.run_child_main(send_element)
