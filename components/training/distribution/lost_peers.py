"""Members of a cluster that somebody else has started (`TF_CONFIG`): what each does when another one is lost or done.

Where our own supervisor has started the cluster, it watches the members and starts them again. Elsewhere, as under an
operator of Kubernetes, each member must notice by itself that it waits in vain, and end with a code that asks to be
started again (`TrainingStoppedError`), so that the cluster goes on from the checkpoint.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from taxiway.components import errors
from taxiway.components.errors import TrainingError, TrainingStoppedError
from taxiway.components.processes import subprocesses
from taxiway.components.training.config import ClusterConfig
from taxiway.components.training.distribution import cluster
from taxiway.components.training.job import TrainingJob

CHIEF_SECONDS = 1.0
"""Between two looks at the chief."""
MISSED_LOOKS = 5
"""The chief is gone after so many looks in vain: a busy machine may miss one."""
UP_VARIABLE = "TAXIWAY_CLUSTER_UP_FILE"
"""Names the file that the chief makes once all members have found each other."""
AGAIN = "Start this member again with the same TF_CONFIG: training goes on from the last checkpoint."


def is_started_elsewhere() -> bool:
    """Whether this process is a member of a cluster that our supervisor has not started."""
    return cluster.read_cluster_task() is not None and cluster.RESTARTS_VARIABLE not in os.environ


def needs_watch(job: TrainingJob) -> bool:
    """Whether this process should start another one that trains, and watch it."""
    if job.training.strategy not in ("multi_worker_mirrored", "parameter_server") or not is_started_elsewhere():
        return False
    trains = job.training.strategy == "multi_worker_mirrored" or cluster.read_cluster_task() == ("chief", 0)
    return trains and cluster.HEARTBEAT_VARIABLE not in os.environ


def run_watched(job: TrainingJob, module: str, terminated: Callable[[], bool]) -> dict[str, Any]:
    """Trains in another process, and ends it when it makes no step for as long as a supervisor would wait.

    A thread of the same process could not: TensorFlow holds Python's lock while it waits for members that do not come,
    and a collective operation whose peer has vanished may wait for ever, and no exception comes out of it.

    Args:
        job: A job of a cluster that was started elsewhere.
        module: The main module, which is started again with the variable of the heartbeat.
        terminated: Whether this process was asked to end; the other one is asked then.

    Raises:
        TrainingStoppedError: no step was made, or the process was killed: it may be started again.
        TaxiwayError: what training raised.
    """
    with tempfile.TemporaryDirectory(prefix="taxiway-member-") as name:
        folder = Path(name)
        (folder / "job.json").write_text(job.model_dump_json())
        child = subprocesses.start_module(
            module, folder / "job.json", folder / "result.json", None,
            environment={cluster.HEARTBEAT_VARIABLE: str(folder / "heartbeat")},
            parent_death_signal=signal.SIGKILL, new_session=False,
        )  # fmt: skip
        try:
            _watch_child(child, folder / "heartbeat", job.training.cluster, terminated)
        finally:
            child.kill()
            code = child.wait()
        answer = subprocesses.read_answer(folder / "result.json")
    if "result" in answer:
        return dict(answer["result"])
    raise errors.rebuild_error(answer) or _describe_end(code, answer.get("error", ""))


def _watch_child(
    child: subprocesses.ChildProcess, heartbeat: Path, config: ClusterConfig, terminated: Callable[[], bool]
) -> None:
    started, asked = time.time(), False
    up = Path(os.environ[UP_VARIABLE]) if UP_VARIABLE in os.environ else None
    while child.poll() is None:
        if terminated() and not asked:
            asked = True
            child.terminate()
        if up and heartbeat.exists():
            up.touch()
            up = None
        if silence := cluster.describe_silence(heartbeat, started, config):
            raise TrainingStoppedError(f"The cluster that TF_CONFIG names {silence}: {_name_silent_members()}.", AGAIN)
        time.sleep(cluster.POLL_SECONDS)


def _name_silent_members() -> str:
    members = json.loads(os.environ["TF_CONFIG"])["cluster"]
    silent = [address for addresses in members.values() for address in addresses if not _is_open(address)]
    return f"no answer from {', '.join(silent)}" if silent else "another member is lost or hangs"


def _describe_end(code: int, said: str) -> TrainingError:
    how = subprocesses.describe_exit(code)
    if code < 0:
        return TrainingStoppedError(f"The training process {how}.", AGAIN)
    return TrainingError(said or f"The training process {how}.", "The lines above have the details.")


@contextlib.contextmanager
def end_when_peers_are_lost(end: Callable[[TrainingError], Any] = subprocesses.end_child) -> Iterator[None]:
    """In a cluster started elsewhere: what TensorFlow raises for a lost member is a `TrainingStoppedError` of this one.

    It ends at once: at an orderly end TensorFlow would wait for the lost member.
    """
    import tensorflow as tf

    lost = (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.DeadlineExceededError,
        tf.errors.CancelledError,
    )
    try:
        yield
    except lost as error:
        if not is_started_elsewhere():
            raise
        said = str(error).strip().splitlines()[0][:300]
        end(TrainingStoppedError(f"A member of the cluster that TF_CONFIG names is lost: {said}", AGAIN))
        raise


def end_with_chief(chief: str, start_seconds: float, is_finished: Callable[[], bool]) -> NoReturn:
    """What a worker or server of a parameter-server cluster does while the chief trains: waits, and ends with it.

    Args:
        chief: Address of the chief, `host:port`.
        start_seconds: How long the chief may take to come up.
        is_finished: Whether the chief has left word that training is finished.
    """
    came = await_end(chief, start_seconds)
    if came and is_finished():
        subprocesses.end_child_well({"ended": "with the chief"})
    what = "does not answer any more, and has not finished" if came else f"did not come up within {start_seconds:g} s"
    subprocesses.end_child(TrainingStoppedError(f"The chief {chief} {what}.", AGAIN))


def await_end(address: str, start_seconds: float) -> bool:
    """Waits until a process that listens at `address` does not any more.

    Returns:
        Whether it ever did; False after `start_seconds` in vain.
    """
    deadline = time.monotonic() + start_seconds
    while not _is_open(address):
        if time.monotonic() >= deadline:
            return False
        time.sleep(CHIEF_SECONDS)
    missed = 0
    while missed < MISSED_LOOKS:
        time.sleep(CHIEF_SECONDS)
        missed = 0 if _is_open(address) else missed + 1
    return True


def _is_open(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=CHIEF_SECONDS):
            return True
    except OSError:
        return False
