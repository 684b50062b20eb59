"""One root, killed again and again inside its components, ends with what an undisturbed run makes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking.store.metadata_store import RunStore
from tests.components.processes.test_subprocesses import until
from tests.e2e.conftest import run, taxiway

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3000)]  # ten runs: three minutes on a quiet machine

TIMEOUT_SECONDS = 900
REPOSITORY = Path(__file__).parents[2]


def configuration(folder):
    """A small table and the least work that still goes through every component."""
    chance = np.random.default_rng(0)
    x, color = chance.normal(size=800), chance.choice(["red", "green"], 800)
    y = (x + (color == "red") + chance.normal(0, 0.5, 800) > 0.5).astype(int)
    folder.mkdir(parents=True)
    rows = [f"{a:.4f},{b},{c}" for a, b, c in zip(x, color, y, strict=True)]
    (folder / "rows.csv").write_text("\n".join(["x,color,y", *rows]) + "\n")
    content = {
        "name": "small",
        "data": {"path": "rows.csv"},
        "label": {"column": "y"},
        "model": {"hidden_units": [16]},
        "training": {
            "epochs": 40,
            "global_batch_size": 32,
            "checkpoint": {"every_steps": 100},
            "deterministic": True,
        },
        "evaluation": {"thresholds": {"auc": {"min": 0.7}}},
        "optimization": {
            "variants": ["frozen"],
            "batch_sizes": [1],
            "min_gain": 10.0,  # the reference is chosen whatever is measured
            "measuring": {"rounds": 5, "calls": 2, "seconds": 0.2},
            "bootstrap_samples": 100,
        },
    }
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    finished = run(configuration(folder / "config"), folder / "root", "--to", "Evaluator", "--profile")
    assert finished.code == 0, finished.printed
    return finished


def test_the_trainer_takes_its_imports_from_the_warm_parent(undisturbed):
    if len(os.sched_getaffinity(0)) == 1:
        pytest.skip("one core: every child imports for itself")
    spans = undisturbed.root.run_folder(undisturbed.summary["run_id"]) / "profile.jsonl"
    seconds = {}
    for span in map(json.loads, spans.read_text().splitlines()):
        if span.get("phase") == "import":
            seconds[span["program"]] = seconds.get(span["program"], 0.0) + span["end"] - span["start"]
    warm = seconds["taxiway.components.processes.warm_parent"]
    assert seconds.get("taxiway.components.training.main", 0.0) < warm / 2, seconds


def killed(config, root, node, moment, name):
    """Runs until the signal; returns the process."""
    command = [sys.executable, "-m", "tests.e2e.killed", node, moment, name, "run", str(config), "--root", str(root)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)


def executions(root, node):
    """States of a node's executions in all runs, oldest first."""
    store = RunStore(Root.at(root).metadata)
    return [e.state for run_id in store.list_run_ids() for e in store.list_run_executions(run_id) if e.node == node]


def newest_summary(root):
    return json.loads(sorted(root.glob("runs/*/summary.json"))[-1].read_text())


def versions(root):
    base = root / "serving" / "small"
    return [p for p in base.iterdir() if p.name.isdigit()] if base.exists() else []


def test_a_watch_and_its_run_that_are_killed_at_the_push_leave_one_version_for_their_reason(undisturbed, tmp_path):
    """The successor of the run would begin with the weights that it has just pushed, and push once more."""
    root, config = undisturbed.root.path, undisturbed.config
    then = time.gmtime(time.time() - 120)  # what `--once` looks back is ten minutes; the next moment is tomorrow's
    words = ("watch", config, "--once", "--root", root, "--every", f"{then.tm_min} {then.tm_hour} * * *")
    command, log = [sys.executable, "-m", "taxiway", *map(str, words)], tmp_path / "log"
    with log.open("w") as file, subprocess.Popen(command, cwd=tmp_path, stdout=file, stderr=file) as watch:
        assert until(lambda: versions(root) or watch.poll() is not None, TIMEOUT_SECONDS)
        watch.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(newest_summary(root)["process"][0], signal.SIGKILL)
    [pushed] = versions(root)
    for _ in range(2):
        done = taxiway(*words, cwd=tmp_path)
        assert done.returncode == 0, log.read_text() + done.stdout + done.stderr
    assert versions(root) == [pushed]
    state = json.loads((root / "watch/small/state.json").read_text())
    assert [(each["outcome"], each["attempts"]) for each in state["ended"]] == [("live", 1)] and not state["waiting"]


def test_killed_in_every_way_it_ends_the_same(undisturbed, tmp_path):
    config, root = configuration(tmp_path / "config"), tmp_path / "root"

    done = killed(config, root, "StatisticsGen", "while:artifacts/StatisticsGen/statistics/*/*", "SIGKILL")
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    assert executions(root, "StatisticsGen") == ["RUNNING"], "it had no chance to say a word"

    done = killed(config, root, "Transform", "while:artifacts/Transform/*/*/*", "SIGINT")
    assert done.returncode == 130, done.stdout + done.stderr
    assert "An earlier run died in StatisticsGen" in done.stdout
    assert executions(root, "StatisticsGen") == ["FAILED", "COMPLETE"], "closed by the run after it"
    assert not (root / "artifacts" / "StatisticsGen" / "statistics" / "2").exists(), "its orphans are removed"
    assert executions(root, "Transform") == ["CANCELED"]
    assert "Go on with: taxiway run" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr

    done = killed(config, root, "Trainer", "while:checkpoints/*/step-*", "SIGTERM")
    assert done.returncode == 143, done.stdout + done.stderr
    assert executions(root, "Trainer") == ["CANCELED"]
    assert newest_summary(root)["state"] == "interrupted"
    assert "asked to end" in next(root.glob("checkpoints/*/train.log")).read_text(), "it wrote its checkpoint"

    done = killed(config, root, "Trainer", "while:checkpoints/*/step-*", "SIGKILL")
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    assert not versions(root)

    done = killed(config, root, "Pusher", "after", "SIGKILL")
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    [pushed] = versions(root)
    assert (pushed / "assets.extra" / "manifest.json").is_file(), "what is visible is whole"
    assert executions(root, "Trainer") == ["CANCELED", "FAILED", "COMPLETE"]

    finished = run(config, root)
    assert finished.code == 0, finished.printed
    assert "An earlier run died in Pusher" in finished.printed
    cached = {node for node, state in finished.states.items() if state == "cached"}
    assert cached >= {"ExampleGen", "StatisticsGen", "Transform", "Trainer"}  # a model is live: another baseline
    assert "RUNNING" not in {state for node in finished.states for state in executions(root, node)}
    assert [p.name for p in versions(root)] == [pushed.name], "the same model is not pushed twice"

    history = json.loads((finished.artifact("Trainer", "model") / "training" / "history.json").read_text())
    assert [event for event in history["events"] if event["kind"] == "resumed"], "the restart is recorded"
    mine, theirs = (
        {m["slice"]: m for m in each.summary["metrics"]["Evaluator"]}["overall"]["candidate"]
        for each in (finished, undisturbed)
    )
    assert mine == pytest.approx(theirs, rel=1e-5)
