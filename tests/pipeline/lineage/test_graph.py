import contextlib
import itertools
import json
import re
import shutil
import sqlite3
import subprocess
import sys

import pytest

from taxiway.components.errors import StoreError, UsageError
from taxiway.pipeline.lineage import Edge, LineageGraph, Node, query
from taxiway.pipeline.lineage.steps import list_steps
from taxiway.pipeline.lineage.views import dot, layout, page, render
from taxiway.pipeline.lineage.why import explain_version
from taxiway.pipeline.root import Root as Place
from tests.pipeline.lineage.stores import BEFORE_THE_PUSH, DAG, FIRST_NODES, Root, memory_folder


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


def test_the_lineage_of_a_version_reaches_the_files(root):
    third = root.serving.list_versions()[2]
    graph = LineageGraph.open(root.path, str(third.number))
    # The gates are inputs of what stands behind them.
    assert sorted(names(graph, "execution")) == sorted([*BEFORE_THE_PUSH, "Pusher"])
    assert [node.uri for node in graph.where(kind="data", type="rows")] == ["/rows/span-2.csv"]
    assert {node.run for node in graph.where(name="Trainer")} == {"run-2"}  # the one that trained, not the cached one
    assert {node.run for node in graph.where(name="Pusher")} == {"run-3"}


def test_a_rollback_leads_to_the_version_whose_bytes_it_republishes(root):
    first, second, third, back = root.serving.list_versions()
    graph = LineageGraph.open(root.path)
    assert graph.focus == (f"version:taxi/{back.number}",)
    assert f"version:taxi/{second.number}" in graph.nodes
    assert {node.run for node in graph.where(name="Pusher")} == {"run-2"}
    answer = explain_version(graph, Place.at(root.path))
    assert f"rollback of version {third.number} (worse on Mondays)" in answer.paragraph
    assert f"{second.number}'s" in answer.paragraph
    assert answer.numbers["ExampleGen span"] == 2
    assert "spans" not in answer.paragraph and str(first.number) not in answer.numbers


def test_the_baseline_is_a_leaf_without_its_own_lineage(root):
    third = root.serving.list_versions()[2]
    graph = LineageGraph.open(root.path, str(third.number))
    baseline = f"version:taxi/{root.serving.list_versions()[1].number}"
    assert [edge.label for edge in graph.edges if edge.source == baseline] == ["was live"]
    assert graph.parents(baseline) == []


def test_downstream_of_data_names_every_version_that_was_trained_on_it(root):
    graph = LineageGraph.open(root.path, "/rows/span-2.csv", downstream=True)
    numbers = [version.number for version in root.serving.list_versions()]
    found = [node.properties["version"] for node in graph.where(kind="version")]
    assert found == numbers[1:]  # both pushes and the rollback to the first of them
    assert {node.run for node in graph.where(kind="execution")} == {"run-2", "run-3"}
    clean = LineageGraph.open(root.path, "/rows/span-3.csv", downstream=True)
    assert clean.where(kind="version") == []


def test_downstream_of_a_run_leaves_out_what_it_took_from_the_cache(root):
    graph = LineageGraph.open(root.path, "run-3", downstream=True)
    assert "Trainer" not in names(graph, "execution")
    assert [node.properties["version"] for node in graph.where(kind="version")] == [
        root.serving.list_versions()[2].number
    ]


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


def test_a_blocked_run_is_shown_with_its_outputs(root):
    graph = LineageGraph.open(root.path, "run-4")
    assert names(graph, "execution") == list(FIRST_NODES)
    assert "taxiway.Verdict" in {node.type for node in graph.where(kind="artifact")}
    steps = list_steps(graph, Place.at(root.path))
    assert steps[-1].facts == {"verdict": "passed"}


def test_labels_and_unknown_words(root):
    number = root.serving.list_versions()[0].number
    root.serving.promote(number, "stable")
    assert LineageGraph.open(root.path, "stable").focus == (f"version:taxi/{number}",)
    with pytest.raises(UsageError, match="no version, artifact, run or file"):
        LineageGraph.open(root.path, "run-9x")
    with pytest.raises(UsageError, match="4 runs begin with"):
        LineageGraph.open(root.path, "run-")


def test_the_provenance_of_a_copied_version_is_read_without_a_database(root, tmp_path):
    version = root.serving.list_versions()[1]
    copy = tmp_path / "elsewhere"
    shutil.copytree(version.path, copy)
    graph = query.open_lineage(tmp_path / "no-root", str(copy))
    assert graph.node(graph.focus[0]).run == "run-2"
    assert [node.id for node in graph.where(kind="artifact")] == [root.second["ModelOptimizer.model"]]
    assert "run run-2" in explain_version(graph, Place.at(tmp_path)).paragraph


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


def test_a_walk_follows_one_direction_and_ends_in_a_circle():
    edges = [Edge("a", "b"), Edge("b", "c"), Edge("c", "b"), Edge("x", "c"), Edge("b", "y"), Edge("b", "y", "again")]
    graph = LineageGraph([Node(key, "data", key) for key in "abcxyz"], edges)
    assert graph.upstream("b").nodes.keys() == set("abcx")
    assert graph.downstream("a").nodes.keys() == set("abcy")
    assert graph.downstream("x").nodes.keys() == set("xbcy")
    assert graph.upstream("z").nodes.keys() == {"z"}
    part = graph.upstream("y")
    assert isinstance(part, LineageGraph) and part.focus == ("y",)
    assert set(part.edges) == {edge for edge in edges if "z" not in (edge.source, edge.target)}
    with pytest.raises(UsageError, match="no node 'q'"):
        graph.upstream("q")


QUOTED = r'"((?:[^"\\]|\\.)*)"'
ATTRIBUTES = rf"(?:\w+={QUOTED}(?:, )?)+"


def read_dot_string(quoted):
    """What Graphviz shows for a quoted string: a label's escapes are undone."""
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], quoted)


def test_dot_quotes_what_names_hold():
    key, name, uri = 'data:/rows/"day" \\', 'a "b" \\n\\"]; x [', 'c:\\new\\"rows"\\'
    nodes = [Node(key, "data", name, uri=uri), Node("execution:1", "execution", "Trainer")]
    lines = dot.render_dot(LineageGraph(nodes, [Edge(key, "execution:1", '"read"\\')], [key])).splitlines()
    drawn, trainer, edge = lines[3:-1]
    for statement in (drawn, trainer):
        assert re.fullmatch(rf"  {QUOTED} \[{ATTRIBUTES}\];", statement), statement
    strings = [read_dot_string(found) for found in re.findall(QUOTED, drawn)]
    assert (strings[0], strings[1], strings[-2]) == (key, name, uri)
    assert [read_dot_string(found) for found in re.findall(QUOTED, edge)] == [key, "execution:1", '"read"\\']
    assert re.fullmatch(rf"  {QUOTED} -> {QUOTED} \[label={QUOTED}\];", edge)


def test_dot_marks_the_focus_alone(root):
    graph = LineageGraph.open(root.path)
    lines = dot.render_dot(graph).splitlines()
    [focus] = graph.focus
    assert [line.split('"')[1] for line in lines if 'penwidth="3"' in line] == [focus]
    assert lines[0] == "digraph lineage {" and lines[-1] == "}"
    assert len(lines) == 4 + len(graph) + len(graph.edges)


def test_positions_do_not_overlap_and_parents_stand_above(root):
    graph = LineageGraph.whole(root.path)
    places = layout.place_nodes(graph)
    assert len(set(places.values())) == len(places)
    assert all(places[edge.source][1] < places[edge.target][1] for edge in graph.edges)
    by_layer = {}
    for x, y in places.values():
        by_layer.setdefault(y, []).append(x)
    for layer in map(sorted, by_layer.values()):
        assert all(right - left >= layout.WIDTH for left, right in itertools.pairwise(layer))


def test_nodes_of_a_circle_share_a_row():
    edges = [Edge("a", "b"), Edge("b", "c"), Edge("c", "b"), Edge("c", "d"), Edge("a", "d")]
    places = layout.place_nodes(LineageGraph([Node(key, "data", key) for key in "dcba"], edges))
    rows = {key: y / layout.DOWN for key, (_, y) in places.items()}
    assert rows == {"a": 0, "b": 1, "c": 1, "d": 2}
    assert len(set(places.values())) == 4


def test_only_text_is_taken_for_markup(capsys, tmp_path):
    render.write_output("{[bold]live[/]}", "text", None)
    render.write_output('["[bold]live[/]"]', "json", None)
    assert capsys.readouterr().out == '{live}\n["[bold]live[/]"]'
    render.write_output("[bold]live[/]", "text", tmp_path / "new" / "text")
    render.write_output('["[bold]live[/]"]', "json", tmp_path / "json")
    assert (tmp_path / "new" / "text").read_text() == "live\n"
    assert (tmp_path / "json").read_text() == '["[bold]live[/]"]'


def test_the_page_is_self_contained_and_cannot_be_broken_by_values(root):
    graph = LineageGraph.open(root.path, "run-2")
    node = graph.where(kind="execution")[0]
    evil = type(node)(**{**node.to_json(), "name": "</script><script>alert(1)</script>"})
    html = page.render_page(LineageGraph([evil, *(n for n in graph.nodes.values() if n != node)], graph.edges))
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
from taxiway.pipeline.lineage import LineageGraph
from taxiway.pipeline.lineage.views import render
graph = LineageGraph.open(sys.argv[1])
heavy = [name for name in ("tensorflow", "tfx", "apache_beam", "networkx") if name in sys.modules]
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
