"""Pods as processes of this machine, and what every way to run a pod has in common."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from taxiway.components.errors import UsageError
from taxiway.pipeline.emulator import errors
from taxiway.pipeline.emulator.driver import LOCAL_FOLDERS
from taxiway.pipeline.emulator.errors import TaskFailedError
from taxiway.pipeline.emulator.pods.arguments import check_arguments

GRACE_SECONDS = 5.0
SCRATCH_FOLDERS = (*LOCAL_FOLDERS.values(), ".local", ".cache", ".config")
"""Empty directories that every pod has, under `/` (`argocompiler/container.go`)."""


@dataclass(frozen=True)
class Mount:
    """A volume in the container.

    Attributes:
        name: Name of the claim, secret or config map; empty: an empty directory, as long as the pod lives.
        path: Path in the container.
        sub_path: Folder of the volume that is mounted; empty: all of it.
        read_only: Whether the container may not write there.
    """

    name: str
    path: str
    sub_path: str = ""
    read_only: bool = False


@dataclass(frozen=True)
class Pod:
    """What the launcher starts.

    Attributes:
        name: Name of the task, and number of the try.
        image: Image of the container.
        command: Command and arguments, placeholders filled in.
        environment: Variables of the container.
        folder: Folder on this machine; its `gcs`, `s3` and `minio` are the container's `/gcs`, `/s3` and `/minio`.
        log: File of output and errors.
        timeout_seconds: Time after which the pod is ended; 0: never.
        mounts: Volumes of the container.
        user: Numbers of user and group, where the pod says which.
    """

    name: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    timeout_seconds: float = 0
    mounts: tuple[Mount, ...] = ()
    user: tuple[int, int] | None = None


class PodRuntime(Protocol):
    """Runs a pod's command."""

    def local_path(self, folder: Path, path: str) -> str:
        """The path by which the command knows a path of the launcher's, such as `/minio/mlpipeline/...`."""

    def run_pod(self, pod: Pod) -> int:
        """Runs it to its end.

        Raises:
            TaskFailedError: It took too long, or could not be started.
        """


class ProcessRuntime:
    """Pods as processes of this machine, with this Python: the image is the environment that the emulator runs in.

    The container's paths are not this machine's, so each artifact gets the launcher's `customPath`.
    """

    def local_path(self, folder: Path, path: str) -> str:
        return str(folder / path.lstrip("/"))

    def run_pod(self, pod: Pod) -> int:
        folder = pod.folder / "work"
        folder.mkdir(parents=True, exist_ok=True)
        environment = {**make_environment(pod), "TMPDIR": str(folder)}
        return run_process(pod, pod.command, environment, folder)


def make_environment(pod: Pod) -> dict[str, str]:
    """What every process here needs, the pod's own variables, and nothing that a container would not have."""
    names = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV")
    inherited = {name: os.environ[name] for name in names if name in os.environ}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**inherited, **pod.environment, "PATH": path}


def run_process(pod: Pod, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> int:
    """Starts the command in a process group of its own and waits for it.

    Raises:
        TaskFailedError: It could not be started, or took too long.
    """
    with pod.log.open("ab") as log:
        try:
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            if error.errno == errno.E2BIG:
                check_arguments(pod.name, {f"argument {i}": text for i, text in enumerate(pod.command)})
            raise TaskFailedError(f"{pod.name}: {pod.command[0]} cannot be started: {error}") from error
        return wait_for_process(process, pod)


def wait_for_process(process: subprocess.Popen[bytes], pod: Pod) -> int:
    """Waits for a process group; past the pod's deadline it is ended, as `activeDeadlineSeconds` does.

    Raises:
        TaskFailedError: It took too long.
    """
    try:
        return process.wait(pod.timeout_seconds or None)
    except subprocess.TimeoutExpired as error:
        problem = f"{pod.name}: Pod was active on the node longer than the specified deadline"
        raise TaskFailedError(f"{problem} ({pod.timeout_seconds:g} s)", errors.PLATFORM) from error
    finally:
        end_process_group(process)


def end_process_group(process: subprocess.Popen[bytes]) -> None:
    """Ends what is left of the process group: first asked, then forced."""
    if process.poll() is not None:
        return
    for request in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, request)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
            return


def find_volume(volumes: Mapping[str, Path], mount: Mount, pod: Pod) -> Path:
    """The folder of this machine that a mount shows.

    Raises:
        UsageError: None was given for it.
    """
    if not mount.name:
        folder = pod.folder / "empty" / mount.path.strip("/").replace("/", "-")
    elif mount.name in volumes:
        folder = volumes[mount.name] / mount.sub_path
    else:
        raise UsageError(
            f"The volume claim {mount.name!r} has no folder here.", f"Give one with --volume {mount.name}=FOLDER."
        )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def make_scratch_folders(pod: Pod) -> dict[str, Path]:
    """Folders of this machine that stand for the pod's empty directories, by their path in the container."""
    folders = {f"/{name}": pod.folder / name for name in SCRATCH_FOLDERS}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    return folders
