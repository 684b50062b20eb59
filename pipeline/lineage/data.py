"""Files of rows and the curated schema as nodes: what the first nodes of a pipeline read beside ML Metadata."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from components.patterns import matches
from pipeline.lineage.nodes import Edge, Node
from pipeline.recorded import PARAMETERS

SOURCE = ("ExampleGen", "ExampleGenExecutor")
"""Types of executions that read files end so, ours and TFX's own; records name the executor, not the component."""
SCHEMA = ("CuratedSchema", "gates.executor.SchemaExecutor")
"""So those that read the curated schema."""


def sources(executions: Iterable[Node], outputs: dict[str, list[Node]]) -> tuple[list[Node], list[Edge]]:
    """The files that executions read, with the edges to them.

    Args:
        executions: Any.
        outputs: What each execution wrote, by its key.
    """
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    for execution in executions:
        written = outputs.get(execution.key, [])
        for node in [*_rows(execution, written), *_schema(execution)]:
            nodes[node.key] = node
            edges.append(Edge(node.key, execution.key, "read"))
    return list(nodes.values()), edges


def reads(execution: Node, written: Iterable[Node], file: str) -> bool:
    """Whether an execution read a file, by its name or by the pattern that it was given."""
    nodes = [*_rows(execution, written), *_schema(execution)]
    return any(_same(node.uri, file) for node in nodes) or _same(pattern(execution), file)


def pattern(execution: Node) -> str:
    """What an ExampleGen was told to read; empty for other executions."""
    properties = execution.properties
    with contextlib.suppress(ValueError, AttributeError):
        given = json.loads(properties.get(PARAMETERS) or "{}").get("data_path")
        if given and "data" in properties:
            return str(given)
        return str(json.loads(properties["data"]).get("path", "")) if "data" in properties else _stock(properties)
    return ""


def _stock(properties: Any) -> str:
    base = str(properties.get("input_base") or "")
    return f"{base.rstrip('/')}/*" if base else ""


def _rows(execution: Node, written: Iterable[Node]) -> list[Node]:
    if not execution.type.endswith(SOURCE):
        return []
    examples = next((node for node in written if node.type == "Examples"), None)
    known = examples.properties if examples else execution.properties
    facts = {name: known[name] for name in ("span", "input_fingerprint") if name in known}
    files = _ingested(examples) or [pattern(execution)]
    return [_data(path, "rows", facts, execution) for path in files if path]


def _ingested(examples: Node | None) -> list[str]:
    """The files that `ingest.json` beside the examples names."""
    if examples is None:
        return []
    with contextlib.suppress(OSError, ValueError, AttributeError):
        content = json.loads(Path(examples.uri, "ingest.json").read_text(encoding="utf-8"))
        return [str(name) for name in content.get("files", ())]
    return []


def _schema(execution: Node) -> list[Node]:
    path = execution.properties.get("path")
    if not execution.type.endswith(SCHEMA) or not path:
        return []
    how = "curated" if execution.properties.get("edited") else "inferred"
    return [_data(str(path), "schema", {"how": how}, execution)]


def _data(path: str, kind: str, facts: dict[str, Any], execution: Node) -> Node:
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


def _same(known: str, file: str) -> bool:
    if not known:
        return False
    whole = Path(file).expanduser().absolute()
    return known == file or Path(known).expanduser() == whole or matches(known, str(whole))
