"""What a worker is: the releases and the code that it runs. Imports nothing heavy: a worker's first look is this."""

from __future__ import annotations

import hashlib
import importlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

PACKAGES = ("taxiway", "apache-beam", "tfx", "tensorflow", "tensorflow-transform", "tfx-bsl")


def collect_facts() -> dict[str, str]:
    """Releases of Python and of what steps are made with, and a digest of our components' source."""
    releases = {name: _find_release(name) for name in PACKAGES}
    return {"python": ".".join(platform.python_version_tuple()[:2]), **releases, "taxiway's code": _digest_components()}


def write_facts(path: str, modules: Sequence[str]) -> None:
    """Runs on a worker: imports the user's modules and leaves the facts where the asking process can read them.

    Args:
        path: File to write, on the storage that steps and workers share.
        modules: Dotted names that a step's work imports.

    Raises:
        ImportError: The worker has no such module.
    """
    from apache_beam.io.filesystems import FileSystems

    for module in modules:
        importlib.import_module(module)
    with FileSystems.create(path) as out:
        out.write(json.dumps(collect_facts()).encode())


def compare_facts(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """What differs, one phrase each: `tfx is 1.15.0 there, 1.16.0 here`."""
    differing = [name for name in ours if ours[name] != theirs.get(name)]
    return [f"{name} is {theirs.get(name, 'missing')} there, {ours[name]} here" for name in differing]


def _find_release(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def _digest_components() -> str:
    """Twelve hex digits over every source file of `taxiway.components`."""
    folder = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
