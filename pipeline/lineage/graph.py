"""Nodes and edges in memory: walks, filters, export to other tools. Knows no root and no store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from taxiway.components.errors import UsageError, suggest_matches
from taxiway.pipeline.lineage.nodes import FIELDS, Edge, Kind, Node

if TYPE_CHECKING:
    from typing import Self

    import networkx
    import pandas

FORMAT_VERSION = 1


class NodeGraph:
    """A directed graph of lineage nodes. Immutable; every walk and filter gives a new graph or a list.

    `taxiway.pipeline.lineage.LineageGraph` is this class with methods that read a root.
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        edges: Iterable[Edge],
        focus: Iterable[str] = (),
        steps: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """Args:
        nodes: Nodes with unique keys.
        edges: Edges between keys of the nodes; others are left out.
        focus: Keys of the nodes that were asked for.
        steps: The graph's steps as JSON values, where they were stored with it; see `docs/lineage.md`.
        """
        self.nodes: Mapping[str, Node] = {node.key: node for node in nodes}
        inner_edges = {edge for edge in edges if edge.source in self.nodes and edge.target in self.nodes}
        self.edges = tuple(sorted(inner_edges, key=lambda edge: (edge.source, edge.target, edge.label)))
        self.focus = tuple(key for key in focus if key in self.nodes)
        self.steps = tuple(steps)
        self._parents: dict[str, list[str]] = {key: [] for key in self.nodes}
        self._children: dict[str, list[str]] = {key: [] for key in self.nodes}
        for edge in self.edges:
            self._parents[edge.target].append(edge.source)
            self._children[edge.source].append(edge.target)

    # ---- walks and filters ----

    def node(self, key: str) -> Node:
        """One node.

        Raises:
            UsageError: The graph has none of that key.
        """
        if key not in self.nodes:
            raise UsageError(f"The graph has no node {key!r}.", suggest_matches(key, self.nodes))
        return self.nodes[key]

    def parents(self, key: str) -> list[Node]:
        """The nodes with an edge to a node."""
        return [self.nodes[each] for each in self._parents[self.node(key).key]]

    def children(self, key: str) -> list[Node]:
        """The nodes to which a node has an edge."""
        return [self.nodes[each] for each in self._children[self.node(key).key]]

    def upstream(self, key: str) -> Self:
        """The part of the graph that led to a node, itself included."""
        import networkx  # here and below, not on top: a quarter of a second that most commands do not need

        return self._make_subgraph(networkx.ancestors(self.to_networkx(), self.node(key).key), key)

    def downstream(self, key: str) -> Self:
        """The part of the graph that a node led to, itself included."""
        import networkx

        return self._make_subgraph(networkx.descendants(self.to_networkx(), self.node(key).key), key)

    def where(
        self,
        *,
        kind: Kind | None = None,
        type: str | None = None,
        name: str | None = None,
        run: str | None = None,
        matches: Callable[[Node], bool] | None = None,
    ) -> list[Node]:
        """The nodes that meet every given condition, oldest first."""
        conditions = {"kind": kind, "type": type, "name": name, "run": run}
        given = {key: value for key, value in conditions.items() if value is not None}
        fits = (
            node
            for node in self.nodes.values()
            if all(getattr(node, key) == value for key, value in given.items()) and (matches is None or matches(node))
        )
        return sorted(fits, key=lambda node: (node.time, node.id or 0, node.key))

    def merged(self, other: NodeGraph) -> Self:
        """The union of both graphs."""
        nodes = {**self.nodes, **other.nodes}
        return type(self)(nodes.values(), [*self.edges, *other.edges], [*self.focus, *other.focus])

    def _make_subgraph(self, others: set[str], focus: str) -> Self:
        return type(self)((self.nodes[key] for key in (*others, focus)), self.edges, [focus])

    # ---- export ----

    def to_json(self) -> dict[str, Any]:
        """`{"version": 1, "focus", "nodes", "edges"}`; see `docs/lineage.md`."""
        return {
            "version": FORMAT_VERSION,
            "focus": list(self.focus),
            "nodes": [node.to_json() for node in self.where()],
            "edges": [{"source": edge.source, "target": edge.target, "label": edge.label} for edge in self.edges],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The graph that `to_json` wrote.

        Raises:
            UsageError: It is of another version.
        """
        if content.get("version") != FORMAT_VERSION:
            raise UsageError(
                f"A lineage graph of version {content.get('version')!r} cannot be read.",
                f"This Taxiway reads version {FORMAT_VERSION}.",
            )
        nodes = [Node(**node) for node in content["nodes"]]
        return cls(nodes, [Edge(**edge) for edge in content["edges"]], content["focus"], content.get("steps", ()))

    def to_networkx(self) -> networkx.MultiDiGraph:
        """A networkx graph: keys of nodes, their fields as attributes, edges with a `label`."""
        import networkx

        exported = networkx.MultiDiGraph()
        for node in self.where():
            exported.add_node(node.key, **{name: value for name, value in node.to_json().items() if name != "key"})
        exported.add_edges_from((edge.source, edge.target, {"label": edge.label}) for edge in self.edges)
        return exported

    def to_pandas(self) -> tuple[pandas.DataFrame, pandas.DataFrame]:
        """Two tables: nodes (one column a field, indexed by key), and edges (`source`, `target`, `label`)."""
        import pandas

        columns = [*FIELDS, "properties"]
        nodes = pandas.DataFrame([node.to_json() for node in self.where()], columns=columns).set_index("key")
        edges = [(edge.source, edge.target, edge.label) for edge in self.edges]
        return nodes, pandas.DataFrame(edges, columns=["source", "target", "label"])

    def __len__(self) -> int:
        return len(self.nodes)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.nodes)} nodes, {len(self.edges)} edges, focus={list(self.focus)})"
