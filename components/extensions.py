"""Parts that other packages add: entry points, looked up by name when a configuration asks for one.

| group | what the entry point names |
|---|---|
| `taxiway.techniques` | a `TechniqueSpec`, which names its module |
| `taxiway.models` | a model function, as `model.function` takes it |
| `taxiway.metrics` | a `MetricSpec`, which names a TFMA metric's class |
| `taxiway.readers` | a function of a path that yields `pyarrow.RecordBatch`es |

A name that is one of ours is never looked up, so no package replaces a part of ours. Nothing is imported before.
"""

from __future__ import annotations

import hashlib
import importlib.util
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from taxiway.components.errors import ConfigError, describe_foreign_error

Group = Literal["taxiway.techniques", "taxiway.models", "taxiway.metrics", "taxiway.readers"]
GROUPS: tuple[Group, ...] = ("taxiway.techniques", "taxiway.models", "taxiway.metrics", "taxiway.readers")


@cache
def _list_entry_points(group: Group) -> tuple[metadata.EntryPoint, ...]:
    return tuple(metadata.entry_points(group=group))


def list_extensions(group: Group) -> tuple[str, ...]:
    """The names that installed packages add to a group, sorted."""
    return tuple(sorted({entry.name for entry in _list_entry_points(group)}))


def load_extension(group: Group, name: str) -> Any:
    """What an installed package adds under a name; None where none does.

    Raises:
        ConfigError: Two packages do, or it cannot be imported.
    """
    found = [entry for entry in _list_entry_points(group) if entry.name == name]
    if not found:
        return None
    if len({entry.value for entry in found}) > 1:
        owners = " and ".join(sorted(_name_owner(entry) for entry in found))
        raise ConfigError(f"{name!r} of {group} is added by {owners}.", "Uninstall one of them.")
    try:
        return found[0].load()
    except Exception as error:  # another package's module may raise anything
        said = describe_foreign_error(error)
        raise ConfigError(
            f"{name!r} of {group}, which {_name_owner(found[0])} adds, cannot be imported: {said}.",
            f"Mend that package's entry point: {found[0].value}.",
        ) from error


def describe_extensions() -> dict[str, str]:
    """By group and name: the package, its version and a digest of its module, for the cache keys of nodes."""
    return {
        f"{group}:{entry.name}": f"{_name_owner(entry)} {entry.value} {_hash_module(entry.module)}"
        for group in GROUPS
        for entry in _list_entry_points(group)
    }


def _name_owner(entry: metadata.EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"


def _hash_module(module: str) -> str:
    """A digest of all sources of the package that a module belongs to; it may be edited in place."""
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.origin:
        return ""
    origin = Path(spec.origin)
    files = sorted(origin.parent.rglob("*.py")) if spec.submodule_search_locations else [origin]
    digest = hashlib.sha256()
    for file in files:
        digest.update(str(file.relative_to(origin.parent)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]
