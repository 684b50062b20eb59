"""`LineageGraph`: nodes and edges in memory, with walks, filters and ways out to other tools."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import UsageError, close_matches
from pipeline.lineage.nodes import FIELDS, Edge, Kind, Node

if TYPE_CHECKING:
    import networkx
    import pandas

FORMAT_VERSION = 1


class LineageGraph:
    """What came from what. Immutable; every walk and filter gives a new graph or a list.

    >>> graph = LineageGraph.open("taxiway-root", "live")            # doctest: +SKIP
    >>> [node.name for node in graph.where(kind="execution")]        # doctest: +SKIP
    ['ExampleGen', 'StatisticsGen', ...]
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        edges: Iterable[Edge],
        focus: Iterable[str] = (),
        told: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """Args:
        nodes: With unique keys.
        edges: Between keys of the nodes; others are left out.
        focus: Keys of what was asked for.
        told: The steps of its story, where they came with it and need no root; see `docs/lineage.md`.
        """
        self.nodes: Mapping[str, Node] = {node.key: node for node in nodes}
        known = {edge for edge in edges if edge.source in self.nodes and edge.target in self.nodes}
        self.edges = tuple(sorted(known, key=lambda edge: (edge.source, edge.target, edge.label)))
        self.focus = tuple(key for key in focus if key in self.nodes)
        self.told = tuple(told)
        self._parents: dict[str, list[str]] = {key: [] for key in self.nodes}
        self._children: dict[str, list[str]] = {key: [] for key in self.nodes}
        for edge in self.edges:
            self._parents[edge.target].append(edge.source)
            self._children[edge.source].append(edge.target)

    @classmethod
    def open(
        cls, root: str | Path = "taxiway-root", target: str | None = None, *, downstream: bool = False
    ) -> LineageGraph:
        """The lineage of something under a root.

        Args:
            root: The folder that holds everything a run writes.
            target: A version (`live`, its number, its folder), an artifact's id or URI, a run, or a file of data or
                schema; the live version where None.
            downstream: What it led to, instead of what it came from.

        Raises:
            UsageError: There is no such target.
            StoreError: `metadata.db` is missing, damaged, locked or of another program.
        """
        from pipeline.lineage.sources import lineage

        return lineage(root, target, downstream=downstream)

    @classmethod
    def whole(cls, root: str | Path = "taxiway-root") -> LineageGraph:
        """Everything in the store of a root, with data and versions."""
        from pipeline.lineage.sources import whole

        return whole(root)

    # ---- walks and filters ----

    def node(self, key: str) -> Node:
        """One node.

        Raises:
            UsageError: The graph has none of that key.
        """
        if key not in self.nodes:
            raise UsageError(f"The graph has no node {key!r}.", close_matches(key, self.nodes))
        return self.nodes[key]

    def parents(self, key: str) -> list[Node]:
        """What leads straight to a node."""
        return [self.nodes[each] for each in self._parents[self.node(key).key]]

    def children(self, key: str) -> list[Node]:
        """What a node leads straight to."""
        return [self.nodes[each] for each in self._children[self.node(key).key]]

    def upstream(self, key: str) -> LineageGraph:
        """The part of the graph that led to a node, itself included."""
        return self._part(self._reached(key, self._parents), key)

    def downstream(self, key: str) -> LineageGraph:
        """The part of the graph that a node led to, itself included."""
        return self._part(self._reached(key, self._children), key)

    def where(
        self,
        *,
        kind: Kind | None = None,
        type: str | None = None,
        name: str | None = None,
        run: str | None = None,
        matches: Callable[[Node], bool] | None = None,
    ) -> list[Node]:
        """The nodes that fit everything that is given, oldest first."""
        asked = {"kind": kind, "type": type, "name": name, "run": run}
        given = {key: value for key, value in asked.items() if value is not None}
        fits = (
            node
            for node in self.nodes.values()
            if all(getattr(node, key) == value for key, value in given.items()) and (matches is None or matches(node))
        )
        return sorted(fits, key=lambda node: (node.time, node.id or 0, node.key))

    def merged(self, other: LineageGraph) -> LineageGraph:
        """Both graphs in one."""
        nodes = {**self.nodes, **other.nodes}
        return LineageGraph(nodes.values(), [*self.edges, *other.edges], [*self.focus, *other.focus])

    def _reached(self, key: str, neighbours: Mapping[str, list[str]]) -> set[str]:
        found, waiting = {self.node(key).key}, deque([key])
        while waiting:
            new = [each for each in neighbours[waiting.popleft()] if each not in found]
            found.update(new)
            waiting.extend(new)
        return found

    def _part(self, keys: set[str], focus: str) -> LineageGraph:
        return LineageGraph((self.nodes[key] for key in keys), self.edges, [focus])

    # ---- ways out ----

    def to_json(self) -> dict[str, Any]:
        """`{"version": 1, "focus", "nodes", "edges"}`; see `docs/lineage.md`."""
        return {
            "version": FORMAT_VERSION,
            "focus": list(self.focus),
            "nodes": [node.to_json() for node in self.where()],
            "edges": [{"source": edge.source, "target": edge.target, "label": edge.label} for edge in self.edges],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> LineageGraph:
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

        made = networkx.MultiDiGraph()
        for node in self.where():
            made.add_node(node.key, **{name: value for name, value in node.to_json().items() if name != "key"})
        made.add_edges_from((edge.source, edge.target, {"label": edge.label}) for edge in self.edges)
        return made

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
        return f"LineageGraph({len(self.nodes)} nodes, {len(self.edges)} edges, focus={list(self.focus)})"

    def _repr_html_(self) -> str:
        """What Jupyter shows: the interactive graph in a frame of its own."""
        import html

        from pipeline.lineage.page import render

        content = html.escape(render(self), quote=True)
        return f'<iframe srcdoc="{content}" style="width:100%;height:560px;border:0"></iframe>'
