from __future__ import annotations

import json
import socket
from pathlib import Path

import kfp_server_api as api
import pytest
import yaml

from components.errors import UsageError
from pipeline.kubeflow import remote
from pipeline.kubeflow.remote import RemoteError, Server, Submission
from tests.pipeline.kubeflow.api_server import ApiServer, serve


@pytest.fixture(autouse=True)
def nobodys_home(tmp_path, monkeypatch):
    """The client keeps a context in the home folder and reads variables."""
    from kfp.client import client

    monkeypatch.setattr(client.Client, "_LOCAL_KFP_CONTEXT", str(tmp_path / "context.json"))
    for name in (remote.TOKEN_VARIABLE, remote.COOKIES_VARIABLE, "KF_PIPELINES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture()
def backend():
    state = ApiServer()
    httpd = serve(state)
    state.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    yield state
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture()
def package(tmp_path) -> Path:
    data = tmp_path / "rows.csv"
    data.write_text("a,b\n1,2\n")
    section = {"runtimeValue": {"constant": json.dumps({"path": str(data)})}}
    text = {"parameterType": "STRING", "defaultValue": ""}
    spec = {
        "pipelineInfo": {"name": "taxi"},
        "schemaVersion": "2.1.0",
        "defaultPipelineRoot": "gs://bucket/root",
        "root": {
            "inputDefinitions": {
                "parameters": {"data_fingerprint": text, "epochs": {"parameterType": "NUMBER_DOUBLE"}}
            },
            "dag": {"tasks": {"ExampleGen": {"inputs": {"parameters": {"data": section}}}}},
        },
    }
    file = tmp_path / "pipeline.yaml"
    file.write_text(yaml.safe_dump(spec))
    return file


def test_a_submission_uploads_a_version_and_starts_a_run(backend, package):
    server = Server(backend.url)
    run_id = server.submit(Submission(package, {"epochs": 3}, service_account="runner", revision="abc123"))
    assert run_id == "r1"
    [body] = backend.runs
    assert body["pipeline_version_reference"] == {"pipeline_id": "p0", "pipeline_version_id": "v0"}
    assert body["runtime_config"]["pipeline_root"] == "gs://bucket/root"  # the backend ignores the file's own
    assert body["runtime_config"]["parameters"]["epochs"] == 3
    assert len(body["runtime_config"]["parameters"]["data_fingerprint"]) == 32
    assert body["service_account"] == "runner"
    assert backend.versions[0].display_name == "abc123"
    assert backend.experiments[0].display_name == "taxiway"


def test_the_same_revision_is_uploaded_once(backend, package):
    server = Server(backend.url)
    server.submit(Submission(package, {}))
    server.submit(Submission(package, {}))
    assert len(backend.versions) == 1 and len(backend.pipelines) == 1 and len(backend.runs) == 2


def test_the_fingerprint_follows_the_data(package):
    spec = remote.specification(package)
    before = remote.seen_data(spec, {})
    Path(package.parent / "rows.csv").write_text("a,b\n1,3\n")
    assert remote.seen_data(spec, {}) != before
    assert remote.seen_data(spec, {"data_path": "/nowhere/x.csv"}) == {}


def test_following_a_run(backend):
    heard: list[str] = []
    assert Server(backend.url).wait("r1", heard.append, sleep=lambda _: None) == "SUCCEEDED"
    assert heard == ["PENDING", "RUNNING", "SUCCEEDED"]


def test_a_failed_run_names_its_tasks_and_their_logs(backend):
    backend.states = ["FAILED"]
    child = api.PipelineTaskDetailChildTask(pod_name="taxi-x-system-container-impl-1")
    backend.failed = [
        api.V2beta1PipelineTaskDetail(
            display_name="Trainer", state="FAILED", error=api.GooglerpcStatus(message="exit 1"), child_tasks=[child]
        ),
        api.V2beta1PipelineTaskDetail(display_name="Transform", state="SUCCEEDED"),
    ]
    server = Server(backend.url)
    assert server.wait("r1", lambda _: None, sleep=lambda _: None) == "FAILED"
    [task] = server.failed_tasks("r1")
    assert (task.name, task.message) == ("Trainer", "exit 1")
    assert "no such column" in server.log("r1", task.pod)


def test_a_cancelled_run_ends_the_wait(backend):
    backend.states = ["RUNNING", "CANCELING", "CANCELED"]
    assert Server(backend.url).wait("r1", lambda _: None, sleep=lambda _: None) == "CANCELED"


def test_runs(backend):
    [run] = Server(backend.url).runs(5)
    assert (run["run_id"], run["name"], run["state"]) == ("r1", "taxi abc", "FAILED")


def test_nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(RemoteError, match="no answer"):
        Server(f"http://127.0.0.1:{port}")


def test_a_host_is_a_url():
    with pytest.raises(UsageError, match="is no URL"):
        Server("localhost:8080")


def test_without_a_token(backend):
    backend.token = "s3cret"
    with pytest.raises(RemoteError, match="401") as caught:
        Server(backend.url)
    assert remote.TOKEN_VARIABLE in str(caught.value)


def test_the_token_is_sent_and_never_said(backend, package, monkeypatch, capfd):
    backend.token = "s3cret"
    monkeypatch.setenv(remote.TOKEN_VARIABLE, "s3cret")
    server = Server(backend.url)
    assert server.submit(Submission(package, {})) == "r1"
    backend.refuse["POST /apis/v2beta1/runs"] = (400, "Invalid input")
    with pytest.raises(RemoteError) as caught:
        server.submit(Submission(package, {}))
    printed = capfd.readouterr()
    assert "s3cret" not in str(caught.value) + printed.out + printed.err + json.dumps(backend.runs)
    assert "s3cret" not in " ".join(path for _, path in backend.requests)


def test_an_experiment_that_is_not_there(backend, package):
    backend.refuse["GET /apis/v2beta1/experiments"] = (404, "ResourceNotFoundError: Experiment not found.")
    with pytest.raises(RemoteError, match=r"the experiment 'mine': 404.*not found"):
        Server(backend.url).submit(Submission(package, {}, experiment="mine"))


def test_a_specification_that_the_server_refuses(backend, package):
    said = "KFP only supports schema version 2.1.0, but the pipeline spec has version 2.0.0"
    backend.refuse["POST /apis/v2beta1/pipelines/upload_version"] = (400, said)
    with pytest.raises(RemoteError, match="only supports schema version"):
        Server(backend.url).submit(Submission(package, {}))
    assert backend.runs == []


def test_a_file_that_is_no_pipeline(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("a: 1\n")
    with pytest.raises(UsageError, match="no compiled pipeline"):
        remote.specification(file)
