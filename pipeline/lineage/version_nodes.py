"""Versions as nodes: those in the serving directories, and deleted ones that ML Metadata knows."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from taxiway.components.errors import UsageError, suggest_matches
from taxiway.components.saved_models import manifest
from taxiway.components.serving.versions.directory import ServingDirectory, Version
from taxiway.pipeline.lineage.nodes import Edge, Node, make_version_key
from taxiway.pipeline.root import Root

LIVE, EARLIER, QUARANTINED, GONE, CANDIDATE = "live", "earlier", "quarantined", "gone", "candidate"


def list_present(root: Root) -> list[Node]:
    """Every version of every model under a root, each model's ascending."""
    if not root.serving.is_dir():
        return []
    return [
        node for folder in sorted(root.serving.iterdir()) if folder.is_dir() for node in list_model_versions(folder)
    ]


def list_model_versions(folder: Path) -> list[Node]:
    """The versions in one serving directory, ascending."""
    directory = ServingDirectory(folder)
    quarantined = directory.load_state().quarantined
    return [_make_node(folder.name, version, quarantined) for version in directory.list_versions()]


def _make_node(model: str, version: Version, quarantined: Iterable[str]) -> Node:
    state = LIVE if version.live else QUARANTINED if version.digest in quarantined else EARLIER
    state = CANDIDATE if version.candidate else state
    own = {"version": version.number, "labels": list(version.labels), "digest": version.digest}
    return Node(
        key=make_version_key(model, version.number),
        kind="version",
        name=f"{model} {version.number}",
        type=state,
        time=version.pushed_at,
        uri=str(version.path),
        run=str(version.provenance.get("run_id") or ""),
        properties={**version.provenance, **own, "bytes": version.total_bytes},
    )


def read_version_folder(folder: Path) -> Node | None:
    """The node of a version's folder, which may be a copy on another machine; None where it holds no provenance.

    Raises:
        ServingError: Its provenance is damaged or of a newer Taxiway.
    """
    provenance = manifest.read_versioned_json(folder / manifest.PROVENANCE_FILE)
    if provenance is None:
        return None
    number = int(provenance.get("model_version") or (folder.name if folder.name.isdigit() else 0))
    model = str(provenance.get("model") or folder.parent.name)
    return Node(
        key=make_version_key(model, number),
        kind="version",
        name=f"{model} {number}",
        type="a copy",
        time=_parse_seconds(provenance.get("pushed_at")),
        uri=str(folder),
        run=str(provenance.get("run_id") or ""),
        properties={**{k: v for k, v in provenance.items() if k != "version"}, "version": number, "labels": []},
    )


def list_gone(pushes: Iterable[Node], present: Iterable[Node]) -> list[Node]:
    """Versions that were pushed and that retention has deleted since.

    Args:
        pushes: `PushedModel` artifacts.
        present: Versions in the serving directories.
    """
    keys = {node.key for node in present}
    gone = {}
    for push in pushes:
        key = make_pushed_key(push)
        if key and key not in keys:
            gone[key] = Node(
                key=key,
                kind="version",
                name=key.partition(":")[2].replace("/", " "),
                type=GONE,
                time=push.time,
                uri=str(push.properties.get("pushed_destination", "")),
                properties={"version": int(key.rpartition("/")[2]), "digest": push.properties.get("digest", "")},
            )
    return list(gone.values())


def make_pushed_key(push: Node) -> str | None:
    """Key of the version that a `PushedModel` artifact became; None where nothing was pushed."""
    number, folder = push.properties.get("pushed_version"), push.properties.get("pushed_destination")
    if push.properties.get("pushed") != 1 or not str(number).isdigit() or not folder:
        return None
    return make_version_key(Path(str(folder)).parent.name, int(str(number)))


def list_edges(versions: Iterable[Node], pushes: Iterable[Node], models: Iterable[Node]) -> list[Edge]:
    """The edges between versions and other nodes: pushes, rollbacks, and use as a baseline.

    Args:
        versions: All known versions.
        pushes: `PushedModel` artifacts.
        models: `Model` artifacts, among them those of the baseline.
    """
    nodes = list(versions)
    edges = [Edge(push.key, key, "pushed") for push in pushes if (key := make_pushed_key(push))]
    edges += [Edge(make_bytes_key(node), node.key, _name_republishing(node)) for node in nodes if make_bytes_key(node)]
    numbers = {node.properties["version"]: node.key for node in nodes}
    for model in models:
        live = numbers.get(model.properties.get("version"))
        if model.properties.get("kind") == "live" and live:
            edges.append(Edge(live, model.key, "was live"))
    return edges


def _name_republishing(version: Node) -> str:
    return "promoted to" if version.properties.get("promoted_from") else "rolled back to"


def make_bytes_key(version: Node) -> str:
    """Key of the version whose bytes a rollback or a promotion published again; empty for other versions."""
    number = version.properties.get("bytes_of")
    return f"{version.key.rpartition('/')[0]}/{number}" if number is not None else ""


def find_live(nodes: list[Node], model: str | None = None) -> Node:
    """The live version of a model.

    Raises:
        UsageError: There is none, or there are several models and none is named.
    """
    live = {node.key.partition(":")[2].rpartition("/")[0]: node for node in nodes if node.type == LIVE}
    if model is None and len(live) == 1:
        return next(iter(live.values()))
    if not live:
        raise UsageError("Nothing has been pushed under this root yet.", "Name a run or an artifact; see: taxiway runs")
    if model is None:
        raise UsageError(f"There are several models: {', '.join(live)}.", "Name one of them with --model.")
    if model not in live:
        raise UsageError(f"There is no model {model!r}.", suggest_matches(model, live))
    return live[model]


def _parse_seconds(moment: Any) -> float:
    """`2026-01-02T03:04:05+00:00` as seconds since 1970; 0 where it is no time."""
    try:
        return datetime.datetime.fromisoformat(str(moment).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0
