"""Nodes and edges of a lineage graph: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["data", "artifact", "execution", "version"]


@dataclass(frozen=True)
class Node:
    """One file, artifact, execution or version.

    Attributes:
        key: `artifact:12`, `execution:5`, `version:taxi/1700000000` or `data:...`; unique in a graph.
        kind: First part of the key.
        name: Name to show: the node of the pipeline for an execution, the type for an artifact, the path for
            data, `taxi 1700000000` for a version.
        type: ML Metadata's type; `live`, `earlier` or `quarantined` for a version.
        state: ML Metadata's state in capitals; empty for data and versions.
        time: Creation or start, seconds since 1970; 0 where it is not known.
        ended: End of an execution, seconds since 1970; its last change where it did not end.
        uri: Folder or file.
        run: Id of the run that an execution belongs to, or that made a version.
        properties: Typed and custom properties; a version's provenance.
    """

    key: str
    kind: Kind
    name: str
    type: str = ""
    state: str = ""
    time: float = 0.0
    ended: float = 0.0
    uri: str = ""
    run: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> int | None:
        """ML Metadata's id of an artifact or execution; None for the others."""
        return int(self.key.partition(":")[2]) if self.kind in ("artifact", "execution") else None

    @property
    def seconds(self) -> float | None:
        """Wall time of an execution that ended."""
        ended = self.kind == "execution" and self.state in ("COMPLETE", "CACHED", "FAILED", "CANCELED")
        return max(self.ended - self.time, 0.0) if ended else None

    def to_json(self) -> dict[str, Any]:
        """The node as JSON values; the schema is in `docs/lineage.md`."""
        return {name: getattr(self, name) for name in FIELDS} | {"properties": dict(self.properties)}


@dataclass(frozen=True)
class Edge:
    """`source` led to `target`: an artifact is read by an execution, an execution writes an artifact.

    Attributes:
        source, target: Keys of nodes.
        label: Name of the execution's input or output; for other edges a word such as `pushed`.
    """

    source: str
    target: str
    label: str = ""


FIELDS = ("key", "kind", "name", "type", "state", "time", "ended", "uri", "run")
"""Fields of a node in JSON and in tables, beside `properties`."""


def make_artifact_key(artifact_id: int) -> str:
    return f"artifact:{artifact_id}"


def make_execution_key(execution_id: int) -> str:
    return f"execution:{execution_id}"


def make_version_key(model: str, number: int) -> str:
    return f"version:{model}/{number}"
