"""Makes the manifest and writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from taxiway.components.errors import UsageError
from taxiway.components.files.durable_files import replace_file
from taxiway.components.serving.config import ServingConfig
from taxiway.components.serving.versions import server_files
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.components.serving.versions.kubernetes_manifest import dump_documents, make_dns_name
from taxiway.pipeline.console import printing
from taxiway.pipeline.resources.names import OBJECT_NAME, VOLUME_NAME
from taxiway.pipeline.root import Root
from taxiway.pipeline.serving import versions
from taxiway.pipeline.serving.manifests import kserve, tensorflow_serving
from taxiway.pipeline.serving.manifests.request import ManifestRequest
from taxiway.pipeline.serving.manifests.storage import parse_storage

Kind = Literal["kserve", "kubernetes"]
_BUILDERS = {"kserve": kserve.build_documents, "kubernetes": tensorflow_serving.build_documents}


@dataclass(frozen=True)
class ManifestOptions:
    """The options as they were given."""

    kind: Kind
    root: Path
    storage: str
    model: str | None = None
    name: str = ""
    namespace: str = ""
    service_account: str = ""
    version: int | None = None
    canary_percent: int | None = None
    replicas: int = 1
    output: Path | None = None


def write_manifest(options: ManifestOptions) -> None:
    """Writes the objects to a file, or to standard output for `kubectl apply -f -`.

    Raises:
        UsageError: The options do not go together, or name what there is not.
    """
    request = make_request(options)
    text = dump_documents(_BUILDERS[options.kind](request))
    if options.output is None:
        print(text, end="")
    else:
        _write_file(options.output, text)
    printing.print_notes(list_notes(options.kind, request))


def _write_file(file: Path, text: str) -> None:
    try:
        replace_file(file, text)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}.", "Name another file.") from error


def make_request(options: ManifestOptions) -> ManifestRequest:
    """The options with what this machine knows of the serving directory.

    Raises:
        UsageError: There is no `--storage`, no such version, or a canary without a version.
    """
    if not options.storage:
        problem = "Where the cluster finds the versions is not said."
        raise UsageError(problem, "Give --storage pvc://CLAIM/serving/MODEL, gs://BUCKET/FOLDER or s3://BUCKET/FOLDER.")
    _check_names(options)
    model, directory = _find_directory(options)
    pinned = options.version is not None or options.canary_percent is not None
    version = _choose_version(options, directory)
    if pinned and version is None:
        raise UsageError("--canary is for one version, and none is on this machine.", "Give --version NUMBER too.")
    return ManifestRequest(
        model=model,
        name=make_dns_name(options.name or model),
        storage=parse_storage(options.storage),
        config=server_files.read_settings(directory) if directory else ServingConfig(),
        version=version,
        pinned=pinned,
        canary_percent=options.canary_percent,
        namespace=options.namespace,
        service_account=options.service_account,
        replicas=options.replicas,
    )


def _check_names(options: ManifestOptions) -> None:
    given = {
        "--namespace": (options.namespace, VOLUME_NAME),
        "--service-account": (options.service_account, OBJECT_NAME),
    }
    for option, (name, pattern) in given.items():
        if name and not re.fullmatch(pattern, name):
            raise UsageError(
                f"{option} {name!r} is no name that Kubernetes takes.", "Lower-case letters, digits and -."
            )


def _find_directory(options: ManifestOptions) -> tuple[str, ServingDirectory | None]:
    """The model's name and its directory; None where nothing of it was pushed under this root."""
    place = Root.at(options.root)
    name = versions.choose_model(place, options.model)
    if name in versions.list_models(place):
        return name, ServingDirectory(place.serving / name)
    if options.model is None:
        problem = f"Nothing has been pushed under {place.path}."
        raise UsageError(problem, "Give the model's name with --model, or --root with its serving directory.")
    return name, None


def _choose_version(options: ManifestOptions, directory: ServingDirectory | None) -> int | None:
    if directory is None:
        return options.version
    numbers = [version.number for version in directory.list_versions()]
    if options.version is None:
        return max(numbers, default=None)
    if options.version not in numbers:
        raise UsageError(
            f"There is no version {options.version} in {directory.base}.",
            f"There are: {', '.join(map(str, numbers)) or 'none'}.",
        )
    return options.version


def list_notes(kind: Kind, request: ManifestRequest) -> list[str]:
    """What whoever applies the manifest has to know."""
    notes = []
    if kind == "kserve" and not request.storage.is_volume:
        told = "Pods copy the versions when they start: make and apply the manifest again after each push."
        notes.append(told if request.version else f"{told} No version is known here: pods that run are not replaced.")
    if request.canary_percent is not None:
        notes.append(
            f"Version {request.version} gets {request.canary_percent} % of the requests, the revision before the rest; "
            "that takes KServe with Knative. --canary 100 ends it."
        )
    return notes
