"""Runs as they are listed afterwards: whole, dead, damaged, of another tool."""

import json
import os

import psutil
import pytest

from taxiway.components.errors import StoreError, UsageError
from taxiway.pipeline.console import printing, run_tables
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import history, run_order, run_record
from taxiway.pipeline.tracking.run_record import GateRecord, MetricValues, NodeRecord, PushRecord, RunRecord


def write(root, run_id, **fields):
    folder = root.run_folder(run_id)
    folder.mkdir(parents=True)
    run = RunRecord(**{"run_id": run_id, "state": "live", "started": 1000.0, "ended": 1060.0, **fields})
    run_record.write_summary(run, folder)
    os.utime(folder, (run.started, run.started))
    return run


@pytest.fixture
def root(tmp_path):
    return Root.at(tmp_path)


def test_newest_first_and_limited(root):
    for number in range(4):
        write(root, f"run-{number}", started=1000.0 + number)
    assert [run.run_id for run in history.list_runs(root, 2)] == ["run-3", "run-2"]


def test_a_run_is_found_by_the_start_of_its_id(root):
    write(root, "20260101-120000")
    write(root, "20260102-120000", started=2000.0)
    assert history.find_run(root, None).run_id == "20260102-120000"
    assert history.find_run(root, "20260101").run_id == "20260101-120000"
    with pytest.raises(UsageError, match="2 runs begin with"):
        history.find_run(root, "2026")
    with pytest.raises(UsageError, match="There is no run 'x'"):
        history.find_run(root, "x")


def test_a_long_reason_is_cut_in_the_list(root, capsys):
    write(root, "run-1", state="failed", reason="x" * 500 + "\nmore")
    printing.print_renderable(run_tables.make_runs_table(history.list_runs(root)))
    printed = capsys.readouterr().out
    assert "more" not in printed
    assert printed.count("x") < 100


def test_an_empty_root_says_what_to_do(root):
    root.metadata.touch()  # what a full disk leaves
    with pytest.raises(UsageError, match="Nothing has run"):
        history.find_run(root, None)


def test_a_process_that_is_gone_ended_its_run(root):
    nodes = (NodeRecord(node="Trainer", state="running"),)
    here = psutil.Process()
    write(root, "alive", state="running", ended=None, process=(here.pid, here.create_time()))
    write(root, "dead", state="running", ended=None, nodes=nodes, process=(here.pid, here.create_time() - 500))
    found = {run.run_id: run for run in history.list_runs(root)}
    assert found["alive"].state == "running"
    assert (found["dead"].state, found["dead"].nodes[0].state) == ("interrupted", "interrupted")
    assert "without a word in Trainer" in found["dead"].reason


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1}', '{"version": 99}'])
def test_a_damaged_summary_is_named(root, content):
    write(root, "run-1")
    (root.run_folder("run-1") / run_record.SUMMARY_FILE).write_text(content)
    with pytest.raises(StoreError, match=r"summary\.json"):
        history.find_run(root, None)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "damaged"),
        (b"{", "damaged"),
        (b"[" * 5000, "damaged"),
        (b"\xff\xfe", "damaged"),
        (b'{"version": 1}', "damaged"),
        (b'{"version": 99, "run_id": "x"}', "newer Taxiway"),
        (None, "cannot be read"),
    ],
)
def test_the_list_never_fails_for_one_bad_file(root, content, why):
    write(root, "good", started=2000.0)
    write(root, "bad")
    summary = root.run_folder("bad") / run_record.SUMMARY_FILE
    summary.unlink()
    summary.write_bytes(content) if content is not None else summary.mkdir()
    listed = {run.run_id: run for run in history.list_runs(root)}
    assert listed["good"].state == "live"
    assert listed["bad"].state == "unreadable" and why in listed["bad"].reason


def test_keys_of_a_later_version_are_ignored(root):
    run = write(root, "run-1", nodes=(NodeRecord(node="A", state="done"),))
    file = root.run_folder("run-1") / run_record.SUMMARY_FILE
    content = json.loads(file.read_text())
    content["energy_joules"] = 5
    content["nodes"][0]["host"] = "elsewhere"
    file.write_text(json.dumps(content))
    assert history.find_run(root, None) == run


def test_a_summary_from_before_versions_were_recorded_is_read(root):
    write(root, "run-1")
    file = root.run_folder("run-1") / run_record.SUMMARY_FILE
    content = json.loads(file.read_text())
    del content["environment"]
    file.write_text(json.dumps(content))
    run = history.find_run(root, None)
    assert (run.state, run.environment) == ("live", None)


def test_with_the_clock_set_back_the_newest_run_is_still_the_last_one_begun(root):
    write(root, "of-an-older-taxiway", started=500.0)
    for name, clock in (("first", 1000.0), ("second", 400.0), ("third", 410.0), ("fourth", 1200.0)):
        write(root, name, started=clock)
        run_order.append_run(root, name)
    write(root, "of-another-tool", started=1100.0)
    names = [run.run_id for run in history.list_runs(root)]
    assert names == ["fourth", "of-another-tool", "third", "second", "first", "of-an-older-taxiway"]
    assert history.find_run(root, None).run_id == "fourth"


def test_only_the_run_that_was_noted_last_is_taken_back(root):
    root.runs.mkdir()
    for name in ("first", "second"):
        run_order.append_run(root, name)
    noted = root.runs / run_order.ORDER_FILE
    run_order.remove_last_run(root, "first")
    assert noted.read_text() == "first\nsecond\n"
    run_order.remove_last_run(root, "second")
    assert noted.read_text() == "first\n"
    assert list(root.runs.iterdir()) == [noted], "nothing is left beside it"


@pytest.mark.parametrize(
    ("passed", "push", "ending"),
    [
        (True, {"pushed": True}, ("live", 0, "")),
        (True, {"pushed": False, "already_live": True}, ("live", 0, "")),
        (True, {"pushed": False, "reason": "it was rolled back"}, ("blocked", 3, "Pusher: it was rolled back")),
        (True, None, ("done", 0, "")),
        (False, None, ("blocked", 3, "DataGate: too few")),
        (False, {"pushed": True}, ("blocked", 3, "DataGate: too few")),
    ],
)
def test_gates_and_the_push_decide_how_a_run_ended(passed, push, ending):
    gates = [GateRecord(gate="DataGate", passed=passed, reason="" if passed else "too few")]
    assert run_record.decide_ending(gates, PushRecord(**push) if push else None) == ending


def test_a_folder_without_a_summary_ended_before_its_first_node(root):
    root.run_folder("run-1").mkdir(parents=True)
    run = history.find_run(root, None)
    assert (run.state, run.reason) == ("interrupted", "it ended before its first node")


def test_the_main_metric_is_the_optimized_models(root):
    def overall(value):
        return (MetricValues(slice="overall", candidate={"auc": value}),)

    run = RunRecord(run_id="r", state="live", started=0, main_metric="auc", metrics={"Evaluator": overall(0.9)})
    assert run.main_value() == 0.9
    metrics = {"Evaluator": overall(0.9), "OptimizedEvaluator": overall(0.89)}
    assert run.model_copy(update={"metrics": metrics}).main_value() == 0.89


def test_a_summary_survives_writing_and_reading(root):
    run = write(root, "run-1", nodes=(NodeRecord(node="A", state="done", seconds=1.5),), process=(1, 2.0))
    assert run_record.read_summary(root.run_folder("run-1")) == run
    assert list(root.run_folder("run-1").iterdir()) == [root.run_folder("run-1") / run_record.SUMMARY_FILE]


def test_a_list_reads_only_the_summaries_that_it_shows(root, monkeypatch):
    for number in range(200):
        write(root, f"run-{number:04}", started=1000.0 + number)
    read, summaries = [], run_record.read_summary
    monkeypatch.setattr(run_record, "read_summary", lambda folder: read.append(folder.name) or summaries(folder))
    assert [run.run_id for run in history.list_runs(root, 3)] == ["run-0199", "run-0198", "run-0197"]
    assert read == ["run-0199", "run-0198", "run-0197"]
