"""Pods as a restricted namespace runs them: no root, no capabilities, a file system that cannot be written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from taxiway.components.errors import UsageError
from taxiway.pipeline.emulator.pods import jail
from taxiway.pipeline.emulator.pods.processes import (
    Pod,
    find_volume,
    make_environment,
    make_scratch_folders,
    run_process,
)

DEFAULT_USER = (1000, 1000)
"""User and group of the image that `make image` builds."""
HOME = "/nonexistent"
"""A home that nobody can write; the empty directories that Kubeflow adds are `/.cache` and its like, not this."""


@dataclass(frozen=True)
class RestrictedRuntime:
    """Runs each pod as a process with this machine's files, which it can read and not write.

    It may write in `/tmp`, in the folders that every pod has, and in its volumes; nothing else. Paths are the
    launcher's own. Started by root, it runs as the pod's user, or as `DEFAULT_USER`; started by anyone else, as them.

    Attributes:
        volumes: Folders of this machine, by volume claim.
    """

    volumes: Mapping[str, Path]

    def local_path(self, folder: Path, path: str) -> str:
        return path

    def run_pod(self, pod: Pod) -> int:
        user = (pod.user or DEFAULT_USER) if os.getuid() == 0 else (os.getuid(), os.getgid())
        mounts = self._list_mounts(pod)
        stage = pod.folder / "stage"
        stage.mkdir()
        _give_files(pod.folder, user)
        plan = pod.folder / "jail.json"
        plan.write_text(
            json.dumps({"stage": str(stage), "user": user, "mounts": mounts, "visible": list_program_folders()})
        )
        command = [sys.executable, "-I", jail.__file__, str(plan), *pod.command]
        environment = {**make_environment(pod), "HOME": HOME}
        return run_process(pod, command, environment, pod.folder)

    def _list_mounts(self, pod: Pod) -> list[tuple[str, str, bool]]:
        """Folder of this machine, path in the pod, whether it is read only."""
        temporary = pod.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        scratch = {"/tmp": temporary, **make_scratch_folders(pod)}
        mounts = [(str(folder), path, False) for path, folder in scratch.items()]
        for mount in pod.mounts:
            mounts.append((str(find_volume(self.volumes, mount, pod)), mount.path, mount.read_only))
        return mounts


def _write_plan(folder: Path, user: tuple[int, int], mounts: list[tuple[str, str, bool]]) -> list[str]:
    """Writes what the jail is to be. Returns the command that a jailed command is appended to."""
    plan, stage = folder / "jail.json", folder / "stage"
    stage.mkdir()
    content = {"stage": str(stage), "user": user, "mounts": mounts, "visible": list_program_folders()}
    plan.write_text(json.dumps(content), encoding="utf-8")
    return [sys.executable, "-I", jail.__file__, str(plan)]


def _give_files(folder: Path, user: tuple[int, int]) -> None:
    """What the launcher has made belongs to the pod's user, as whom it runs on a cluster."""
    if os.getuid() != 0:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, *user, follow_symlinks=False)


def list_program_folders() -> list[str]:
    """Folders with this Python and its packages, which stay visible where they lie in a folder that is replaced."""
    return sorted(set(_iterate_program_folders()))


def _iterate_program_folders() -> Iterator[str]:
    yield from (sys.prefix, sys.base_prefix, *sysconfig.get_paths().values())
    yield str(Path(jail.__file__).parents[3])
    yield from filter(os.path.isabs, filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))


def check_restrictions() -> None:
    """Tries it out.

    Raises:
        UsageError: This machine does not let its processes be restricted so.
    """
    obstacle = find_obstacle()
    if obstacle:
        raise UsageError(
            f"Pods cannot be restricted here: {obstacle}",
            "It takes Linux 5.12 with user namespaces, or root. Emulate without --restricted.",
        )


def find_obstacle() -> str:
    """Why pods cannot be restricted on this machine; empty where they can."""
    if not sys.platform.startswith("linux"):
        return "only Linux can."
    folder = Path(tempfile.mkdtemp(prefix="taxiway-jail-"))
    try:
        user = DEFAULT_USER if os.getuid() == 0 else (os.getuid(), os.getgid())
        command = [*_write_plan(folder, user, []), sys.executable, "-c", ""]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
