"""`taxiway submit --every`, `--list`, `--stop`, with kfp's own client."""

from __future__ import annotations

import json

import pytest
import yaml

from taxiway.pipeline import cli
from taxiway.pipeline.kubeflow.page.specification import ALL_ENDED, FINAL_NODE, INNER


@pytest.fixture()
def taxiway(backend, capsys):
    def call(*arguments):
        code = cli.run([*arguments, "--host", backend.url])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_a_schedule_starts_one_run_at_a_time_and_catches_nothing_up(backend, package, taxiway):
    code, out, _ = taxiway("submit", str(package), "--every", "0 6 * * 1", "--param", "epochs=2")
    [run] = backend.schedules.runs
    assert code == 0
    assert run.trigger.cron_schedule.cron == "0 0 6 * * 1"
    assert (run.status, run.no_catchup, run.max_concurrency) == ("ENABLED", True, "1")
    assert (run.display_name, run.experiment_id) == ("taxi", "e0")
    assert run.pipeline_version_reference.pipeline_version_id == "v0"
    assert run.runtime_config["parameters"] == {"epochs": 2}
    assert run.runtime_config["pipeline_root"] == "gs://bucket/root"
    assert f"taxiway submit --stop s0 --host {backend.url}" in out and backend.runs == []


def test_schedules_are_listed_and_stopped(backend, package, taxiway):
    backend.schedules.page_size = 1
    taxiway("submit", str(package), "--every", "@daily")
    taxiway("submit", str(package), "--every", "@hourly", "--name", "often")
    code, out, _ = taxiway("submit", "--list", "--json")
    listed = [(each["id"], each["name"], each["cron"], each["enabled"]) for each in json.loads(out)]
    assert (code, listed) == (0, [("s1", "often", "@hourly", True), ("s0", "taxi", "@daily", True)])
    code, out, _ = taxiway("submit", "--stop", "often")
    assert code == 0 and "starts no further run" in out and backend.schedules.runs[1].status == "DISABLED"
    out = taxiway("submit", "--list")[1]
    assert "stopped" in out and "running" in out
    code, _, error = taxiway("submit", "--stop", "often")
    assert code == 2 and "stopped already" in error
    code, _, error = taxiway("submit", "--stop", "taxy")
    assert code == 2 and "Did you mean 'taxi'" in error


def test_a_second_schedule_of_one_name_is_refused_before_anything_is_sent(backend, package, taxiway):
    taxiway("submit", str(package), "--every", "@daily")
    sent = len(backend.requests)
    code, _, error = taxiway("submit", str(package), "--every", "@weekly")
    assert code == 2 and "taxiway submit --stop s0" in error and "--name" in error
    assert all(method == "GET" for method, _ in backend.requests[sent:])
    assert taxiway("submit", "--stop", "taxi")[0] == 0
    assert taxiway("submit", str(package), "--every", "@weekly")[0] == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "Nothing was given"),
        (("--list", "--stop", "x"), "--list and --stop was given"),
        (("PACKAGE", "--list"), "PACKAGE and --list was given"),
        (("--list", "--every", "@daily"), "--every takes a PACKAGE"),
        (("PACKAGE", "--every", "@daily", "--wait"), "--every takes a PACKAGE and no --wait"),
        (("PACKAGE", "--every", "0 6 * *"), "has 4 fields"),
        (("PACKAGE", "--name", "x"), "--name is the name of a schedule"),
        (("PACKAGE", "--param", "epoch=3"), "Did you mean 'epochs'"),
    ],
)
def test_wrong_usage_sends_nothing(backend, package, taxiway, options, said):
    code, _, error = taxiway("submit", *(str(package) if each == "PACKAGE" else each for each in options))
    assert code == 2 and said in error
    assert not [request for request in backend.requests if request[0] == "POST"]


def test_a_cron_that_the_server_refuses_all_the_same(backend, package, taxiway):
    said = "Failed to create a recurring run: Invalid input error: Schedule cron is not a supported format"
    backend.refuse["POST /apis/v2beta1/recurringruns"] = (400, said)
    code, _, error = taxiway("submit", str(package), "--every", "@daily")
    assert code == 1 and "the schedule 'taxi': 400" in error and "not a supported format" in error


def test_the_last_step_is_uploaded_as_the_exit_of_all_others(backend, package, taxiway):
    documents = list(yaml.safe_load_all(package.read_text()))
    last = {"componentRef": {"name": FINAL_NODE}, "triggerPolicy": {"strategy": ALL_ENDED}}
    documents[0]["root"]["dag"]["tasks"][FINAL_NODE], documents[0]["components"] = last, {}
    package.write_text(yaml.safe_dump_all(documents))
    assert taxiway("submit", str(package))[0] == 0
    [version] = backend.versions
    tasks = version.pipeline_spec["pipeline_spec"]["root"]["dag"]["tasks"]
    assert set(tasks) == {INNER, FINAL_NODE} and tasks[FINAL_NODE]["dependentTasks"] == [INNER]


def test_the_cache_is_switched_off_in_a_version_of_its_own(backend, package, taxiway):
    documents = list(yaml.safe_load_all(package.read_text()))
    documents[0]["root"]["dag"]["tasks"]["ExampleGen"]["cachingOptions"] = {"enableCache": True}
    package.write_text(yaml.safe_dump_all(documents))
    assert taxiway("submit", str(package))[0] == 0
    assert taxiway("submit", str(package), "--no-cache")[0] == 0
    assert taxiway("submit", str(package), "--no-cache")[0] == 0
    cached, uncached = backend.versions
    assert uncached.display_name == f"{cached.display_name}-no-cache"
    options = [
        version.pipeline_spec["pipeline_spec"]["root"]["dag"]["tasks"]["ExampleGen"]["cachingOptions"]
        for version in backend.versions
    ]
    assert options == [{"enableCache": True}, {}]
    references = [run["pipeline_version_reference"]["pipeline_version_id"] for run in backend.runs]
    assert references == ["v0", "v1", "v1"]


def test_runs_of_an_experiment(backend, taxiway, package):
    taxiway("submit", str(package), "--experiment", "mine")
    assert taxiway("runs", "--experiment", "mine")[0] == 0
    assert any("experiment_id=e0" in path for _, path in backend.requests)
    code, _, error = taxiway("runs", "--experiment", "other")
    assert code == 1 and "No experiment is found with name other" in error
    assert cli.run(["runs", "--experiment", "mine"]) == 2
