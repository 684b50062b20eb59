"""The figures of the benchmark, from runs that are made up."""

import subprocess
import sys

from taxiway.pipeline.bench import pipeline as bench
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking.run_record import NodeRecord, RunRecord


def side(scale, auc):
    made = bench.SideResults()
    for run in (1.0, 2.0, 3.0):
        seconds = {"Transform": 10 * run * scale, "Trainer": 5 * run * scale, "ModelOptimizer": 7.0}
        made.add_run(seconds, 20 * run * scale, 30 * run * scale, {"auc": auc})
    return made


def test_ratios_are_run_by_run():
    result = bench.compute_figures(
        side(0.25, 0.95), side(1.0, 0.94), {"eval_rows": 5, "train_rows_seen": {"ours": 6, "tfx": 6}}
    )
    assert result["shared"]["ratio"] == {"median": 0.25, "min": 0.25, "max": 0.25}
    assert result["shared"]["ours"]["median"] == 7.5, "nodes without a counterpart do not count"
    assert result["whole"]["ratio"]["median"] == 0.25
    assert result["nodes"]["Transform"]["tfx"] == {"median": 20.0, "min": 10.0, "max": 30.0}
    assert result["cpu"]["ours"] == {"median": 15.0, "min": 7.5, "max": 22.5}
    assert result["cpu"]["ratio"]["median"] == 0.25
    assert "tfx" not in result["nodes"]["ModelOptimizer"]
    assert result["met"] == {"shared": True, "whole": True, "auc": True}


def test_missed_targets_are_said(capsys):
    rows = {"eval_rows": 5, "train_rows_seen": {"ours": 6, "tfx": 6}}
    result = bench.compute_figures(side(2.0, 0.93), side(1.0, 0.94), rows)
    assert result["met"] == {"shared": False, "whole": False, "auc": False}
    bench.print_figures(result)
    printed = capsys.readouterr().out
    assert printed.count("missed") == 3
    assert "ratio 2.00 [2.00, 2.00], target 0.35" in printed
    assert "processor seconds of the whole: 120 [60, 180] against 60 [30, 90], ratio 2.00" in printed


def test_a_round_hands_our_rows_to_the_other_side(tmp_path, monkeypatch):
    """The runs themselves take minutes; here only what is passed from one to the other."""
    jobs = []

    def child(name, job):
        jobs.append((name, dict(job)))
        theirs = {"seconds": {"Trainer": 4.0}, "train_rows": 1280, "model": "their-model", "examples": "their-eval"}
        return {"model_quality": {"auc": 0.9, "rows": 7, "positives": 2}, "tfx_taxi": theirs}.get(name, {})

    history = tmp_path / "model" / "training" / "history.json"
    history.parent.mkdir(parents=True)
    history.write_text('{"version": 1, "evaluations": [{"step": 5}, {"step": 10}]}')
    run = RunRecord(run_id="r", state="live", started=0, nodes=(NodeRecord(node="Trainer", state="done", seconds=3.0),))
    monkeypatch.setattr(bench, "_run_child", child)
    monkeypatch.setattr(bench, "_run_ours", lambda *_: (run, 30.0, Root.at(tmp_path)))
    monkeypatch.setattr(bench, "_find_outputs", lambda *_: ("our-examples", str(tmp_path / "model")))
    ours, peer = bench.SideResults(), bench.SideResults()
    rows = bench._run_round(tmp_path / "round", None, (), ours, peer)

    assert [name for name, _ in jobs] == ["model_quality", "csv_export", "tfx_taxi", "model_quality"]
    assert jobs[1][1] == {
        "examples": "our-examples",
        "target": str(tmp_path / "round" / "csv"),
        "leave_out": ["big_tipper"],
    }
    assert jobs[2][1]["data"] == jobs[1][1]["target"]
    assert jobs[2][1]["train_rows"] == 10 * 128
    assert rows == {"train_rows_seen": {"ours": 1280, "tfx": 1280}, "eval_rows": 7}
    assert (ours.seconds, ours.wall, peer.seconds) == ({"Trainer": [3.0]}, [30.0], {"Trainer": [4.0]})
    assert ours.cpu[0] >= 0 and peer.cpu[0] >= 0


def test_processor_seconds_of_children_count_when_they_have_ended():
    before = bench._count_cpu_seconds()
    subprocess.run([sys.executable, "-c", "sum(range(10**7))"], check=True, timeout=60)
    assert 0.02 < bench._count_cpu_seconds() - before < 30
