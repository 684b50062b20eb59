"""Finds a target under a root and builds its graph: ML Metadata's part, the data before it, the versions after it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from taxiway.components.errors import StoreError, UsageError, suggest_matches
from taxiway.pipeline.lineage import data_nodes, lineage_file_reader, version_nodes
from taxiway.pipeline.lineage.graph import NodeGraph
from taxiway.pipeline.lineage.nodes import Edge, Node, make_artifact_key, make_execution_key
from taxiway.pipeline.lineage.traversal import OUTPUTS, LineageReader, WalkResult, make_edge
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking.store.metadata_store import has_runs

PUSHED = "PushedModel"


@dataclass(frozen=True)
class LineageTarget:
    """The nodes where a walk begins.

    Attributes:
        artifacts, executions: ML Metadata's ids.
        versions: Versions, which ML Metadata does not know.
    """

    artifacts: tuple[int, ...] = ()
    executions: tuple[int, ...] = ()
    versions: tuple[Node, ...] = ()

    @property
    def focus(self) -> tuple[str, ...]:
        """Keys of the nodes that were asked for."""
        if self.versions:
            return tuple(node.key for node in self.versions)
        return (*map(make_artifact_key, self.artifacts), *map(make_execution_key, self.executions))


class LineageQuery:
    """Queries on one root: on its store, and on all versions that were ever pushed."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self.reader = LineageReader.open_root(root)
        self.pushes = self.reader.list_artifacts_of_type(PUSHED)
        there = version_nodes.list_present(root)
        self.versions = [*there, *version_nodes.list_gone(self.pushes, there)]

    def walk_upstream(self, target: LineageTarget) -> NodeGraph:
        """The graph of what a target came from."""
        artifacts = {*target.artifacts, *(i for node in target.versions for i in self._find_pushed_artifacts(node))}
        walked = self.reader.walk_upstream(artifacts, target.executions)
        if target.executions:
            self._add_outputs(walked, target.executions)
        return self._build_graph(walked, self._collect_ancestors(target.versions), target.focus)

    def walk_downstream(self, target: LineageTarget) -> NodeGraph:
        """The graph of what a target led to."""
        artifacts = {*target.artifacts, *(i for node in target.versions for i in self._find_baselines(node))}
        walked = self.reader.walk_downstream(artifacts, target.executions)
        return self._build_graph(walked, target.versions, target.focus, pushed=True)

    def build_whole(self) -> NodeGraph:
        """The graph of everything in the store."""
        return self._build_graph(self.reader.read_everything(), self.versions, ())

    def _build_graph(
        self, walked: WalkResult, known: Iterable[Node], focus: tuple[str, ...], *, pushed: bool = False
    ) -> NodeGraph:
        """The graph of the walked ids, with the data before them and the versions after them."""
        artifacts, executions = (
            self.reader.get_artifacts(walked.artifacts),
            self.reader.get_executions(walked.executions),
        )
        files, reads = data_nodes.build_nodes(executions, _group_outputs(artifacts, executions, walked.edges))
        joins = version_nodes.list_edges(self.versions, self.pushes, artifacts)
        nodes = {node.key: node for node in [*artifacts, *executions, *files, *known]}
        # The version that a baseline was, or that a push became, is a leaf: its own lineage is another query.
        became = {edge.target for edge in joins if edge.source in nodes}
        ends = self._collect_descendants(became) if pushed else {edge.source for edge in joins if edge.target in nodes}
        nodes |= {node.key: node for node in self.versions if node.key in ends}
        return NodeGraph(nodes.values(), [*walked.edges, *reads, *joins], focus)

    def _collect_descendants(self, keys: set[str]) -> set[str]:
        """Keys of versions, and of the rollbacks that published their bytes again."""
        descendants = set(keys)
        for node in sorted(self.versions, key=lambda node: node.properties["version"]):
            if version_nodes.make_bytes_key(node) in descendants:
                descendants.add(node.key)
        return descendants

    def _add_outputs(self, walked: WalkResult, executions: Iterable[int]) -> None:
        """Adds the outputs of executions: who asks for a run asks for what it made, too."""
        for event in self.reader.get_execution_events(executions, OUTPUTS):
            walked.artifacts.add(event.artifact_id)
            walked.edges.add(make_edge(event))

    def _collect_ancestors(self, nodes: Iterable[Node]) -> list[Node]:
        """Versions, and those whose bytes they republish."""
        by_key = {node.key: node for node in self.versions}
        ancestors = list(nodes)
        for node in ancestors:
            source = by_key.get(version_nodes.make_bytes_key(node))
            if source and source not in ancestors:
                ancestors.append(source)
        return ancestors

    def _find_pushed_artifacts(self, version: Node) -> list[int]:
        """Ids of the artifacts that became a version: its push, else the model that its provenance names."""
        keys = {node.key for node in self._collect_ancestors([version])}
        pushes = [node.id for node in self.pushes if version_nodes.make_pushed_key(node) in keys and node.id]
        model = (version.properties.get("model_artifact") or {}).get("id")
        return pushes or ([model] if model and self._knows_run(version) else [])

    def _knows_run(self, version: Node) -> bool:
        """Whether the store knows the version's run: ids of a lost store mean other artifacts in a new one."""
        return not version.run or version.run in self.reader.list_run_ids()

    def knows_origin(self, version: Node) -> bool:
        """Whether the store knows what a version came from; else the version's own provenance does."""
        return bool(self._find_pushed_artifacts(version)) or lineage_file_reader.read_version_lineage(version) is None

    def _find_baselines(self, version: Node) -> list[int]:
        """Ids of the baseline models that were this version."""
        models = self.reader.list_artifacts_of_type("Model")
        number = version.properties["version"]
        return [
            m.id for m in models if m.id and (m.properties.get("kind"), m.properties.get("version")) == ("live", number)
        ]

    # ---- targets ----

    def find_target(self, words: str | None, *, model: str | None = None, downstream: bool = False) -> LineageTarget:
        """Finds what `words` name: a version, an artifact, an execution, a run or a file.

        Raises:
            UsageError: Nothing of that name is known.
        """
        if words is None or words == version_nodes.LIVE:
            return LineageTarget(versions=(version_nodes.find_live(self.versions, model),))
        target = (
            self._find_version(words, model)
            or self._find_by_id(words)
            or self._find_run(words, downstream)
            or self._find_path(words)
        )
        if target is None:
            targets = [*self.reader.list_run_ids(), *(str(node.properties["version"]) for node in self.versions)]
            raise UsageError(
                f"Nothing under {self.root.path} is called {words!r}: no version, artifact, run or file.",
                suggest_matches(words, targets) or "See: taxiway versions, taxiway runs, taxiway show",
            )
        return target

    def _find_version(self, words: str, model: str | None) -> LineageTarget | None:
        version = _find_named_version(self.versions, words, model)
        return LineageTarget(versions=(version,)) if version else None

    def _find_by_id(self, words: str) -> LineageTarget | None:
        kind, _, number = words.rpartition(":")
        if not number.isdigit():
            return None
        if kind in ("", "artifact") and self.reader.get_artifacts([int(number)]):
            return LineageTarget(artifacts=(int(number),))
        if kind == "execution" and self.reader.get_executions([int(number)]):
            return LineageTarget(executions=(int(number),))
        return None

    def _find_run(self, words: str, downstream: bool) -> LineageTarget | None:
        run_ids = [name for name in self.reader.list_run_ids() if name.startswith(words)]
        if words in run_ids:
            run_ids = [words]
        if len(run_ids) > 1:
            raise UsageError(f"{len(run_ids)} runs begin with {words!r}: {', '.join(run_ids[:5])}.", "Give more of it.")
        if not run_ids:
            return None
        ids = self.reader.list_run_executions(run_ids[0])
        if downstream:  # what it took from the cache, it did not make
            ids = [node.id for node in self.reader.get_executions(ids) if node.state != "CACHED" and node.id]
        return LineageTarget(executions=tuple(ids))

    def _find_path(self, words: str) -> LineageTarget | None:
        """A folder of an artifact or version, or a file of rows or schema."""
        path = Path(words).expanduser().absolute()
        for node in self.versions:
            if node.uri and Path(node.uri) == path:
                return LineageTarget(versions=(node,))
        artifacts = self.reader.find_artifacts_at(words) or self.reader.find_artifacts_at(str(path))
        if artifacts:
            return LineageTarget(artifacts=tuple(node.id for node in artifacts if node.id))
        readers = [
            *self.reader.list_executions_of_type(data_nodes.SOURCE),
            *self.reader.list_executions_of_type(data_nodes.SCHEMA),
        ]
        written = self._find_outputs(readers)
        ids = tuple(
            node.id for node in readers if node.id and data_nodes.reads_file(node, written.get(node.key, []), words)
        )
        return LineageTarget(executions=ids) if ids else None

    def _find_outputs(self, executions: list[Node]) -> dict[str, list[Node]]:
        events = self.reader.get_execution_events([node.id for node in executions if node.id], OUTPUTS)
        edges = {make_edge(event) for event in events}
        return _group_outputs(self.reader.get_artifacts({event.artifact_id for event in events}), executions, edges)


def open_lineage(
    root: str | Path, words: str | None, *, model: str | None = None, downstream: bool = False
) -> NodeGraph:
    """See `LineageGraph.open`. A version's folder can be read without a root: it carries its own lineage."""
    place, copy = Root.at(root), None
    if words is not None and _is_saved_model(words):
        copy = version_nodes.read_version_folder(Path(words).expanduser().resolve())
        own = Root(Path(copy.uri).parents[2]) if copy and len(Path(copy.uri).parents) > 2 else place
        place = own if own.metadata.is_file() else place
    try:
        lineage_query = LineageQuery(place)
        target = lineage_query.find_target(words, model=model, downstream=downstream)
    except (StoreError, UsageError):
        copy = copy or _find_without_store(place, words, model)
        if copy is None or downstream:
            raise
        return build_copy_lineage(copy)
    if len(target.versions) == 1 and not downstream and not lineage_query.knows_origin(target.versions[0]):
        return build_copy_lineage(target.versions[0])
    return lineage_query.walk_downstream(target) if downstream else lineage_query.walk_upstream(target)


def _is_saved_model(words: str) -> bool:
    """Whether the words are the path of a SavedModel; they may be anything, such as longer than a path can be."""
    with contextlib.suppress(OSError, ValueError):
        return (Path(words) / "saved_model.pb").is_file()
    return False


def _find_named_version(version_nodes: Iterable[Node], words: str, model: str | None) -> Node | None:
    """The version that `words` name: by its number, with or without the model's name, or by a label."""
    wanted = words.removeprefix("version:")
    for node in version_nodes:
        name, _, number = node.key.partition(":")[2].rpartition("/")
        names = {number, f"{name}/{number}", *node.properties.get("labels", ())}
        if wanted in names and model in (None, name):
            return node
    return None


def _find_without_store(root: Root, words: str | None, model: str | None) -> Node | None:
    """The named version of a root that has lost its store: the version's folder carries its own lineage."""
    if has_runs(root):
        return None
    there = version_nodes.list_present(root)
    if not there:
        return None
    return (
        version_nodes.find_live(there, model)
        if words in (None, version_nodes.LIVE)
        else _find_named_version(there, str(words), model)
    )


def open_whole_lineage(root: str | Path) -> NodeGraph:
    """See `LineageGraph.whole`."""
    return LineageQuery(Root.at(root)).build_whole()


def build_copy_lineage(version: Node) -> NodeGraph:
    """The graph from a version's folder alone: from `lineage.json`, else from its provenance."""
    carries = lineage_file_reader.read_version_lineage(version)
    if carries is not None:
        return carries
    provenance = version.properties
    nodes, edges = [version], []
    for name, field in (("Model", "model_artifact"), ("Examples", "data")):
        facts = provenance.get(field) or {}
        if facts.get("id"):
            nodes.append(
                Node(
                    make_artifact_key(facts["id"]),
                    "artifact",
                    name,
                    name,
                    uri=str(facts.get("uri", "")),
                    properties=facts,
                )
            )
    examples = [node.key for node in nodes if node.name == "Examples"]
    for node in nodes:
        if node.name == "Model":
            edges.append(Edge(node.key, version.key, "pushed"))
            edges += [Edge(key, node.key, "trained on") for key in examples]
    return NodeGraph(nodes, edges, [version.key])


def _group_outputs(
    artifacts: Iterable[Node], executions: Iterable[Node], edges: Iterable[Edge]
) -> dict[str, list[Node]]:
    """Artifacts by the key of the execution that wrote them."""
    by_key = {node.key: node for node in artifacts}
    wanted = {node.key for node in executions}
    outputs: dict[str, list[Node]] = {}
    for each in edges:
        if each.source in wanted and each.target in by_key:
            outputs.setdefault(each.source, []).append(by_key[each.target])
    return outputs
