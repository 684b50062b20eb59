"""`taxiway compile --write-resources`: the part of the configuration without which no cluster can run the pipeline."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from taxiway.components.errors import UsageError
from taxiway.components.files.durable_files import replace_file
from taxiway.pipeline.config import DEFAULT_CONFIG, PipelineConfig, load_config, parse_config
from taxiway.pipeline.scaffold.yaml_edit import set_value

SECTION = ("resources", "kubeflow")
_IMAGE = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._/:@{}]*")  # `{stack}` too
_PIPELINE_ROOT = re.compile(r"(gs|s3|minio)://[^/\s]+(/\S*)?")
_CLAIM = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(frozen=True)
class ClusterPlaces:
    """What only the user knows of a cluster.

    Attributes:
        image: Image that the cluster can pull; empty: the configuration's own.
        claim: Claim of the volume for the root; empty: the configuration's own volumes.
        pipeline_root: Folder of an object store; empty: the configuration's own, or the cluster's.
    """

    image: str = ""
    claim: str = ""
    pipeline_root: str = ""


def write_resources(config: Path | None, places: ClusterPlaces) -> Path:
    """Writes image, volume and pipeline root into a configuration, whose other lines stay as they are.

    Args:
        config: The configuration file; None: the taxi example, which is copied into this folder.
        places: What to write.

    Returns:
        The file.

    Raises:
        UsageError: Something is missing or has no such form, or the file cannot be written.
        ConfigError: The configuration is wrong.
    """
    current = load_config(config)
    settings = _choose_settings(current, places)
    source, target = (config, config) if config else (DEFAULT_CONFIG, Path(f"{current.name}.yaml"))
    if config is None and target.exists():
        raise UsageError(f"{target} exists already.", f"Give it: taxiway compile {target} --write-resources ...")
    text = _edit(source.read_text(encoding="utf-8"), settings)
    parse_config(yaml.safe_load(text))
    try:
        replace_file(target, text)
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}.", "Copy it to a folder of yours.") from error
    return target


def _choose_settings(current: PipelineConfig, places: ClusterPlaces) -> dict[tuple[str, ...], Any]:
    """Values by key below `resources.kubeflow`."""
    kubeflow = current.resources.kubeflow
    missing = [] if places.image or kubeflow.image else ["--image, which `make image` builds and you push"]
    missing += [] if places.claim or kubeflow.default.volumes else ["--claim, a volume claim that every node can mount"]
    if missing:
        raise UsageError(f"Missing: {'; '.join(missing)}.", "It cannot be guessed: your cluster has it.")
    _check_places(places)
    given = {("image",): places.image, ("pipeline_root",): places.pipeline_root}
    settings: dict[tuple[str, ...], Any] = {key: value for key, value in given.items() if value}
    if places.claim:
        settings["default", "volumes"] = _list_volumes(current, places.claim)
    return settings


def _check_places(places: ClusterPlaces) -> None:
    if places.image and not _IMAGE.fullmatch(places.image):
        raise UsageError(f"--image {places.image!r} is no name of an image.", "Such as registry.example/taxiway:TAG.")
    if places.claim and not _CLAIM.fullmatch(places.claim):
        raise UsageError(f"--claim {places.claim!r} is no name of a claim.", "See: kubectl get pvc")
    if places.pipeline_root and not _PIPELINE_ROOT.fullmatch(places.pipeline_root):
        problem = f"--pipeline-root {places.pipeline_root!r} is no folder of an object store."
        raise UsageError(problem, "Accepted: gs://BUCKET/FOLDER, s3://BUCKET/FOLDER, minio://BUCKET/FOLDER.")


def _list_volumes(current: PipelineConfig, claim: str) -> list[dict[str, Any]]:
    """The volumes with this claim at the root, in place of another one there."""
    kubeflow = current.resources.kubeflow
    others = [volume for volume in kubeflow.default.volumes if volume.mount_path != kubeflow.root]
    kept = [volume.model_dump(mode="json", exclude_unset=True) for volume in others]
    return [{"claim": claim, "mount_path": kubeflow.root}, *kept]


def _edit(text: str, settings: Mapping[tuple[str, ...], Any]) -> str:
    """The text with the settings in it.

    Raises:
        UsageError: What was written is not read back.
    """
    edited = text
    for keys, value in reversed([*settings.items()]):  # each goes before those that are there
        edited = set_value(edited, (*SECTION, *keys), value)
    written = yaml.safe_load(edited)["resources"]["kubeflow"]
    for keys, value in settings.items():
        found: Any = written
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if found != value:
            wanted = ".".join((*SECTION, *keys))
            raise UsageError(f"{wanted} cannot be written there.", f"Set it yourself: {wanted}: {value}")
    return edited
