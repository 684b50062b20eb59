"""The lineage of anything under a root: search, upstream, downstream, the graph and its nodes as a table."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from taxiway.components.errors import TaxiwayError, UsageError
from taxiway.pipeline.lineage import query
from taxiway.pipeline.lineage.graph import NodeGraph
from taxiway.pipeline.lineage.views import page
from taxiway.pipeline.lineage.why import explain_version
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import history
from taxiway.pipeline.ui.model_pages import describe_models
from taxiway.pipeline.ui.problems import explain_error, list_or_explain, read_or_explain
from taxiway.pipeline.ui.rendering import Renderer

MOST_NODES = 3000
"""The graph draws no more; the command has them all."""
RUNS_OFFERED = 10


class LineagePages:
    """The page of lineage."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def show_lineage(self, request: Request) -> Response:
        """What a target came from, or led to; without a target, that of the live version where there is one model."""
        shown = self._renderer.find_root(request)
        target = request.query_params.get("target", "").strip()
        downstream = request.query_params.get("direction") == "down"
        graph, problem, status = find_graph(shown.root, target, downstream)
        models, _ = list_or_explain(lambda: describe_models(shown.root))  # offered beside the search, no more
        runs, _ = list_or_explain(lambda: history.list_run_ids(shown.root)[:RUNS_OFFERED])
        return self._renderer.render(
            request,
            "lineage.html.j2",
            status=status if target else 200,
            target=target,
            downstream=downstream,
            problem=problem,
            graph=describe_graph(graph, shown.root, downstream) if graph else None,
            models=models,
            runs=runs,
        )


def find_graph(root: Root, target: str, downstream: bool) -> tuple[NodeGraph | None, str, int]:
    """The graph, or why there is none (nothing has run, no such thing, a damaged file), and HTTP's number."""
    try:
        return query.open_lineage(root.path, target or None, downstream=downstream), "", 200
    except (TaxiwayError, OSError) as error:
        return None, explain_error(error), 404 if isinstance(error, UsageError) else 500


def describe_graph(graph: NodeGraph, root: Root, downstream: bool) -> dict[str, Any]:
    """The graph for the template."""
    few = len(graph.nodes) <= MOST_NODES
    return {
        "names": [graph.nodes[key].name for key in graph.focus],
        "count": len(graph.nodes),
        "widget": page.render_widget(graph, start="focus") if few else None,
        "nodes": graph.where()[:MOST_NODES],
        "why": "" if downstream else _explain_focus(graph, root),
    }


def _explain_focus(graph: NodeGraph, root: Root) -> str:
    """Why a version is live, where one was asked for."""
    is_version = any(graph.nodes[key].kind == "version" for key in graph.focus)
    words, problem = read_or_explain(lambda: explain_version(graph, root).paragraph if is_version else "", "")
    return words or problem
