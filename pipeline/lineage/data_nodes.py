"""Input files as nodes: rows and the curated schema, which ML Metadata knows only as properties of executions."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from taxiway.components.errors import StoreError
from taxiway.components.files.patterns import matches_path
from taxiway.pipeline.lineage.nodes import Edge, Node
from taxiway.pipeline.tracking.artifact_files import find_file
from taxiway.pipeline.tracking.store.execution_store import PARAMETERS

SOURCE = ("ExampleGen", "ExampleGenExecutor")
"""Endings of the types of executions that read rows, ours and TFX's; records name the executor, not the component."""
SCHEMA = ("CuratedSchema", "schema.executor.SchemaExecutor", "gates.executor.SchemaExecutor")
"""Endings of the types that read the curated schema; older roots have recorded the last one."""


def build_nodes(executions: Iterable[Node], outputs: dict[str, list[Node]]) -> tuple[list[Node], list[Edge]]:
    """Builds a node for each file that executions read, and the edges from files to executions.

    Args:
        executions: Nodes of executions, of any type.
        outputs: Artifacts that each execution wrote, by the execution's key.
    """
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    for execution in executions:
        written = outputs.get(execution.key, [])
        for node in [*_build_row_nodes(execution, written), *_build_schema_nodes(execution)]:
            nodes[node.key] = node
            edges.append(Edge(node.key, execution.key, "read"))
    return list(nodes.values()), edges


def reads_file(execution: Node, written: Iterable[Node], file: str) -> bool:
    """Whether an execution read a file: under its name, or through a pattern that matches it."""
    nodes = [*_build_row_nodes(execution, written), *_build_schema_nodes(execution)]
    return any(_matches_file(node.uri, file) for node in nodes) or _matches_file(find_input_pattern(execution), file)


def find_input_pattern(execution: Node) -> str:
    """The path or pattern that an ExampleGen was given; empty for other executions."""
    properties = execution.properties
    with contextlib.suppress(ValueError, AttributeError):
        given = json.loads(properties.get(PARAMETERS) or "{}").get("data_path")
        if given and "data" in properties:
            return str(given)
        return (
            str(json.loads(properties["data"]).get("path", ""))
            if "data" in properties
            else _find_stock_pattern(properties)
        )
    return ""


def _find_stock_pattern(properties: Any) -> str:
    base = str(properties.get("input_base") or "")
    return f"{base.rstrip('/')}/*" if base else ""


def _build_row_nodes(execution: Node, written: Iterable[Node]) -> list[Node]:
    if not execution.type.endswith(SOURCE):
        return []
    examples = next((node for node in written if node.type == "Examples"), None)
    properties = examples.properties if examples else execution.properties
    facts = {name: properties[name] for name in ("span", "input_fingerprint") if name in properties}
    files = _read_ingested_files(examples) or [find_input_pattern(execution)]
    return [_make_node(path, "rows", facts, execution) for path in files if path]


def _read_ingested_files(examples: Node | None) -> list[str]:
    """The files that `ingest.json` beside the examples lists."""
    if examples is None:
        return []
    with contextlib.suppress(StoreError, OSError, ValueError, AttributeError):
        content = json.loads(find_file(examples.uri, "ingest.json").read_text(encoding="utf-8"))
        return [str(name) for name in content.get("files", ())]
    return []


def _build_schema_nodes(execution: Node) -> list[Node]:
    path = execution.properties.get("path")
    if not execution.type.endswith(SCHEMA) or not path:
        return []
    how = "curated" if execution.properties.get("edited") else "inferred"
    return [_make_node(str(path), "schema", {"how": how}, execution)]


def _make_node(path: str, kind: str, facts: dict[str, Any], execution: Node) -> Node:
    content = str(facts.get("input_fingerprint") or facts.get("how") or "")
    return Node(
        key=f"data:{path}#{content[:16]}",
        kind="data",
        name=Path(path).name or path,
        type=kind,
        time=execution.time,
        uri=path,
        properties=facts,
    )


def _matches_file(pattern: str, file: str) -> bool:
    if not pattern:
        return False
    whole = Path(file).expanduser().absolute()
    return pattern == file or Path(pattern).expanduser() == whole or matches_path(pattern, str(whole))
