"""Pods as containers of podman or docker, with the image that the pipeline names."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from components.errors import UsageError
from pipeline.emulator.launcher import Pod, local_path, wait

ENGINES = ("podman", "docker")


def engine() -> str:
    """The engine on the PATH.

    Raises:
        UsageError: There is none.
    """
    for name in ENGINES:
        if shutil.which(name):
            return name
    raise UsageError("Neither podman nor docker is on the PATH.", "Install one, or emulate without --in-containers.")


@dataclass(frozen=True)
class Containers:
    """Runs each pod with the launcher's own paths and the volume claims mounted.

    Attributes:
        volumes: Folders of this machine, by volume claim.
        command: The engine.
        options: Further options of its `run`, such as `--network=none`.
    """

    volumes: Mapping[str, Path]
    command: str = field(default_factory=engine)
    options: tuple[str, ...] = ()

    def local(self, folder: Path, uri: str) -> str:
        return f"/{local_path(uri)}"

    def run(self, pod: Pod) -> int:
        for name in ("gcs", "s3", "minio"):
            (pod.folder / name).mkdir(parents=True, exist_ok=True)
        with pod.log.open("ab") as log:
            process = subprocess.Popen(
                self._command(pod),
                env={**os.environ, **pod.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            return wait(process, pod)

    def _command(self, pod: Pod) -> list[str]:
        mounts = [f"--volume={pod.folder / name}:/{name}" for name in ("gcs", "s3", "minio")]
        mounts += [f"--volume={self._folder(claim)}:{path}" for claim, path in sorted((pod.mounts or {}).items())]
        # Without a value the engine takes its own variable: command lines, which hold no secrets so, are public.
        variables = [f"--env={name}" for name in sorted(pod.environment)]
        # Kubernetes' `command` replaces the image's entry point.
        entry = [f"--entrypoint={pod.command[0]}", *self.options, pod.image, *pod.command[1:]]
        # Files on this machine belong to whoever emulates; such a user has no home folder in the image.
        user = [f"--user={os.getuid()}:{os.getgid()}", "--env=HOME=/tmp"]
        return [self.command, "run", "--rm", *user, *mounts, *variables, *entry]

    def _folder(self, claim: str) -> Path:
        if claim not in self.volumes:
            raise UsageError(
                f"The volume claim {claim!r} has no folder here.", f"Give one with --volume {claim}=FOLDER."
            )
        return self.volumes[claim]
