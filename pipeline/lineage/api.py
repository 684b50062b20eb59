"""`LineageGraph`, the class that users import: the graph, with methods that read a root and show it in a notebook."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING

from taxiway.pipeline.lineage import query
from taxiway.pipeline.lineage.graph import NodeGraph

if TYPE_CHECKING:
    from typing import Self


class LineageGraph(NodeGraph):
    """A directed graph of data, artifacts, executions and versions. Immutable.

    >>> graph = LineageGraph.open("taxiway-root", "live")            # doctest: +SKIP
    >>> [node.name for node in graph.where(kind="execution")]        # doctest: +SKIP
    ['ExampleGen', 'StatisticsGen', ...]
    """

    @classmethod
    def open(cls, root: str | Path = "taxiway-root", target: str | None = None, *, downstream: bool = False) -> Self:
        """Reads the lineage of one target under a root.

        Args:
            root: Folder that holds everything a run writes.
            target: A version (`live`, its number, its folder), an artifact's id or URI, a run, or a file of data or
                schema; the live version where None.
            downstream: Whether to read what the target led to, instead of what it came from.

        Raises:
            UsageError: There is no such target.
            StoreError: `metadata.db` is missing, damaged, locked or of another program.
        """
        return cls._copy_graph(query.open_lineage(root, target, downstream=downstream))

    @classmethod
    def whole(cls, root: str | Path = "taxiway-root") -> Self:
        """Reads everything that the store of a root holds, with the data before it and the versions after it."""
        return cls._copy_graph(query.open_whole_lineage(root))

    @classmethod
    def _copy_graph(cls, graph: NodeGraph) -> Self:
        return cls(graph.nodes.values(), graph.edges, graph.focus, graph.steps)

    def _repr_html_(self) -> str:
        """What Jupyter shows: the interactive graph in a frame of its own."""
        from taxiway.pipeline.lineage.views.page import render_page  # jinja2 is needed by this method alone

        content = html.escape(render_page(self), quote=True)
        return f'<iframe srcdoc="{content}" style="width:100%;height:560px;border:0"></iframe>'
