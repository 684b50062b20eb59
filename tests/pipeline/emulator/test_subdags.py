"""A pipeline inside the pipeline with an exit task, as kfp's and TFX's exit handlers compile."""

from __future__ import annotations

import copy

import pytest

from taxiway.pipeline.emulator.commands import choose_exit_code
from taxiway.pipeline.emulator.errors import RefusedError
from taxiway.pipeline.emulator.package import read_package
from taxiway.pipeline.emulator.run import EmulationSettings, emulate_run
from taxiway.pipeline.emulator.subdags import EmulatorLimitError
from tests.pipeline.emulator.sample import component, container, text, two_tasks

TEXT = {"parameterType": "STRING"}
LAST = """
import json, os, sys
invocation = json.loads(sys.argv[1])
[told] = invocation["outputs"]["artifacts"]["told"]["artifacts"]
path = told.get("customPath") or told["uri"].replace("minio://", "/minio/")
open(path, "w").write(invocation["inputs"]["parameterValues"]["text"])
"""


def with_exit() -> dict:
    """`make` and `use` in an inner pipeline, then `last`, which writes what it was given."""
    spec = two_tasks()
    inner = spec["root"]["dag"]["tasks"]
    inner["make"]["inputs"]["parameters"]["text"] = {"componentInputParameter": "inner_words"}
    spec["components"]["inner"] = {
        "inputDefinitions": {"parameters": {"inner_words": TEXT}},
        "dag": {"tasks": inner},
    }
    spec["components"]["last"] = component("last", {"parameters": {"text": TEXT}}, ("told",))
    spec["deploymentSpec"]["executors"]["last_executor"] = container(LAST, "{{$}}")
    words = {"componentInputParameter": "words"}
    spec["root"]["dag"]["tasks"] = {
        "all": {"componentRef": {"name": "inner"}, "inputs": {"parameters": {"inner_words": words}}},
        "last": {
            "componentRef": {"name": "last"},
            "dependentTasks": ["all"],
            "triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
            "inputs": {"parameters": {"text": words}},
        },
    }
    return spec


def run(tmp_path, spec, **settings):
    return emulate_run(text(spec), EmulationSettings(folder=tmp_path, sleep=lambda _: None, **settings))


def states(result):
    return {name: task.state for name, task in result.tasks.items()}


def read_told(tmp_path, result):
    return (tmp_path / "objects" / result.outputs["last"]["told"]["uri"].replace("://", "/")).read_text()


def test_inner_tasks_take_the_parameters_that_the_root_gives_their_pipeline(tmp_path):
    result = run(tmp_path, with_exit(), parameters={"words": "given"})
    assert states(result) == {"make": "succeeded", "use": "succeeded", "last": "succeeded"}, result.tasks
    uri = result.outputs["use"]["copy"]["uri"]
    assert (tmp_path / "objects" / uri.replace("://", "/") / "data").read_text() == "given copied"
    assert read_told(tmp_path, result) == "given"
    assert choose_exit_code(result) == 0


def test_the_exit_task_runs_after_a_gate_that_blocks(tmp_path):
    spec = with_exit()
    spec["deploymentSpec"]["executors"]["make_executor"]["container"]["args"][-1] = "0"
    result = run(tmp_path, spec)
    assert states(result) == {"make": "succeeded", "use": "skipped", "last": "succeeded"}
    assert read_told(tmp_path, result) == "hello"
    assert result.succeeded and choose_exit_code(result) == 3


def test_the_exit_task_runs_after_a_task_that_fails(tmp_path):
    spec = with_exit()
    spec["deploymentSpec"]["executors"]["make_executor"] = container("raise SystemExit(7)", "{{$}}")
    result = run(tmp_path, spec)
    assert states(result) == {"make": "failed", "use": "omitted", "last": "succeeded"}
    assert not result.succeeded and choose_exit_code(result) == 1


def test_an_exit_task_that_fails_changes_nothing(tmp_path):
    spec = with_exit()
    spec["deploymentSpec"]["executors"]["last_executor"] = container("raise SystemExit(7)", "{{$}}")
    result = run(tmp_path, spec)
    assert states(result)["last"] == "failed"
    assert result.succeeded and choose_exit_code(result) == 0


def test_a_parameter_that_the_root_does_not_hand_on_fails_the_task(tmp_path):
    spec = with_exit()
    del spec["root"]["dag"]["tasks"]["all"]["inputs"]
    result = run(tmp_path, spec)
    assert "parent DAG does not have input parameter inner_words" in result.tasks["make"].reason


def two_of_one_name(spec):
    spec["root"]["dag"]["tasks"]["make"] = copy.deepcopy(spec["components"]["inner"]["dag"]["tasks"]["make"])


def exit_of_a_container(spec):
    spec["root"]["dag"]["tasks"]["last"]["dependentTasks"] = ["make"]


def inner_condition(spec):
    spec["root"]["dag"]["tasks"]["all"]["triggerPolicy"] = {"condition": "true"}


def inner_exit(spec):
    tasks = spec["components"]["inner"]["dag"]["tasks"]
    tasks["use"]["triggerPolicy"] = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (two_of_one_name, "two tasks are called make"),
        (exit_of_a_container, "last is the exit of make"),
        (inner_condition, "all is a pipeline inside the pipeline with a condition"),
        (inner_exit, "use is an exit task of an inner pipeline"),
    ],
)
def test_what_the_emulator_has_not_is_said(change, words):
    spec = with_exit()
    change(spec)
    with pytest.raises(EmulatorLimitError, match=words):
        read_package(text(spec))


def test_an_inner_pipeline_of_exit_tasks_alone_is_refused():
    spec = with_exit()
    for task in spec["components"]["inner"]["dag"]["tasks"].values():
        task["triggerPolicy"] = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    with pytest.raises(RefusedError, match="must contain one or more non-exit tasks"):
        read_package(text(spec))


def test_a_component_that_is_missing_inside_is_refused():
    spec = with_exit()
    spec["components"]["inner"]["dag"]["tasks"]["use"]["componentRef"]["name"] = "gone"
    with pytest.raises(RefusedError, match="gone"):
        read_package(text(spec))
