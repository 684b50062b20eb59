"""The other stack in a root file system of its own, and one root that both stacks write in turn.

The order is that of a user who moves there and back: the other stack trains and pushes, this one reads, serves and goes
on from its model, the other one goes on from this one's.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from taxiway.pipeline.root import Root
from tests.e2e.conftest import Run, snapshot
from tests.stacks.conftest import SMALL, WARM, Sides, compile_there, read_output
from tests.stacks.root_file_system import BUILD_TIMEOUT_SECONDS, StackRoot

pytestmark = [pytest.mark.stack, pytest.mark.timeout(2 * BUILD_TIMEOUT_SECONDS)]

LABEL = "big_tipper"
ROWS = 50
ANSWER_TOLERANCE = 1e-5
AUC_TOLERANCE = 0.02
"""Of one short epoch on rows in another order, and of another from where the first one's model stood."""
UPSTREAM = ("ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "DataGate", "Transform", "Trainer")


@dataclass(frozen=True)
class Moves:
    """What each run left, in their order; the runs of two stacks on one root.

    Attributes:
        first: On the other stack, into an empty root.
        again: On the other stack, with the same arguments.
        onward: On this stack, from the live model of the other one.
        back: On the other stack, from the live model of this one.
    """

    sides: Sides
    first: Run
    again: Run
    onward: Run
    back: Run

    @property
    def serving(self) -> Path:
        return self.sides.root / "serving" / yaml.safe_load(self.sides.config.read_text())["name"]


@pytest.fixture(scope="module")
def moves(sides: Sides) -> Moves:
    started = ("run", sides.config, *SMALL)

    def take(run: Callable[..., str], *arguments: str) -> Run:
        done = subprocess.CompletedProcess([], 0, run(*started, *arguments), "")
        return snapshot(Root.at(sides.root), sides.config, done)

    first = take(sides.there)
    again = take(sides.there, "--force")
    onward = take(sides.here, *WARM)
    back = take(sides.there, *WARM)
    return Moves(sides, first, again, onward, back)


def find_auc(run: Run, who: str = "candidate") -> float:
    return next(each for each in run.summary["metrics"]["Evaluator"] if each["slice"] == "overall")[who]["auc"]


def read_json(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(read_output(done).splitlines()[-1])


def test_every_module_is_imported(other: StackRoot) -> None:
    told = read_json(other.run_python("-m", "tests.stacks.import_all"))
    assert told["modules"] > 400 and told["failed"] == {}


def test_it_compiles_for_kubeflow_and_names_its_own_image(sides: Sides) -> None:
    folder = sides.other.shared / "compiled"
    folder.mkdir()
    pipeline, platform = yaml.safe_load_all(compile_there(sides, folder).read_text())
    executors = pipeline["deploymentSpec"]["executors"].values()
    assert {"Trainer", "ModelOptimizer", "Pusher"} <= set(pipeline["root"]["dag"]["tasks"])
    assert {each["container"]["image"] for each in executors if "container" in each} == {
        f"taxiway:test-{sides.other.stack}"
    }
    mounted = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert len(mounted) >= len(pipeline["root"]["dag"]["tasks"]) - 1


def test_it_pushes_the_taxi_model_with_the_optimizer(moves: Moves) -> None:
    assert moves.first.summary["state"] == "live"
    assert set(moves.first.states.values()) == {"done"}
    status = {variant["variant"]: variant["status"] for variant in moves.first.summary["variants"]}
    assert status == {"reference": "measured", "frozen": "measured"}
    assert find_auc(moves.first) > 0.9


def test_its_second_run_takes_what_did_not_change_from_the_cache(moves: Moves) -> None:
    assert {moves.again.states[node] for node in UPSTREAM} == {"cached"}
    assert moves.again.summary["state"] == "live"


def test_neither_stack_takes_from_the_other_ones_cache(moves: Moves) -> None:
    """Here everything is made; there what its own first run left is used again, though this stack's is newer."""
    assert {moves.onward.states[node] for node in (*UPSTREAM, "Evaluator")} == {"done"}
    assert (moves.back.states["Transform"], moves.back.states["Trainer"]) == ("cached", "done")
    steps = json.loads(moves.sides.there("lineage", "--json"))["steps"]
    runs = {step["node"]: step["run"] for step in steps}
    assert runs["Transform"] == moves.first.summary["run_id"] and runs["Trainer"] == moves.back.summary["run_id"]


@pytest.mark.parametrize(("which", "from_which"), [("onward", "again"), ("back", "onward")])
def test_each_stack_trains_on_from_the_other_ones_model(moves: Moves, which: str, from_which: str) -> None:
    run, before = getattr(moves, which), getattr(moves, from_which)
    history = json.loads((run.artifact("Trainer", "model") / "training" / "history.json").read_text())
    [warm] = [event for event in history["events"] if event["kind"].startswith("warm_start")]
    assert warm["kind"] == "warm_started" and warm["variables"] > 0
    assert run.summary["state"] == "live" and run.versions[-1] > before.versions[-1]
    assert find_auc(run) > find_auc(before) - AUC_TOLERANCE


@pytest.mark.parametrize(("which", "from_which"), [("onward", "again"), ("back", "onward")])
def test_each_stack_judges_against_the_other_ones_live_model(moves: Moves, which: str, from_which: str) -> None:
    """The same model on the same rows: what one TensorFlow says of it, the other one says too."""
    run, before = getattr(moves, which), getattr(moves, from_which)
    assert find_auc(run, "baseline") == pytest.approx(find_auc(before), abs=5e-3)


def test_both_stacks_read_the_same_lineage_and_runs(moves: Moves) -> None:
    told = [json.loads(ask("lineage", "--json")) for ask in (moves.sides.here, moves.sides.there)]
    assert told[0] == told[1] and {step["node"] for step in told[0]["steps"]} >= {"Transform", "Trainer", "Pusher"}
    runs = [json.loads(ask("runs", "--json")) for ask in (moves.sides.here, moves.sides.there)]
    assert runs[0] == runs[1] and [run["state"] for run in runs[0]] == ["live"] * 4


def test_the_record_names_the_stack_of_each_run(moves: Moves) -> None:
    runs = (moves.first, moves.again, moves.onward, moves.back)
    first, again, onward, back = (run.summary["environment"]["packages"]["tfx"] for run in runs)
    assert first == again == back != onward


def test_both_stacks_serve_the_model_with_the_same_answers(moves: Moves) -> None:
    """Over gRPC and REST, both signatures, on both stacks: the live version was pushed by the other one."""
    examples = moves.back.artifact("ExampleGen", "examples") / "Split-eval"
    asked = ["-m", "tests.stacks.ask_server", moves.serving, examples, LABEL, str(ROWS)]
    there = read_json(moves.sides.other.run_python(*asked))
    command = [sys.executable, *map(str, asked)]
    here = read_json(subprocess.run(command, capture_output=True, text=True, timeout=900, check=False))
    assert set(there) == {f"{by} serving_{name}" for by in ("grpc", "rest") for name in ("default", "raw")}
    expected = np.array(there["grpc serving_default"])
    assert len(expected) == ROWS and expected.std() > 0
    for answers in (here, there):
        for values in answers.values():
            np.testing.assert_allclose(values, expected, atol=ANSWER_TOLERANCE)


def test_each_stack_rolls_back_to_the_other_ones_version(moves: Moves) -> None:
    """Last, since it changes what is live: here back to this stack's version, there back to the other one's first."""
    for asked, target in ((moves.sides.there, moves.onward), (moves.sides.here, moves.first)):
        asked("rollback", str(target.versions[-1]))
        listed = json.loads(moves.sides.here("versions", "--json"))
        assert listed == json.loads(moves.sides.there("versions", "--json"))
        digests = {each["version"]: each["digest"] for each in listed}
        [live] = [each for each in listed if each["live"]]
        assert live["provenance"]["rollback_of"] and live["digest"] == digests[target.versions[-1]]
