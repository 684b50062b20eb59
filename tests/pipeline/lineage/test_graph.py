import contextlib
import itertools
import json
import shutil
import sqlite3
import subprocess
import sys

import pytest

from components.errors import StoreError, UsageError
from pipeline.layout import Root as Place
from pipeline.lineage import LineageGraph, dot, layout, page, sources, story
from tests.pipeline.lineage.stores import DAG, FIRST_NODES, Root, memory_folder


@pytest.fixture(scope="module")
def root():
    with memory_folder() as folder:
        yield _history(Root(folder / "root"))


def _history(made):
    """Three runs: the second with new data, the third all from the cache up to the Trainer; then a rollback."""
    made.first = made.run("run-1", span=1)
    made.second = made.run("run-2", span=2)
    cached = (*FIRST_NODES, "Transform", "Trainer")
    made.third = made.run("run-3", span=2, cached=cached)
    made.blocked = made.run("run-4", span=3, nodes=FIRST_NODES)
    made.serving.rollback(reason="worse on Mondays")
    return made


def names(graph, kind):
    return [node.name for node in graph.where(kind=kind)]


def test_a_live_versions_story_reaches_the_files(root):
    third = root.serving.versions()[2]
    graph = LineageGraph.open(root.path, str(third.number))
    assert sorted(names(graph, "execution")) == sorted(DAG)  # the gates are inputs of what stands behind them
    assert [node.uri for node in graph.where(kind="data", type="rows")] == ["/rows/span-2.csv"]
    assert {node.run for node in graph.where(name="Trainer")} == {"run-2"}  # the one that trained, not the cached one
    assert {node.run for node in graph.where(name="Pusher")} == {"run-3"}


def test_a_rollback_tells_whose_bytes_it_is(root):
    first, second, third, back = root.serving.versions()
    graph = LineageGraph.open(root.path)
    assert graph.focus == (f"version:taxi/{back.number}",)
    assert f"version:taxi/{second.number}" in graph.nodes
    assert {node.run for node in graph.where(name="Pusher")} == {"run-2"}
    answer = story.why(graph, Place.at(root.path))
    assert f"rollback of version {third.number} (worse on Mondays)" in answer.paragraph
    assert f"{second.number}'s" in answer.paragraph
    assert answer.numbers["ExampleGen span"] == 2
    assert "spans" not in answer.paragraph and str(first.number) not in answer.numbers


def test_the_baseline_is_a_leaf_so_that_history_does_not_unroll(root):
    third = root.serving.versions()[2]
    graph = LineageGraph.open(root.path, str(third.number))
    baseline = f"version:taxi/{root.serving.versions()[1].number}"
    assert [edge.label for edge in graph.edges if edge.source == baseline] == ["was live"]
    assert graph.parents(baseline) == []


def test_downstream_of_bad_data_names_every_version_that_it_reached(root):
    graph = LineageGraph.open(root.path, "/rows/span-2.csv", downstream=True)
    numbers = [version.number for version in root.serving.versions()]
    found = [node.properties["version"] for node in graph.where(kind="version")]
    assert found == numbers[1:]  # both pushes and the rollback to the first of them
    assert {node.run for node in graph.where(kind="execution")} == {"run-2", "run-3"}
    clean = LineageGraph.open(root.path, "/rows/span-3.csv", downstream=True)
    assert clean.where(kind="version") == []


def test_downstream_of_a_run_leaves_out_what_it_took_from_the_cache(root):
    graph = LineageGraph.open(root.path, "run-3", downstream=True)
    assert "Trainer" not in names(graph, "execution")
    assert [node.properties["version"] for node in graph.where(kind="version")] == [root.serving.versions()[2].number]


def test_downstream_of_a_schema(root):
    graph = LineageGraph.open(root.path, "/rows/schema.pbtxt", downstream=True)
    assert len(graph.where(kind="version")) == 4


@pytest.mark.parametrize("form", ["id", "named", "uri"])
def test_an_artifact_is_found_by_id_and_by_uri(root, form):
    artifact = root.second["Trainer.model"]
    uri = str(root.path / "artifacts" / "Trainer" / "model" / "run-2")
    graph = LineageGraph.open(root.path, {"id": str(artifact), "named": f"artifact:{artifact}", "uri": uri}[form])
    assert graph.focus == (f"artifact:{artifact}",)
    assert names(graph, "execution")[-1] == "Trainer"


def test_a_blocked_run_is_told_with_what_it_made(root):
    graph = LineageGraph.open(root.path, "run-4")
    assert names(graph, "execution") == list(FIRST_NODES)
    assert "taxiway.Verdict" in {node.type for node in graph.where(kind="artifact")}
    told = story.steps(graph, Place.at(root.path))
    assert told[-1].facts == {"verdict": "passed"}


def test_labels_and_unknown_words(root):
    number = root.serving.versions()[0].number
    root.serving.promote(number, "stable")
    assert LineageGraph.open(root.path, "stable").focus == (f"version:taxi/{number}",)
    with pytest.raises(UsageError, match="no version, artifact, run or file"):
        LineageGraph.open(root.path, "run-9x")
    with pytest.raises(UsageError, match="4 runs begin with"):
        LineageGraph.open(root.path, "run-")


def test_a_copied_version_tells_its_provenance_without_a_database(root, tmp_path):
    version = root.serving.versions()[1]
    copy = tmp_path / "elsewhere"
    shutil.copytree(version.path, copy)
    graph = sources.lineage(tmp_path / "no-root", str(copy))
    assert graph.node(graph.focus[0]).run == "run-2"
    assert [node.id for node in graph.where(kind="artifact")] == [root.second["ModelOptimizer.model"]]
    assert "run run-2" in story.why(graph, Place.at(tmp_path)).paragraph


def test_the_whole_graph_equals_its_parts_and_survives_json(root):
    whole = LineageGraph.whole(root.path)
    key = f"artifact:{root.second['ModelOptimizer.model']}"
    part = whole.upstream(key)
    walked = LineageGraph.open(root.path, key)
    executions = {node.key for node in walked.where(kind="execution")}
    assert executions <= {node.key for node in part.where(kind="execution")}
    again = LineageGraph.from_json(json.loads(json.dumps(whole.to_json())))
    assert again.edges == whole.edges and again.nodes.keys() == whole.nodes.keys()
    with pytest.raises(UsageError, match="version 9"):
        LineageGraph.from_json({"version": 9})


def test_networkx_and_pandas(root):
    graph = LineageGraph.open(root.path, "run-2")
    made = graph.to_networkx()
    assert made.number_of_nodes() == len(graph) and made.number_of_edges() == len(graph.edges)
    nodes, edges = graph.to_pandas()
    assert set(nodes.loc[nodes.kind == "execution", "name"]) == set(DAG)
    assert len(edges) == len(graph.edges)


def test_dot_quotes_and_marks_the_focus(root):
    text = dot.render(LineageGraph.open(root.path, "run-2"))
    assert text.startswith("digraph lineage {") and text.rstrip().endswith("}")
    assert "penwidth" in text and '"data:/rows/span-2.csv#f2"' in text


def test_positions_do_not_overlap_and_parents_stand_above(root):
    graph = LineageGraph.whole(root.path)
    places = layout.positions(graph)
    assert len(set(places.values())) == len(places)
    assert all(places[edge.source][1] < places[edge.target][1] for edge in graph.edges)
    by_layer = {}
    for x, y in places.values():
        by_layer.setdefault(y, []).append(x)
    for layer in map(sorted, by_layer.values()):
        assert all(right - left >= layout.WIDTH for left, right in itertools.pairwise(layer))


def test_the_page_is_self_contained_and_cannot_be_broken_by_values(root):
    graph = LineageGraph.open(root.path, "run-2")
    node = graph.where(kind="execution")[0]
    evil = type(node)(**{**node.to_json(), "name": "</script><script>alert(1)</script>"})
    html = page.render(LineageGraph([evil, *(n for n in graph.nodes.values() if n != node)], graph.edges))
    assert "<script>alert(1)" not in html
    assert 'src="http' not in html and 'href="http' not in html


def test_a_bad_store_gives_a_plain_message(tmp_path):
    with pytest.raises(StoreError, match="no metadata store"):
        LineageGraph.open(tmp_path)
    (tmp_path / "metadata.db").write_text("not a database")
    with pytest.raises(StoreError, match="no sqlite database"):
        LineageGraph.open(tmp_path)


def test_reading_writes_nothing_and_a_locked_store_gives_a_plain_message(root):
    before = (root.path / "metadata.db").read_bytes()
    LineageGraph.whole(root.path)
    assert (root.path / "metadata.db").read_bytes() == before
    with contextlib.closing(sqlite3.connect(root.path / "metadata.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="locked by another process"):
            LineageGraph.open(root.path)


SPEED = """
import sys
from pipeline.lineage import LineageGraph
graph = LineageGraph.open(sys.argv[1])
heavy = [name for name in ("tensorflow", "tfx", "apache_beam") if name in sys.modules]
print(len(graph), heavy)
"""


def test_many_runs_cost_little_and_load_no_tensorflow():
    with memory_folder() as folder:
        _measure(Root(folder / "big"))


def _measure(big):
    for number in range(100):
        big.run(f"run-{number:04d}", span=number, files=number > 97)
    done = subprocess.run(
        [sys.executable, "-c", SPEED, str(big.path)], capture_output=True, text=True, timeout=120, check=True
    )
    nodes, loaded = done.stdout.split(maxsplit=1)
    assert int(nodes) < 60, "what the live version does not come from is not read"
    assert loaded.strip() == "[]"
