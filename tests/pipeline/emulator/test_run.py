"""Whole emulated runs of a small pipeline: order, conditions, cache, retries, artifacts."""

from __future__ import annotations

from typing import Any

import pytest

from taxiway.pipeline.emulator.commands import choose_exit_code
from taxiway.pipeline.emulator.errors import RefusedError
from taxiway.pipeline.emulator.run import EmulationSettings, emulate_run
from tests.pipeline.emulator.sample import component, container, text, two_tasks


def run(tmp_path, spec, executors=None, **settings):
    waits: list[float] = []
    result = emulate_run(
        text(spec, **(executors or {})), EmulationSettings(folder=tmp_path, sleep=waits.append, **settings)
    )
    return result, waits


def stored(tmp_path, result, task, key):
    uri = result.outputs[task][key]["uri"]
    return (tmp_path / "objects" / uri.replace("://", "/") / "data").read_text()


def states(result):
    return {name: task.state for name, task in result.tasks.items()}


def test_artifacts_go_from_task_to_task_through_the_object_store(tmp_path):
    result, _ = run(tmp_path, two_tasks())
    assert states(result) == {"make": "succeeded", "use": "succeeded"}, result
    assert stored(tmp_path, result, "use", "copy") == "hello copied"
    uri = result.outputs["make"]["model"]["uri"]
    assert uri.startswith(f"minio://mlpipeline/v2/artifacts/sample/{result.run_id}/make/") and uri.endswith("/model")
    assert choose_exit_code(result) == 0


LOOK = """
import json, os, sys
[logs] = json.loads(sys.argv[1])["outputs"]["artifacts"]["executor-logs"]["artifacts"]
assert logs["type"] == {"schemaTitle": "system.Artifact"}, logs
assert os.path.isfile(logs.get("customPath") or logs["uri"].replace("minio://", "/minio/")), "not there yet"
print("said by the container")
"""


def test_every_task_has_the_output_of_its_logs(tmp_path):
    spec = two_tasks()
    spec["components"]["look"] = component("look")
    spec["deploymentSpec"]["executors"]["look_executor"] = container(LOOK, "{{$}}")
    spec["root"]["dag"]["tasks"] = {"look": {"componentRef": {"name": "look"}}}
    result, _ = run(tmp_path, spec)
    assert states(result) == {"look": "succeeded"}, result.tasks
    uri = result.outputs["look"]["executor-logs"]["uri"]
    assert uri.endswith("/executor-logs-0")
    assert (tmp_path / "objects" / uri.replace("://", "/")).read_text() == "said by the container\n"


def test_a_cluster_may_publish_no_logs(tmp_path):
    result, _ = run(tmp_path, two_tasks(), publish_logs=False)
    assert set(result.outputs["make"]) == {"model"}


def test_a_condition_that_does_not_hold_skips_and_omits_what_follows(tmp_path):
    spec = two_tasks()
    spec["deploymentSpec"]["executors"]["make_executor"]["container"]["args"][-1] = "0"
    spec["components"]["last"] = component("last")
    spec["deploymentSpec"]["executors"]["last_executor"] = container("pass")
    last = {"componentRef": {"name": "last"}, "dependentTasks": ["use"]}
    spec["root"]["dag"]["tasks"]["last"] = last
    result, _ = run(tmp_path, spec)
    assert states(result) == {"make": "succeeded", "use": "skipped", "last": "omitted"}
    assert result.succeeded and choose_exit_code(result) == 3


def test_a_condition_on_what_is_not_there_fails_the_run(tmp_path):
    spec = two_tasks()
    spec["root"]["dag"]["tasks"]["use"]["triggerPolicy"]["condition"] = (
        "inputs.artifacts['model'].artifacts[0].metadata['blessed'] == 1.0"
    )
    result, _ = run(tmp_path, spec)
    assert not result.succeeded and choose_exit_code(result) == 1
    assert "no such key: blessed" in result.tasks["use"].reason
    assert "backend/src/v2/expression/expression.go" in result.tasks["use"].reason


def test_the_second_run_is_served_from_the_cache_and_a_parameter_is_a_miss(tmp_path):
    first, _ = run(tmp_path, two_tasks())
    second, _ = run(tmp_path, two_tasks())
    assert states(second) == {"make": "cached", "use": "cached"}
    assert second.outputs == first.outputs
    third, _ = run(tmp_path, two_tasks(), parameters={"words": "other"})
    assert states(third) == {"make": "succeeded", "use": "succeeded"}
    assert stored(tmp_path, third, "use", "copy") == "other copied"


def test_a_server_without_cache_runs_everything(tmp_path):
    run(tmp_path, two_tasks())
    assert set(states(run(tmp_path, two_tasks(), cache=False)[0]).values()) == {"succeeded"}


def fail_and_retry(spec, **policy):
    spec["deploymentSpec"]["executors"]["make_executor"] = container("import sys; sys.exit(3)")
    spec["root"]["dag"]["tasks"]["make"]["retryPolicy"] = {"backoffMaxDuration": "3600s", **policy}
    return spec


def test_retries_wait_longer_each_time_and_the_last_failure_is_told(tmp_path):
    spec = fail_and_retry(two_tasks(), maxRetryCount=3, backoffDuration="10s", backoffFactor=2)
    result, waits = run(tmp_path, spec)
    assert waits == [10, 20, 40]
    assert states(result) == {"make": "failed", "use": "omitted"}
    assert "ended with 3" in result.tasks["make"].reason and "No more retries left" in result.tasks["make"].reason


def test_every_try_has_a_log_of_its_own(tmp_path):
    run(tmp_path, fail_and_retry(two_tasks(), maxRetryCount=1, backoffDuration="1s"))
    logs = (tmp_path / "objects" / "minio").rglob("executor-logs-*")
    assert sorted(path.name for path in logs) == ["executor-logs-0", "executor-logs-1"]


def test_a_later_try_is_ended_at_the_deadline_that_counts_from_the_first_ones_start(tmp_path):
    spec = fail_and_retry(two_tasks(), maxRetryCount=1, backoffDuration="1s", backoffMaxDuration="100s")
    flag = tmp_path / "tried"
    again = f"if os.path.exists({str(flag)!r}): time.sleep(600)"
    slow = f"import os, sys, time\n{again}\nopen({str(flag)!r}, 'w')\nsys.exit(3)"
    spec["deploymentSpec"]["executors"]["make_executor"] = container(slow)
    times = iter((0.0, 98.0, 98.5, 100.5))  # first start, its failure, what is left for the second try, its failure
    result, _ = run(tmp_path, spec, clock=lambda: next(times))
    assert "longer than the specified deadline (1.5 s)" in result.tasks["make"].reason


@pytest.mark.parametrize("release", ["2.17", "without-mlmd"])
def test_a_retry_that_works_is_a_success(tmp_path, release):
    flag = tmp_path / "tried"
    spec = two_tasks()
    args = spec["deploymentSpec"]["executors"]["make_executor"]["container"]["args"]
    args[0] = (
        f"import os, sys\nif not os.path.exists({str(flag)!r}):\n open({str(flag)!r}, 'w'); sys.exit(1)\n{args[0]}"
    )
    spec["root"]["dag"]["tasks"]["make"]["retryPolicy"] = {
        "maxRetryCount": 2, "backoffDuration": "1s", "backoffMaxDuration": "60s"
    }  # fmt: skip
    result, waits = run(tmp_path, spec, release=release)
    assert result.tasks["make"].state == "succeeded" and result.tasks["make"].tries == 2 and waits == [1]


def test_a_pod_past_its_deadline_is_ended(tmp_path):
    spec = two_tasks()
    spec["deploymentSpec"]["executors"]["make_executor"] = container("import time; time.sleep(1200)")
    result, _ = run(tmp_path, spec, {"make": {"activeDeadlineSeconds": "1"}})
    assert "longer than the specified deadline" in result.tasks["make"].reason


def test_secrets_come_from_the_environment_and_nothing_else_does(tmp_path, monkeypatch):
    monkeypatch.setenv("TAXIWAY_TEST_TOKEN", "t0ken")
    monkeypatch.setenv("TAXIWAY_TEST_OTHER", "leaks")
    spec = two_tasks()
    code = (
        "import os; assert os.environ['TAXIWAY_TEST_TOKEN'] == 't0ken'; assert 'TAXIWAY_TEST_OTHER' not in os.environ"
    )
    spec["deploymentSpec"]["executors"]["make_executor"] = container(code)
    secret = [{"secretName": "s", "keyToEnv": [{"secretKey": "k", "envVar": "TAXIWAY_TEST_TOKEN"}]}]
    result, _ = run(tmp_path, spec, {"make": {"secretAsEnv": secret}})
    assert result.tasks["make"].state == "succeeded"
    monkeypatch.delenv("TAXIWAY_TEST_TOKEN")
    result, _ = run(tmp_path, spec, {"make": {"secretAsEnv": secret}}, cache=False)
    assert "set TAXIWAY_TEST_TOKEN" in result.tasks["make"].reason


def test_placeholders_of_the_driver(tmp_path):
    spec = two_tasks()
    make = spec["root"]["dag"]["tasks"]["make"]
    make["inputs"]["parameters"]["run"] = {"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}}
    spec["deploymentSpec"]["executors"]["make_executor"]["container"]["args"][2] = "{{$.inputs.parameters['run']}}"
    result, _ = run(tmp_path, spec)
    assert stored(tmp_path, result, "make", "model") == result.run_id


@pytest.mark.parametrize("root", ["/data", "file:///data", "hdfs://a/b"])
def test_roots_that_the_launcher_cannot_open(tmp_path, root):
    with pytest.raises(RefusedError, match=r"objectstore/config\.go"):
        run(tmp_path, two_tasks(), pipeline_root=root)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [({"word": "x"}, "not required by pipeline: word"), ({"words": 3}, "requires type string")],
)
def test_parameters_that_the_api_server_refuses(tmp_path, parameters, said):
    with pytest.raises(RefusedError, match=said):
        run(tmp_path, two_tasks(), parameters=parameters)


WRITE_PARAMETER = """
import json, sys
[(name, place)] = json.loads(sys.argv[1])["outputs"]["parameters"].items()
open(place["outputFile"], "w").write(sys.argv[2])
"""


def tell_and_make(kind: str = "STRING") -> dict[str, Any]:
    """`tell` writes a parameter, which `make` takes as its text."""
    spec = two_tasks()
    tasks = spec["root"]["dag"]["tasks"]
    del tasks["use"]
    told = {"parameters": {"told": {"parameterType": kind}}}
    spec["components"]["tell"] = {"executorLabel": "tell_executor", "outputDefinitions": told}
    spec["deploymentSpec"]["executors"]["tell_executor"] = container(WRITE_PARAMETER, "{{$}}", "12")
    caching = {"cachingOptions": {"enableCache": True}}
    tasks["tell"] = {"taskInfo": {"name": "tell"}, "componentRef": {"name": "tell"}, **caching}
    source = {"producerTask": "tell", "outputParameterKey": "told"}
    tasks["make"]["inputs"]["parameters"]["text"] = {"taskOutputParameter": source}
    return spec


@pytest.mark.parametrize("kind", ["STRING", "NUMBER_INTEGER"])
def test_a_parameter_of_a_task_reaches_the_next_one_and_its_cache_key(tmp_path, kind):
    spec = tell_and_make(kind)
    result, _ = run(tmp_path, spec)
    assert stored(tmp_path, result, "make", "model") == "12"
    cached, _ = run(tmp_path, spec)
    assert {name: task.state for name, task in cached.tasks.items()} == {"tell": "cached", "make": "cached"}
    spec["deploymentSpec"]["executors"]["tell_executor"]["container"]["args"][2] = "13"
    changed, _ = run(tmp_path, spec)
    assert stored(tmp_path, changed, "make", "model") == "13"


def test_a_parameter_that_is_not_written_fails_its_task(tmp_path):
    spec = tell_and_make()
    spec["deploymentSpec"]["executors"]["tell_executor"] = container("pass")
    result, _ = run(tmp_path, spec)
    assert 'failed to read output parameter name="told"' in result.tasks["tell"].reason
    assert result.tasks["make"].state == "omitted"
