"""The lineage benchmark: its store is whole, its figures say what was measured."""

from taxiway.pipeline.bench import lineage
from taxiway.pipeline.config import load_config
from taxiway.pipeline.lineage import LineageGraph
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import history


def test_the_store_is_like_a_real_one(tmp_path):
    root = Root.at(tmp_path)
    assert lineage.make_store(root, 3)["artifacts"] == 3 * 20
    assert [run.run_id for run in history.list_runs(root)] == ["run-00002", "run-00001", "run-00000"]
    graph = LineageGraph.open(root.path)
    assert {node.name for node in graph.where(kind="execution")} == {*lineage.NODES} - {"ModelExplainer"}
    assert {node.run for node in graph.where(kind="execution")} == {"run-00002"}
    downstream = LineageGraph.open(root.path, "/rows/span-0.csv", downstream=True)
    assert {node.run for node in downstream.where(name="Pusher")} == {"run-00000"}


def test_the_store_has_the_pipelines_nodes_and_edges(tmp_path):
    from taxiway.pipeline.dag import create_pipeline

    made = create_pipeline(load_config(), Root.at(tmp_path)).components
    makers = {key: node for node, (_, _, written) in lineage.NODES.items() for key, _ in written}
    assert set(lineage.NODES) == {node.id for node in made}
    for node in made:
        kind, reads, written = lineage.NODES[node.id]
        assert kind == node.type.rpartition(".")[2]
        assert [output for _, output in written] == [channel.type_name for channel in node.outputs.values()]
        producers = {channel.producer_component_id for channel in node.inputs.values()}
        # These are no inputs: conditions read them, which the store records like inputs.
        assert {makers[key] for key in reads if key not in ("verdict", "blessing")} == producers, node.id


def test_every_question_is_asked_and_judged(capsys, monkeypatch):
    monkeypatch.setattr(lineage, "ROUNDS", 1)
    lineage.main(runs=2)
    printed = capsys.readouterr().out
    assert "2 runs, 40 artifacts" in printed
    assert all(question in printed for question in lineage.QUESTIONS)


def test_too_slow_is_no():
    asked = {name: [(allowed / 2, 0.1)] for name, (_, allowed) in lineage.QUESTIONS.items()}
    made = {"runs": 1, "artifacts": 20, "bytes": 1}
    assert lineage.compute_figures(made, asked)["met"]
    assert not lineage.compute_figures(made, {**asked, "runs": [(1.5, 0.1)]})["met"]
