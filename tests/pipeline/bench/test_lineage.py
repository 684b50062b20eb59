"""The lineage benchmark: its store is whole, its figures say what was measured."""

from pipeline import history
from pipeline.bench import lineage
from pipeline.layout import Root
from pipeline.lineage import LineageGraph


def test_the_store_is_like_a_real_one(tmp_path):
    root = Root.at(tmp_path)
    assert lineage.make(root, 3)["artifacts"] == 3 * 19
    assert [run.run_id for run in history.runs(root)] == ["run-00002", "run-00001", "run-00000"]
    graph = LineageGraph.open(root.path)
    assert {node.name for node in graph.where(kind="execution")} == set(lineage.NODES)
    assert {node.run for node in graph.where(kind="execution")} == {"run-00002"}
    downstream = LineageGraph.open(root.path, "/rows/span-0.csv", downstream=True)
    assert {node.run for node in downstream.where(name="Pusher")} == {"run-00000"}


def test_every_question_is_asked_and_judged(capsys, monkeypatch):
    monkeypatch.setattr(lineage, "ROUNDS", 1)
    lineage.main(runs=2)
    printed = capsys.readouterr().out
    assert "2 runs, 38 artifacts" in printed
    assert all(question in printed for question in lineage.QUESTIONS)


def test_too_slow_is_no():
    asked = {name: [(allowed / 2, 0.1)] for name, (_, allowed) in lineage.QUESTIONS.items()}
    made = {"runs": 1, "artifacts": 19, "bytes": 1}
    assert lineage.figures(made, asked)["met"]
    assert not lineage.figures(made, {**asked, "runs": [(1.5, 0.1)]})["met"]
