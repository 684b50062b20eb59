"""The lineage graph; environment and configuration."""

from __future__ import annotations

import contextlib
from importlib import metadata

import yaml

from pipeline.lineage import LineageGraph, page
from pipeline.report.sections.common import Section
from pipeline.report.sources import RunSources

PACKAGES = ("taxiway", "tfx", "tensorflow", "tf-keras", "tensorflow-transform", "apache-beam", "ml-metadata", "numpy")


def lineage(sources: RunSources) -> Section:
    """The graph of the run; the version that it pushed, where it did."""
    if not sources.executions:
        return None
    graph, push = LineageGraph.open(sources.root.path, sources.run.run_id), sources.run.push
    focus = [node.key for node in graph.where(type="PushedModel")] or list(graph.focus[-1:])
    if push and push.pushed:
        version = LineageGraph.open(sources.root.path, f"{sources.run.model}/{push.version}")
        graph, focus = _without_cached(graph).merged(version), list(version.focus)
    graph = LineageGraph(graph.nodes.values(), graph.edges, focus)
    return {"widget": page.widget(graph), "nodes": len(graph)}


def _without_cached(graph: LineageGraph) -> LineageGraph:
    """What was taken from the cache is told where it was made: in the lineage of the version."""
    kept = [node for node in graph.where() if node.state != "CACHED"]
    return LineageGraph(kept, graph.edges, graph.focus)


def environment(sources: RunSources) -> Section:
    """Versions of what ran, and the whole configuration."""
    versions = []
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions.append((name, metadata.version(name)))
    config = yaml.safe_dump(sources.config, sort_keys=False, allow_unicode=True) if sources.config else ""
    report = sources.json("ModelOptimizer", "report", "report.json").get("environment", {})
    machine = [(name, str(report[name])) for name in ("cpu", "cores", "platform", "python", "gpu") if name in report]
    return {"versions": versions, "machine": machine, "config": config, "code": list(sources.code.items())}
