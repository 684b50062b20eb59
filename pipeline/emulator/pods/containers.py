"""Pods as containers of podman or docker, with the image that the pipeline names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from taxiway.components.errors import UsageError
from taxiway.components.processes.container_engines import ENGINES
from taxiway.pipeline.emulator.driver import PARAMETER_FOLDER
from taxiway.pipeline.emulator.pods.processes import Pod, find_volume, make_scratch_folders, run_process


def find_engine() -> str:
    """The engine on the PATH.

    Raises:
        UsageError: There is none.
    """
    for name in ENGINES:
        if shutil.which(name):
            return name
    raise UsageError("Neither podman nor docker is on the PATH.", "Install one, or emulate without --in-containers.")


@dataclass(frozen=True)
class ContainerRuntime:
    """Runs each pod with the launcher's own paths and the volume claims mounted.

    Attributes:
        volumes: Folders of this machine, by volume claim.
        command: Name or path of the engine.
        options: Options of the engine's `run`, such as `--network=none`.
    """

    volumes: Mapping[str, Path]
    command: str = field(default_factory=find_engine)
    options: tuple[str, ...] = ()

    def local_path(self, folder: Path, path: str) -> str:
        return path

    def run_pod(self, pod: Pod) -> int:
        return run_process(pod, self._make_command(pod), {**os.environ, **pod.environment}, Path.cwd())

    def _make_command(self, pod: Pod) -> list[str]:
        outputs = pod.folder / PARAMETER_FOLDER.lstrip("/")
        outputs.mkdir(parents=True, exist_ok=True)
        folders = {**make_scratch_folders(pod), PARAMETER_FOLDER: outputs}
        mounts = [f"--volume={folder}:{path}" for path, folder in folders.items()]
        for mount in sorted(pod.mounts, key=lambda mount: (mount.name, mount.path)):
            suffix = ":ro" if mount.read_only else ""
            mounts.append(f"--volume={find_volume(self.volumes, mount, pod)}:{mount.path}{suffix}")
        # Without a value the engine takes its own variable: command lines, which hold no secrets so, are public.
        variables = [f"--env={name}" for name in sorted(pod.environment)]
        # Kubernetes' `command` replaces the image's entry point.
        entry = [f"--entrypoint={pod.command[0]}", *self.options, pod.image, *pod.command[1:]]
        # Files on this machine belong to the user who emulates; such a user has no home folder in the image.
        number, group = pod.user or (os.getuid(), os.getgid())
        user = [f"--user={number}:{group}", "--env=HOME=/tmp"]
        return [self.command, "run", "--rm", *user, *mounts, *variables, *entry]
