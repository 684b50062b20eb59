"""The report of a live run does not wait for scores, and says so."""

import threading
import time

import pytest

from taxiway.pipeline.report import build
from taxiway.pipeline.root import Root
from taxiway.pipeline.runs.launching import early_scores


@pytest.fixture
def computing(tmp_path, monkeypatch):
    """A computation that ends when it is told to; what it asks of the real one: root and run."""
    asked, go_on = [], threading.Event()

    def prepare(root, run_id):
        asked.append(run_id)
        assert go_on.wait(20)
        if run_id == "fails":
            raise ValueError("no rows")
        folder = root.run_folder(run_id)
        folder.mkdir(parents=True)
        (folder / early_scores.SCORES_FILE).write_text("{}")

    monkeypatch.setattr(build, "prepare_scores", prepare)
    monkeypatch.setattr(early_scores, "PATIENCE_SECONDS", 0.2)
    yield Root.at(tmp_path), asked, go_on
    go_on.set()


def test_they_begin_once_and_only_when_every_model_is_there(computing):
    root, asked, go_on = computing
    scores = early_scores.EarlyScores(root, "run-1")
    for node, state in (("Trainer", "done"), ("ModelOptimizer", "skipped")):
        scores.note_end(node, state)
    assert scores.find_delay() == "" and not asked
    go_on.set()
    for _ in range(2):
        scores.note_end("ModelOptimizer", "cached")
    assert scores.find_delay() == ""
    assert asked == ["run-1"]


def test_what_is_not_ready_is_not_waited_for(computing):
    root, _, go_on = computing
    scores = early_scores.EarlyScores(root, "run-2")
    scores.note_end("ModelOptimizer", "done")
    started = time.monotonic()
    assert "were not ready; `taxiway report run-2` computes them" in scores.find_delay()
    assert time.monotonic() - started < 3
    go_on.set()


def test_what_failed_is_not_computed_again_by_the_report(computing, capfd):
    root, _, go_on = computing
    go_on.set()
    scores = early_scores.EarlyScores(root, "fails")
    scores.note_end("ModelOptimizer", "done")
    assert "could not be computed, see the log" in scores.find_delay()
    assert "no rows" in capfd.readouterr().err
