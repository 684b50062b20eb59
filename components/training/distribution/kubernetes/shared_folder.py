"""The folder that the step and all pods of its cluster see: inputs go there, and what is trained comes back."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from taxiway.components.errors import ConfigError
from taxiway.components.files.patterns import quote_name
from taxiway.components.training.job import TrainingJob, resolve_files

FOLDER, INPUT, OUTPUT = "cluster", "input", "output"
_OUTPUTS = ("export_dir", "training_dir", "log_dir")


def find_shared_folder(job: TrainingJob) -> Path:
    """The folder, below the checkpoints.

    Raises:
        ConfigError: no volume of the pods holds it.
    """
    mounts = list_claims(job.cluster_pod)
    if not job.checkpoint_dir or not is_shared(job.checkpoint_dir, mounts):
        raise ConfigError(
            f"training.cluster.where is 'kubernetes', and the checkpoints ({job.checkpoint_dir or 'none'}) are on no "
            f"volume that its pods mount ({', '.join(map(str, mounts)) or 'none'}).",
            "Mount a claim that several pods may write (ReadWriteMany) at resources.kubeflow.root: "
            "resources.kubeflow.default.volumes: [{claim: NAME, mount_path: /taxiway}].",
        )
    return Path(job.checkpoint_dir, FOLDER)


def list_claims(pod: Mapping[str, Any]) -> list[PurePosixPath]:
    """Where the pod mounts claims, whole ones or folders of them."""
    spec = pod.get("spec", {})
    claims = {volume["name"] for volume in spec.get("volumes", ()) if "persistentVolumeClaim" in volume}
    mounts = [mount for container in spec.get("containers", ()) for mount in container.get("volumeMounts", ())]
    return [PurePosixPath(mount["mountPath"]) for mount in mounts if mount["name"] in claims]


def is_shared(path: str, mounts: Iterable[PurePosixPath]) -> bool:
    """Whether a pod finds at `path` what this step finds there."""
    return "://" in path or any(PurePosixPath(path).is_relative_to(mount) for mount in mounts)


def stage_job(job: TrainingJob, folder: Path) -> TrainingJob:
    """The job as the pods get it: inputs that only this step sees are copied, outputs go below `folder`."""
    mounts, inputs = list_claims(job.cluster_pod), folder / INPUT
    given = {name: str(folder / OUTPUT / name) for name in _OUTPUTS if getattr(job, name)}
    given["transform_graph"] = _stage_path(job.transform_graph, inputs / "transform_graph", mounts)
    for name in ("raw_schema", "warm_start_from"):
        if getattr(job, name):
            given[name] = _stage_path(getattr(job, name), inputs / name, mounts)
    staged = {
        split: _stage_files(getattr(job, split), inputs / split, mounts) for split in ("train_files", "eval_files")
    }
    return job.model_copy(update={**given, **staged, "cluster_pod": {}})


def _stage_path(path: str, target: Path, mounts: list[PurePosixPath]) -> str:
    if is_shared(path, mounts):
        return path
    if Path(path).is_dir():
        shutil.copytree(path, target)
        return str(target)
    target.mkdir(parents=True)
    return str(shutil.copy2(path, target))


def _stage_files(patterns: tuple[str, ...], target: Path, mounts: list[PurePosixPath]) -> tuple[str, ...]:
    """The files of a folder in a folder of their own: shards of two artifacts have the same names."""
    own = [pattern for pattern in patterns if not is_shared(pattern, mounts)]
    if not own:
        return patterns
    files = resolve_files(tuple(own), target.name)
    copies = {folder: target / f"{i:04d}" for i, folder in enumerate(sorted({Path(file).parent for file in files}))}
    for folder in copies.values():
        folder.mkdir(parents=True)
    for file in files:
        shutil.copy2(file, copies[Path(file).parent])
    shared = [pattern for pattern in patterns if pattern not in own]
    return (*shared, *(f"{quote_name(str(folder))}/*" for folder in copies.values()))


def collect_outputs(job: TrainingJob, staged: TrainingJob) -> None:
    """What the chief has written, where the step was told to write it."""
    for name in _OUTPUTS:
        source, target = getattr(staged, name), getattr(job, name)
        if target and Path(source).exists():
            shutil.copytree(source, target, dirs_exist_ok=True)


def remove_copies(folder: Path) -> None:
    """Removes what was copied in and has been copied out; logs and results stay."""
    for name in (INPUT, OUTPUT):
        shutil.rmtree(folder / name, ignore_errors=True)
