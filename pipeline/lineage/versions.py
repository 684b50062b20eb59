"""The versions in serving directories as nodes: those that are there, and those that ML Metadata remembers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from components.errors import UsageError, close_matches
from components.serving.directory import ServingDirectory, Version
from pipeline.layout import Root
from pipeline.lineage.nodes import Edge, Node, version_key

LIVE, EARLIER, QUARANTINED, GONE = "live", "earlier", "quarantined", "gone"


def present(root: Root) -> list[Node]:
    """Every version of every model under a root, each model's ascending."""
    if not root.serving.is_dir():
        return []
    return [node for folder in sorted(root.serving.iterdir()) if folder.is_dir() for node in of_model(folder)]


def of_model(folder: Path) -> list[Node]:
    """The versions in one serving directory, ascending."""
    directory = ServingDirectory(folder)
    quarantined = directory.state().quarantined
    return [_node(folder.name, version, quarantined) for version in directory.versions()]


def _node(model: str, version: Version, quarantined: Iterable[str]) -> Node:
    state = LIVE if version.live else QUARANTINED if version.digest in quarantined else EARLIER
    own = {"version": version.number, "labels": list(version.labels), "digest": version.digest}
    return Node(
        key=version_key(model, version.number),
        kind="version",
        name=f"{model} {version.number}",
        type=state,
        time=version.pushed_at,
        uri=str(version.path),
        run=str(version.provenance.get("run_id") or ""),
        properties={**version.provenance, **own, "bytes": version.total_bytes},
    )


def of_folder(folder: Path) -> Node | None:
    """A version's folder wherever it lies, also alone on another machine; None where it holds no provenance.

    Raises:
        ServingError: Its provenance is damaged or of a newer Taxiway.
    """
    from components.serving import manifest

    provenance = manifest.read_json(folder / manifest.PROVENANCE_FILE)
    if provenance is None:
        return None
    number = int(provenance.get("model_version") or (folder.name if folder.name.isdigit() else 0))
    model = str(provenance.get("model") or folder.parent.name)
    return Node(
        key=version_key(model, number),
        kind="version",
        name=f"{model} {number}",
        type="a copy",
        time=_seconds(provenance.get("pushed_at")),
        uri=str(folder),
        run=str(provenance.get("run_id") or ""),
        properties={**{k: v for k, v in provenance.items() if k != "version"}, "version": number, "labels": []},
    )


def gone(pushes: Iterable[Node], known: Iterable[Node]) -> list[Node]:
    """Versions that were pushed once and that retention has taken away since.

    Args:
        pushes: `PushedModel` artifacts.
        known: The versions that are there.
    """
    keys = {node.key for node in known}
    found = {}
    for push in pushes:
        key = pushed_key(push)
        if key and key not in keys:
            found[key] = Node(
                key=key,
                kind="version",
                name=key.partition(":")[2].replace("/", " "),
                type=GONE,
                time=push.time,
                uri=str(push.properties.get("pushed_destination", "")),
                properties={"version": int(key.rpartition("/")[2]), "digest": push.properties.get("digest", "")},
            )
    return list(found.values())


def pushed_key(push: Node) -> str | None:
    """Key of the version that a `PushedModel` artifact became; None where nothing was pushed."""
    number, folder = push.properties.get("pushed_version"), push.properties.get("pushed_destination")
    if push.properties.get("pushed") != 1 or not str(number).isdigit() or not folder:
        return None
    return version_key(Path(str(folder)).parent.name, int(str(number)))


def edges(versions: Iterable[Node], pushes: Iterable[Node], models: Iterable[Node]) -> list[Edge]:
    """What joins versions to the rest: pushes, rollbacks, and use as a baseline.

    Args:
        versions: All of them.
        pushes: `PushedModel` artifacts.
        models: `Model` artifacts, among them those of the baseline.
    """
    known = list(versions)
    found = [Edge(push.key, key, "pushed") for push in pushes if (key := pushed_key(push))]
    found += [Edge(bytes_key(node), node.key, "rolled back to") for node in known if bytes_key(node)]
    numbers = {node.properties["version"]: node.key for node in known}
    for model in models:
        live = numbers.get(model.properties.get("version"))
        if model.properties.get("kind") == "live" and live:
            found.append(Edge(live, model.key, "was live"))
    return found


def bytes_key(version: Node) -> str:
    """Key of the version whose bytes a rollback published again; empty for other versions."""
    number = version.properties.get("bytes_of")
    return f"{version.key.rpartition('/')[0]}/{number}" if number is not None else ""


def live(nodes: list[Node], model: str | None = None) -> Node:
    """The live version of a model.

    Raises:
        UsageError: There is none, or there are several models and none is named.
    """
    found = {node.key.partition(":")[2].rpartition("/")[0]: node for node in nodes if node.type == LIVE}
    if model is None and len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise UsageError("Nothing has been pushed under this root yet.", "Name a run or an artifact; see: taxiway runs")
    if model is None:
        raise UsageError(f"There are several models: {', '.join(found)}.", "Name one of them with --model.")
    if model not in found:
        raise UsageError(f"There is no model {model!r}.", close_matches(model, found))
    return found[model]


def _seconds(moment: Any) -> float:
    """`2026-01-02T03:04:05+00:00` as seconds since 1970; 0 where it is no time."""
    import datetime

    try:
        return datetime.datetime.fromisoformat(str(moment).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0
