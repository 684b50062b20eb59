"""From a root and a target to a graph: ML Metadata's part, then the data before it and the versions after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from components.errors import StoreError, UsageError, close_matches
from pipeline.layout import Root
from pipeline.lineage import carried, data, versions
from pipeline.lineage.graph import LineageGraph
from pipeline.lineage.nodes import Edge, Node, artifact_key, execution_key
from pipeline.lineage.reader import OUTPUTS, Reader, Walked, edge
from pipeline.store import knows_runs

PUSHED = "PushedModel"


@dataclass(frozen=True)
class Target:
    """Where a walk begins.

    Attributes:
        artifacts, executions: ML Metadata's ids.
        versions: Versions, which ML Metadata does not know.
    """

    artifacts: tuple[int, ...] = ()
    executions: tuple[int, ...] = ()
    versions: tuple[Node, ...] = ()

    @property
    def focus(self) -> tuple[str, ...]:
        """Keys of what was asked for."""
        if self.versions:
            return tuple(node.key for node in self.versions)
        return (*map(artifact_key, self.artifacts), *map(execution_key, self.executions))


class Sources:
    """A root as lineage sees it: the store, and the versions that were ever pushed."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self.reader = Reader.of(root)
        self.pushes = self.reader.artifacts_of_type(PUSHED)
        there = versions.present(root)
        self.versions = [*there, *versions.gone(self.pushes, there)]

    def upstream(self, target: Target) -> LineageGraph:
        """What the target came from."""
        artifacts = {*target.artifacts, *(i for node in target.versions for i in self._pushed_from(node))}
        walked = self.reader.upstream(artifacts, target.executions)
        if target.executions:
            self._add_outputs(walked, target.executions)
        return self._graph(walked, self._ancestry(target.versions), target.focus)

    def downstream(self, target: Target) -> LineageGraph:
        """What the target led to."""
        artifacts = {*target.artifacts, *(i for node in target.versions for i in self._baselines_of(node))}
        walked = self.reader.downstream(artifacts, target.executions)
        return self._graph(walked, target.versions, target.focus, pushed=True)

    def whole(self) -> LineageGraph:
        """Everything."""
        return self._graph(self.reader.everything(), self.versions, ())

    def _graph(
        self, walked: Walked, known: Iterable[Node], focus: tuple[str, ...], *, pushed: bool = False
    ) -> LineageGraph:
        """The walked part with names, and what stands before and after it."""
        artifacts, executions = self.reader.artifacts(walked.artifacts), self.reader.executions(walked.executions)
        files, reads = data.sources(executions, _outputs(artifacts, executions, walked.edges))
        joins = versions.edges(self.versions, self.pushes, artifacts)
        nodes = {node.key: node for node in [*artifacts, *executions, *files, *known]}
        # What a baseline was, or what a push became, stands there as a leaf: its own story is another one.
        became = {edge.target for edge in joins if edge.source in nodes}
        ends = self._descendants(became) if pushed else {edge.source for edge in joins if edge.target in nodes}
        nodes |= {node.key: node for node in self.versions if node.key in ends}
        return LineageGraph(nodes.values(), [*walked.edges, *reads, *joins], focus)

    def _descendants(self, keys: set[str]) -> set[str]:
        """Versions, and those that rollbacks made of their bytes."""
        found = set(keys)
        for node in sorted(self.versions, key=lambda node: node.properties["version"]):
            if versions.bytes_key(node) in found:
                found.add(node.key)
        return found

    def _add_outputs(self, walked: Walked, executions: Iterable[int]) -> None:
        """A run is asked for with what it made, not only with what it read."""
        for event in self.reader.events_of_executions(executions, OUTPUTS):
            walked.artifacts.add(event.artifact_id)
            walked.edges.add(edge(event))

    def _ancestry(self, nodes: Iterable[Node]) -> list[Node]:
        """Versions, and those whose bytes they are."""
        by_key = {node.key: node for node in self.versions}
        found = list(nodes)
        for node in found:
            source = by_key.get(versions.bytes_key(node))
            if source and source not in found:
                found.append(source)
        return found

    def _pushed_from(self, version: Node) -> list[int]:
        """Ids of the artifacts that became a version: its push, else the model that its provenance names."""
        keys = {node.key for node in self._ancestry([version])}
        pushes = [node.id for node in self.pushes if versions.pushed_key(node) in keys and node.id]
        model = (version.properties.get("model_artifact") or {}).get("id")
        return pushes or ([model] if model and self._knows_run(version) else [])

    def _knows_run(self, version: Node) -> bool:
        """Ids of a store that was lost mean other things in the one that began after it."""
        return not version.run or version.run in self.reader.run_ids()

    def remembers(self, version: Node) -> bool:
        """Whether the store knows what a version came from; else the version's own provenance does."""
        return bool(self._pushed_from(version)) or carried.of_version(version) is None

    def _baselines_of(self, version: Node) -> list[int]:
        """Ids of the baseline models that were this version."""
        models = self.reader.artifacts_of_type("Model")
        number = version.properties["version"]
        return [
            m.id for m in models if m.id and (m.properties.get("kind"), m.properties.get("version")) == ("live", number)
        ]

    # ---- targets ----

    def target(self, words: str | None, *, model: str | None = None, downstream: bool = False) -> Target:
        """What a person means by `words`.

        Raises:
            UsageError: Nothing of the sort is known.
        """
        if words is None or words == versions.LIVE:
            return Target(versions=(versions.live(self.versions, model),))
        found = self._version(words, model) or self._by_id(words) or self._run(words, downstream) or self._place(words)
        if found is None:
            known = [*self.reader.run_ids(), *(str(node.properties["version"]) for node in self.versions)]
            raise UsageError(
                f"Nothing under {self.root.path} is called {words!r}: no version, artifact, run or file.",
                close_matches(words, known) or "See: taxiway versions, taxiway runs, taxiway show",
            )
        return found

    def _version(self, words: str, model: str | None) -> Target | None:
        found = _called(self.versions, words, model)
        return Target(versions=(found,)) if found else None

    def _by_id(self, words: str) -> Target | None:
        kind, _, number = words.rpartition(":")
        if not number.isdigit():
            return None
        if kind in ("", "artifact") and self.reader.artifacts([int(number)]):
            return Target(artifacts=(int(number),))
        if kind == "execution" and self.reader.executions([int(number)]):
            return Target(executions=(int(number),))
        return None

    def _run(self, words: str, downstream: bool) -> Target | None:
        matches = [name for name in self.reader.run_ids() if name.startswith(words)]
        if words in matches:
            matches = [words]
        if len(matches) > 1:
            raise UsageError(f"{len(matches)} runs begin with {words!r}: {', '.join(matches[:5])}.", "Give more of it.")
        if not matches:
            return None
        ids = self.reader.run_executions(matches[0])
        if downstream:  # what it took from the cache, it did not make
            ids = [node.id for node in self.reader.executions(ids) if node.state != "CACHED" and node.id]
        return Target(executions=tuple(ids))

    def _place(self, words: str) -> Target | None:
        """A folder of an artifact or version, or a file of rows or schema."""
        path = Path(words).expanduser().absolute()
        for node in self.versions:
            if node.uri and Path(node.uri) == path:
                return Target(versions=(node,))
        artifacts = self.reader.artifacts_at(words) or self.reader.artifacts_at(str(path))
        if artifacts:
            return Target(artifacts=tuple(node.id for node in artifacts if node.id))
        readers = [*self.reader.executions_of_type(data.SOURCE), *self.reader.executions_of_type(data.SCHEMA)]
        written = self._written_by(readers)
        ids = tuple(node.id for node in readers if node.id and data.reads(node, written.get(node.key, []), words))
        return Target(executions=ids) if ids else None

    def _written_by(self, executions: list[Node]) -> dict[str, list[Node]]:
        events = self.reader.events_of_executions([node.id for node in executions if node.id], OUTPUTS)
        edges = {edge(event) for event in events}
        return _outputs(self.reader.artifacts({event.artifact_id for event in events}), executions, edges)


def lineage(root: str | Path, words: str | None, *, model: str | None = None, downstream: bool = False) -> LineageGraph:
    """See `LineageGraph.open`. A version's folder needs no root: its provenance is enough, the store adds the rest."""
    place, copy = Root.at(root), None
    if words is not None and (Path(words) / "saved_model.pb").is_file():
        copy = versions.of_folder(Path(words).expanduser().resolve())
        own = Root(Path(copy.uri).parents[2]) if copy and len(Path(copy.uri).parents) > 2 else place
        place = own if own.metadata.is_file() else place
    try:
        sources = Sources(place)
        target = sources.target(words, model=model, downstream=downstream)
    except (StoreError, UsageError):
        copy = copy or _without_store(place, words, model)
        if copy is None or downstream:
            raise
        return of_copy(copy)
    if len(target.versions) == 1 and not downstream and not sources.remembers(target.versions[0]):
        return of_copy(target.versions[0])
    return sources.downstream(target) if downstream else sources.upstream(target)


def _called(known: Iterable[Node], words: str, model: str | None) -> Node | None:
    """The version that words name: its number, with or without the model's name, or a label."""
    wanted = words.removeprefix("version:")
    for node in known:
        name, _, number = node.key.partition(":")[2].rpartition("/")
        names = {number, f"{name}/{number}", *node.properties.get("labels", ())}
        if wanted in names and model in (None, name):
            return node
    return None


def _without_store(root: Root, words: str | None, model: str | None) -> Node | None:
    """The version that is meant, where a root has versions and no store any more: it carries its own lineage."""
    if knows_runs(root):
        return None
    there = versions.present(root)
    if not there:
        return None
    return versions.live(there, model) if words in (None, versions.LIVE) else _called(there, str(words), model)


def whole(root: str | Path) -> LineageGraph:
    """See `LineageGraph.whole`."""
    return Sources(Root.at(root)).whole()


def of_copy(version: Node) -> LineageGraph:
    """What a version's folder says, without a database: the lineage that it carries, else its provenance."""
    carries = carried.of_version(version)
    if carries is not None:
        return carries
    provenance = version.properties
    nodes, edges = [version], []
    for name, field in (("Model", "model_artifact"), ("Examples", "data")):
        facts = provenance.get(field) or {}
        if facts.get("id"):
            nodes.append(
                Node(artifact_key(facts["id"]), "artifact", name, name, uri=str(facts.get("uri", "")), properties=facts)
            )
    examples = [node.key for node in nodes if node.name == "Examples"]
    for node in nodes:
        if node.name == "Model":
            edges.append(Edge(node.key, version.key, "pushed"))
            edges += [Edge(key, node.key, "trained on") for key in examples]
    return LineageGraph(nodes, edges, [version.key])


def _outputs(artifacts: Iterable[Node], executions: Iterable[Node], edges: Iterable[Edge]) -> dict[str, list[Node]]:
    """Artifacts by the key of the execution that wrote them."""
    by_key = {node.key: node for node in artifacts}
    wanted = {node.key for node in executions}
    found: dict[str, list[Node]] = {}
    for each in edges:
        if each.source in wanted and each.target in by_key:
            found.setdefault(each.source, []).append(by_key[each.target])
    return found
