"""A step's artifacts on the volume that an engine's workers see, while the step runs.

The launcher downloads a step's inputs into its pod and uploads what the step leaves there. Workers of a Flink cluster
are in other pods: a path such as `/minio/...` means a folder of their own there. So the step works below the root,
which is on a volume that all of them mount.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from taxiway.components.errors import ConfigError

FOLDER = ".on-engine"


@contextmanager
def share_artifacts(
    inputs: Sequence[Any], outputs: Sequence[Any], output_file: Path, root: str | None
) -> Iterator[None]:
    """While it is open, artifacts have URIs below the root; afterwards the pod has what was written there.

    Args:
        inputs: Artifacts of the invocation that are read, as JSON objects with `uri`; changed while it is open.
        outputs: Artifacts that are written.
        output_file: File in which the executor names what it has written; its URIs become the pod's again.
        root: Root of the runs, on the shared volume.

    Raises:
        ConfigError: The step was given no root.
    """
    if not root:
        raise ConfigError(
            "This step runs on an engine whose workers do not see its pod, and was given no root that they see.",
            "Compile the pipeline with resources.kubeflow.root on a volume that the workers mount too.",
        )
    folder = Path(root) / FOLDER / uuid.uuid4().hex
    places = {f"{folder}/{number}": artifact for number, artifact in enumerate([*inputs, *outputs])}
    own = {place: artifact["uri"] for place, artifact in places.items()}
    try:
        for place, artifact in places.items():
            _copy(Path(artifact["uri"]), Path(place))
            artifact["uri"] = place
        yield
        for place in list(places)[len(inputs) :]:
            _copy(Path(place), Path(own[place]))
        _rename_places(output_file, own)
    finally:
        for place, artifact in places.items():
            artifact["uri"] = own[place]
        shutil.rmtree(folder, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    """A folder with what is in it, a file, or nothing where nothing is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.exists():
        shutil.copy2(source, target)


def _rename_places(output_file: Path, own: dict[str, str]) -> None:
    if not output_file.exists():
        return
    text = output_file.read_text(encoding="utf-8")
    for place in sorted(own, key=len, reverse=True):  # /12 before /1
        text = text.replace(place, own[place])
    output_file.write_text(text, encoding="utf-8")
