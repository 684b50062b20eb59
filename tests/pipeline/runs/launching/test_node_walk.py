"""The order of the nodes, with some beside others; any graph, any failure."""

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxiway.pipeline.runs.launching.node_walk import NodeWalk


@st.composite
def graphs(draw):
    names = [f"n{i}" for i in range(draw(st.integers(0, 8)))]
    upstream = {
        name: draw(st.sets(st.sampled_from([*names[:i], "ended before"]), max_size=3)) for i, name in enumerate(names)
    }
    beside = draw(st.sets(st.sampled_from(names))) if names else set()
    return upstream, beside


class Journal:
    """Launches nodes that take a moment, and remembers when and where."""

    def __init__(self, fails=()):
        self.begun, self.ended, self.threads, self.fails = [], [], {}, fails

    def launch(self, node):
        self.begun.append((node, frozenset(self.ended)))
        self.threads[node] = threading.current_thread()
        time.sleep(0.001)
        if node in self.fails:
            raise ValueError(node)
        self.ended.append(node)


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_every_node_begins_once_after_what_it_reads_from(graph):
    upstream, beside = graph
    journal = Journal()
    NodeWalk(upstream, beside).launch_all(journal.launch)
    assert sorted(node for node, _ in journal.begun) == sorted(upstream)
    assert all(upstream[node] - {"ended before"} <= ended for node, ended in journal.begun)
    main = {node for node, thread in journal.threads.items() if thread is threading.main_thread()}
    assert main == set(upstream) - beside


@settings(max_examples=60, deadline=None)
@given(graphs(), st.data())
def test_after_a_failure_none_begins_that_reads_from_it_and_its_error_is_raised(graph, data):
    upstream, beside = graph
    if not upstream:
        return
    fails = data.draw(st.sampled_from(sorted(upstream)))
    journal = Journal({fails})
    with pytest.raises(ValueError, match=fails):
        NodeWalk(upstream, beside).launch_all(journal.launch)
    begun = {node for node, _ in journal.begun}
    assert all(fails not in upstream[node] for node in begun)
    assert set(journal.ended) == begun - {fails}, "what runs beside is let end"


def test_two_really_run_at_a_time():
    together = threading.Barrier(2, timeout=20)
    NodeWalk({"a": set(), "b": set()}, {"a"}).launch_all(lambda _: together.wait())
    with pytest.raises(threading.BrokenBarrierError):
        alone = threading.Barrier(2, timeout=0.1)
        NodeWalk({"a": set(), "b": set()}, ()).launch_all(lambda _: alone.wait())


def test_an_interruption_ends_the_children_of_what_runs_beside(monkeypatch):
    killed = threading.Event()
    monkeypatch.setattr("taxiway.pipeline.runs.launching.node_walk.kill_children", lambda _: killed.set())

    def launch(node):
        if node == "main":
            raise KeyboardInterrupt
        assert killed.wait(20), "it would wait for its child for ever"

    with pytest.raises(KeyboardInterrupt):
        NodeWalk({"beside": set(), "main": set()}, {"beside"}).launch_all(launch)
