"""The section with the lineage graph."""

from __future__ import annotations

from taxiway.pipeline.lineage import LineageGraph
from taxiway.pipeline.lineage.views import page
from taxiway.pipeline.report.run_data import RunData
from taxiway.pipeline.report.sections.common import Section


def describe_lineage(run_data: RunData) -> Section:
    """The graph of the run, and of the version that it pushed."""
    if not run_data.executions:
        return None
    graph, push = LineageGraph.open(run_data.root.path, run_data.run.run_id), run_data.run.push
    focus = [node.key for node in graph.where(type="PushedModel")] or list(graph.focus[-1:])
    if push and push.pushed:
        version = LineageGraph.open(run_data.root.path, f"{run_data.run.model}/{push.version}")
        graph, focus = _drop_cached(graph).merged(version), list(version.focus)
    graph = LineageGraph(graph.nodes.values(), graph.edges, focus)
    return {"widget": page.render_widget(graph), "nodes": len(graph)}


def _drop_cached(graph: LineageGraph) -> LineageGraph:
    """The graph without cached executions: the lineage of the version holds those that made the artifacts."""
    kept = [node for node in graph.where() if node.state != "CACHED"]
    return LineageGraph(kept, graph.edges, graph.focus)
