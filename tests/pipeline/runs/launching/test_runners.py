"""The runners on a small real pipeline: order, states, caching, parts, failures; the same on both orchestrators."""

import pytest

from taxiway.components.errors import DataError, UsageError
from taxiway.pipeline.lineage.traversal import INPUTS, OUTPUTS, LineageReader
from taxiway.pipeline.runs.launching import runners
from taxiway.pipeline.tracking.store.metadata_store import RunStore
from tests.pipeline import sample


class Listener:
    """Hooks that remember."""

    def __init__(self):
        self.calls = []
        self.errors = {}

    def node_started(self, node):
        self.calls.append((node, "started"))

    def node_finished(self, node, state, execution_id, seconds):
        assert seconds >= 0
        assert (execution_id is None) == (state == "skipped")
        self.calls.append((node, state))

    def node_failed(self, node, seconds, error):
        self.calls.append((node, "failed"))
        self.errors[node] = error

    def ended(self):
        return {node: state for node, state in self.calls if state != "started"}


def run(root, run_id, orchestrator="local", part=None, never_cached=(), **options):
    ir = runners.compile_pipeline(sample.create(root, **options), run_id, never_cached=never_cached)
    if part:
        part = runners.mark_partial_run(
            ir, part, RunStore(root / "metadata.db") if (root / "metadata.db").exists() else None
        )
    listener = Listener()
    runners.run_compiled(ir, listener, orchestrator)
    return listener, ir, part


@pytest.mark.parametrize("orchestrator", ["local", "beam"])
class TestBoth:
    def test_runs_in_order_under_our_run_id(self, tmp_path, orchestrator):
        listener, ir, _ = run(tmp_path, "run-1", orchestrator)
        assert runners.list_node_ids(ir) == sample.NODES
        assert [call for call in listener.calls if call[1] == "started"] == [(node, "started") for node in sample.NODES]
        assert listener.ended() == dict.fromkeys(sample.NODES, "done")
        store = RunStore(tmp_path / "metadata.db")
        assert store.list_run_ids() == ["run-1"]
        assert [(e.node, e.state) for e in store.list_run_executions("run-1")] == [
            (node, "COMPLETE") for node in sample.NODES
        ]

    def test_skips_what_is_behind_a_gate(self, tmp_path, orchestrator):
        listener, _, _ = run(tmp_path, "run-1", orchestrator, passed=0)
        assert listener.ended() == {"Rows": "done", "Gate": "done", "Work": "skipped", "Last": "skipped"}

    def test_what_was_skipped_is_forgotten_with_the_run(self, tmp_path, orchestrator):
        run(tmp_path / "first", "run-1", orchestrator, passed=0)
        assert runners._beam_states == {}
        listener, _, _ = run(tmp_path / "second", "run-1", orchestrator)
        assert listener.ended() == dict.fromkeys(sample.NODES, "done")

    def test_raises_the_nodes_own_error(self, tmp_path, orchestrator):
        with pytest.raises(DataError, match="has no column 'x'"):
            run(tmp_path, "run-1", orchestrator, fail="usage")
        [execution] = RunStore(tmp_path / "metadata.db").list_run_executions("run-1")
        assert (execution.node, execution.state) == ("Rows", "FAILED")

    def test_second_run_comes_from_the_cache_except_what_never_does(self, tmp_path, orchestrator):
        run(tmp_path, "run-1", orchestrator)
        listener, _, _ = run(tmp_path, "run-2", orchestrator, never_cached={"Work"})
        assert listener.ended() == {"Rows": "cached", "Gate": "cached", "Work": "done", "Last": "done"}

    def test_a_new_verdict_that_says_the_same_runs_nothing_behind_it(self, tmp_path, orchestrator):
        run(tmp_path, "run-1", orchestrator, passed=1)
        listener, _, _ = run(tmp_path, "run-2", orchestrator, passed=2)
        assert listener.ended() == {"Rows": "cached", "Gate": "done", "Work": "cached", "Last": "cached"}
        reader = LineageReader.open_file(tmp_path / "metadata.db")
        gate, work = (
            next(each.id for each in reader.get_executions(reader.list_run_executions("run-2")) if each.name == name)
            for name in ("Gate", "Work")
        )
        [written] = reader.get_execution_events([gate], OUTPUTS)
        assert written.artifact_id in {event.artifact_id for event in reader.get_execution_events([work], INPUTS)}
        listener, _, _ = run(tmp_path, "run-3", orchestrator, passed=0)
        assert listener.ended()["Work"] == "skipped"

    def test_a_part_reads_an_earlier_run(self, tmp_path, orchestrator):
        run(tmp_path, "run-1", orchestrator, cache=False)
        listener, ir, part = run(tmp_path, "run-2", orchestrator, runners.PartialRun("Work", "Work"), cache=False)
        assert listener.ended() == {"Work": "done"}
        assert part.base_run == "run-1"
        assert runners.find_left_out(ir) == {"Rows": True, "Gate": True, "Last": False}


def test_other_code_is_a_cache_miss(tmp_path):
    def states(run_id, code):
        ir = runners.compile_pipeline(sample.create(tmp_path), run_id)
        runners.add_to_cache_keys(ir, {"Work": code})
        listener = Listener()
        runners.run_compiled(ir, listener)
        return listener.ended()

    assert set(states("run-1", "a").values()) == {"done"}
    assert set(states("run-2", "a").values()) == {"cached"}
    assert states("run-3", "b") == {"Rows": "cached", "Gate": "cached", "Work": "done", "Last": "done"}


def test_executors_are_named_by_their_class(tmp_path):
    ir = runners.compile_pipeline(sample.create(tmp_path), "run-1")
    assert runners.list_executors(ir)["Rows"] == "tests.pipeline.sample.Rows_Executor"


def test_failed_hook_is_told_the_error(tmp_path):
    ir = runners.compile_pipeline(sample.create(tmp_path, fail="bug"), "run-1")
    listener = Listener()
    with pytest.raises(ZeroDivisionError):
        runners.run_compiled(ir, listener)
    assert listener.ended() == {"Rows": "failed"}
    assert isinstance(listener.errors["Rows"], ZeroDivisionError)


def test_a_part_passes_over_runs_that_lack_what_it_reads(tmp_path):
    run(tmp_path, "run-1", cache=False)
    run(tmp_path, "run-2", passed=0, cache=False)
    _, _, part = run(tmp_path, "run-3", part=runners.PartialRun("Last"), cache=False)
    assert part.base_run == "run-1"


def test_a_part_from_the_beginning_needs_no_earlier_run(tmp_path):
    listener, _, part = run(tmp_path, "run-1", part=runners.PartialRun(None, "Gate"))
    assert listener.ended() == {"Rows": "done", "Gate": "done"}
    assert part.base_run is None


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (runners.PartialRun("Work"), "No earlier run under this root completed Gate, Rows"),
        (runners.PartialRun("Work", "Rows"), "--from Work comes after --to Rows"),
    ],
)
def test_impossible_parts_are_refused(tmp_path, part, message):
    with pytest.raises(UsageError, match=message):
        run(tmp_path, "run-1", part=part)
