"""The client against an API server that answers as Kubeflow Pipelines does."""

from __future__ import annotations

import json
import socket

import pytest
import yaml

from taxiway.components.errors import UsageError
from taxiway.pipeline.kubeflow import submission
from taxiway.pipeline.kubeflow.api_client import KubeflowServer, Submission
from taxiway.pipeline.kubeflow.client import credentials, logs
from taxiway.pipeline.kubeflow.client import package as packages
from taxiway.pipeline.kubeflow.client.server_errors import KubeflowServerError


def test_a_submission_uploads_a_version_and_starts_a_run(backend, package):
    server = KubeflowServer(backend.url)
    run_id = server.submit_run(
        Submission(packages.read_compiled(package), {"epochs": 3}, service_account="runner", revision="abc123")
    )
    assert run_id == "r1"
    [body] = backend.runs
    assert body["pipeline_version_reference"] == {"pipeline_id": "p0", "pipeline_version_id": "v0"}
    assert body["runtime_config"]["pipeline_root"] == "gs://bucket/root"  # the backend ignores the file's own
    assert body["runtime_config"]["parameters"] == {"epochs": 3}
    assert body["service_account"] == "runner"
    assert backend.versions[0].display_name == "abc123"
    assert backend.experiments[0].display_name == "taxiway"


def test_a_file_is_parsed_once(backend, package, monkeypatch):
    """A schema of many columns makes a file of megabytes, which YAML reads for seconds."""
    read, parsed = yaml.safe_load_all, []
    monkeypatch.setattr(packages.yaml, "safe_load_all", lambda text: (parsed.append(text), read(text))[1])
    request = submission.SubmitRequest(package, backend.url, parameters=("epochs=3",), cache=False)
    before = package.read_text()
    assert submission.submit(request) == 0
    assert parsed.count(before) == 1 and package.read_text() == before


def test_the_same_revision_is_uploaded_once(backend, package):
    server = KubeflowServer(backend.url)
    server.submit_run(Submission(packages.read_compiled(package), {}))
    server.submit_run(Submission(packages.read_compiled(package), {}))
    assert len(backend.versions) == 1 and len(backend.pipelines) == 1 and len(backend.runs) == 2


def test_a_revision_is_one_file_for_ever(backend, package):
    """The server keeps the first file of a name: a run of the changed file would be one of the old."""
    server = KubeflowServer(backend.url)
    server.submit_run(Submission(packages.read_compiled(package), {}, revision="one"))
    server.submit_run(Submission(packages.read_compiled(package), {}, revision="one"))
    package.write_text(package.read_text() + "# changed\n")
    with pytest.raises(UsageError, match=r"version 'one' of the pipeline 'taxi' on the server is another file"):
        server.submit_run(Submission(packages.read_compiled(package), {}, revision="one"))
    assert len(backend.runs) == 2
    backend.versions[0].description = "made by hand"
    server.submit_run(Submission(packages.read_compiled(package), {}, revision="one"))


def test_revisions_in_two_namespaces_are_versions_of_one_pipeline_each(backend, package):
    """A pipeline's name is unique in a namespace; the second submission in one used to end with 409."""
    for namespace in ("team", "other", ""):
        server = KubeflowServer(backend.url, namespace)
        for revision in ("one", "two", "two"):
            server.submit_run(Submission(packages.read_compiled(package), {}, namespace=namespace, revision=revision))
    assert [pipeline.namespace for pipeline in backend.pipelines] == ["team", "other", None]
    assert [(version.pipeline_id, version.display_name) for version in backend.versions] == [
        (pipeline, revision) for pipeline in ("p0", "p1", "p2") for revision in ("one", "two")
    ]
    assert [experiment.namespace for experiment in backend.experiments] == ["team", "other", ""]
    assert len(backend.runs) == 9


def test_runs(backend):
    [run] = KubeflowServer(backend.url).list_runs(5)
    assert (run["run_id"], run["name"], run["state"]) == ("r1", "taxi abc", "FAILED")


def test_more_runs_than_a_page_has(backend):
    backend.run_count = 450
    server = KubeflowServer(backend.url)
    for limit, expected in ((20, 20), (200, 200), (300, 300), (999, 450)):
        assert [run["run_id"] for run in server.list_runs(limit)] == [f"r{n + 1}" for n in range(expected)]


def test_nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(KubeflowServerError, match="no answer"):
        KubeflowServer(f"http://127.0.0.1:{port}")


def test_a_host_is_a_url():
    with pytest.raises(UsageError, match="is no URL"):
        KubeflowServer("localhost:8080")


def test_without_a_token(backend):
    backend.token = "s3cret"
    with pytest.raises(KubeflowServerError, match="401") as caught:
        KubeflowServer(backend.url)
    assert credentials.TOKEN_VARIABLE in str(caught.value)


def test_the_token_is_sent_and_never_said(backend, package, monkeypatch, capfd):
    backend.token = "s3cret"
    monkeypatch.setenv(credentials.TOKEN_VARIABLE, "s3cret")
    server = KubeflowServer(backend.url)
    assert server.submit_run(Submission(packages.read_compiled(package), {})) == "r1"
    backend.refuse["POST /apis/v2beta1/runs"] = (400, "Invalid input")
    with pytest.raises(KubeflowServerError) as caught:
        server.submit_run(Submission(packages.read_compiled(package), {}))
    printed = capfd.readouterr()
    assert "s3cret" not in str(caught.value) + printed.out + printed.err + json.dumps(backend.runs)
    assert "s3cret" not in " ".join(path for _, path in backend.requests)


def test_an_experiment_that_is_not_there(backend, package):
    backend.refuse["GET /apis/v2beta1/experiments"] = (404, "ResourceNotFoundError: Experiment not found.")
    with pytest.raises(KubeflowServerError, match=r"the experiment 'mine': 404.*not found"):
        KubeflowServer(backend.url).submit_run(Submission(packages.read_compiled(package), {}, experiment="mine"))


def test_an_archived_experiment_hides_its_runs(backend, package):
    server = KubeflowServer(backend.url)
    server.submit_run(Submission(packages.read_compiled(package), {}))
    backend.experiments[0].storage_state = "ARCHIVED"
    with pytest.raises(UsageError, match="is archived"):
        server.submit_run(Submission(packages.read_compiled(package), {}))
    assert len(backend.runs) == 1


def test_a_specification_that_the_server_refuses(backend, package):
    said = "KFP only supports schema version 2.1.0, but the pipeline spec has version 2.0.0"
    backend.refuse["POST /apis/v2beta1/pipelines/upload_version"] = (400, said)
    with pytest.raises(KubeflowServerError, match="only supports schema version"):
        KubeflowServer(backend.url).submit_run(Submission(packages.read_compiled(package), {}))
    assert backend.runs == []


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\n",
        "",
        "- a\n",
        "pipelineInfo: x\n",
        "pipelineInfo: {name: x}\nroot:\n",
        "pipelineInfo: {}\nroot: {}\n",
    ],
)
def test_a_file_that_is_no_pipeline(tmp_path, text):
    file = tmp_path / "x.yaml"
    file.write_text(text)
    assert packages.make_submitted(text, cache=False) == text
    with pytest.raises(UsageError, match="no compiled pipeline"):
        packages.read_compiled(file)


def test_an_error_is_never_taken_for_a_log(backend):
    """The server answers 200 with an error as JSON, in place of the log or after a part of it."""
    server = KubeflowServer(backend.url)
    with pytest.raises(KubeflowServerError, match='pods "gone" not found'):
        logs.read_log(server, "r1", "gone")
    backend.logs["cut"] = 'first line\n{"error_message": "stream ended", "error_details": "x"}'
    with pytest.raises(KubeflowServerError, match="stream ended"):
        logs.read_log(server, "r1", "cut")
    backend.logs["json"] = '{"error_message": "a line of the component", "step": 3}\n'
    assert logs.read_log(server, "r1", "json") == backend.logs["json"]


def test_a_token_is_read_from_a_file(backend, tmp_path, monkeypatch):
    backend.token = "s3cret"
    (tmp_path / "token").write_text("s3cret\n")
    monkeypatch.setenv(credentials.TOKEN_FILE_VARIABLE, str(tmp_path / "token"))
    assert KubeflowServer(backend.url).fetch_status("r1").state == "PENDING"
    monkeypatch.setenv(credentials.TOKEN_FILE_VARIABLE, str(tmp_path / "none"))
    with pytest.raises(UsageError, match="cannot be read"):
        KubeflowServer(backend.url)
