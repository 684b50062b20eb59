"""`taxiway doctor --target kfp --host`: release, API, permissions, namespace."""

from __future__ import annotations

import json
import socket

import pytest

from taxiway.components.errors import ConfigError
from taxiway.pipeline import cli, stacks
from taxiway.pipeline.config import load_config
from taxiway.pipeline.kubeflow import commands
from taxiway.pipeline.kubeflow.client import credentials
from taxiway.pipeline.kubeflow.examination import examine as examination
from taxiway.pipeline.kubeflow.examination.examine import examine_server
from taxiway.pipeline.resources import KubeflowConfig

CONFIG = KubeflowConfig()


def examine(backend, namespace=""):
    return {each.name: each for each in examine_server(backend.url, namespace, CONFIG)}


def test_a_server_that_can_run_it(backend):
    found = examine(backend)
    assert found["release"].state == "ok" and found["release"].detail == "2.17.0"
    assert found["API"].state == found["permissions"].state == found["API server"].state == "ok"
    assert not [path for method, path in backend.requests if method != "GET"]


@pytest.mark.parametrize(
    ("tag", "state", "said"),
    [
        ("2.15.2", "ok", "2.15.2"),
        ("2.0.5", "failed", "before 2.1.0"),
        ("1.8.22", "failed", "Upgrade"),
        ("2.5.0", "unknown", "judged by 2.15.0 to 2.17.0"),
        ("2.18.0", "unknown", "judged by 2.15.0 to 2.17.0"),
        ("unknown", "unknown", "names no release ('unknown')"),
        ("", "unknown", "names no release."),
    ],
)
def test_releases(backend, tag, state, said):
    backend.health["tag_name"] = tag
    release = examine(backend)["release"]
    assert release.state == state and said in f"{release.detail} {release.remedy}"


def test_behind_the_page_the_state_has_other_keys(backend):
    backend.health = {"apiServerReady": True, "apiServerTagName": "2.16.1", "apiServerMultiUser": False}
    assert examine(backend)["release"].detail == "2.16.1"
    backend.health = {"apiServerReady": False}  # with status 200
    found = examine(backend)
    assert found["API server"].state == "failed" and "app=ml-pipeline" in found["API server"].remedy
    assert "API" not in found and "release" not in found


def test_several_users_need_a_namespace(backend):
    backend.health["multi_user"] = True
    found = examine(backend)
    assert found["namespace"].state == "failed" and "--namespace" in found["namespace"].remedy and "API" not in found
    found = examine(backend, "team")
    assert (
        "namespace" not in found
        and "auth can-i create runs.pipelines.kubeflow.org -n team" in found["permissions"].remedy
    )


def test_one_user_needs_none(backend):
    assert examine(backend, "team")["namespace"].state == "unknown"


def test_who_may_not_list_is_told_what_and_which_role(backend):
    backend.health["multi_user"] = True
    said = "Failed to authorize with API: PermissionDenied: User 'a@b' is not authorized with reason:  (request: ...)"
    backend.refuse["GET /apis/v2beta1/recurringruns"] = (403, said)
    found = examine(backend, "team")
    assert found["recurring runs"].state == "failed" and "is not authorized" in found["recurring runs"].detail
    assert "kubeflow-edit in team" in found["recurring runs"].remedy
    assert "API" not in found and "runs" not in found


def test_a_server_without_recurring_runs_of_this_api(backend):
    backend.refuse["GET /apis/v2beta1/recurringruns"] = (404, "Not Found")
    assert examine(backend)["recurring runs"].state == "failed"


def test_the_registry_is_asked_for_the_images_of_this_stack(backend, monkeypatch):
    asked = []
    monkeypatch.setattr(examination, "check_image", lambda image, _: asked.append(image))
    monkeypatch.setattr(stacks, "find_installed_stack", lambda: stacks.CURRENT)
    trainer = {"image": "taxiway:1-{stack}-gpu"}
    examine_server(backend.url, "", read_kubeflow(image="taxiway:1-{stack}", components={"Trainer": trainer}))
    examine_server(backend.url, "", read_kubeflow(image="never-pulled:1", default={"image": "taxiway:2-{stack}"}))
    assert asked == ["taxiway:1-current", "taxiway:1-current-gpu", "taxiway:2-current"]
    with pytest.raises(ConfigError, match="is of the stack tf216"):
        examine_server(backend.url, "", read_kubeflow(image="taxiway:1-tf216"))


def read_kubeflow(**settings):
    return KubeflowConfig.model_validate(settings)


def test_who_is_not_signed_in(backend):
    backend.token = "s3cret"
    [server] = [each for each in examine(backend).values() if each.name == "API server"]
    assert server.state == "failed" and credentials.TOKEN_VARIABLE in server.remedy


def test_nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    [server] = [each for each in examine_server(f"http://127.0.0.1:{port}", "", CONFIG) if each.name == "API server"]
    assert server.state == "failed" and "port-forward" in server.remedy


def test_a_page_to_sign_in_is_no_server(backend):
    backend.health = "<html>Sign in</html>"  # with status 200, as identity providers answer
    found = examine(backend)
    assert found["API server"].state == "failed" and credentials.TOKEN_VARIABLE in found["API server"].remedy


def test_the_command_prints_both_parts(backend, capsys, changed, monkeypatch):
    monkeypatch.setattr(commands, "_compile_config", lambda *_: changed(config=load_config()))
    arguments = ["doctor", "--target", "kfp", "--host", backend.url]
    assert cli.run([*arguments, "--json"]) == 1  # the taxi example names no image and no volume
    printed = json.loads(capsys.readouterr().out)
    assert {each["name"]: each["state"] for each in printed["server"]}["image"] == "failed"
    assert any(each["level"] == "refused" for each in printed["pipeline"])
    assert cli.run(["doctor", "--host", backend.url]) == 2
    assert "--target kfp" in capsys.readouterr().err
    assert cli.run(["doctor", "--target", "vertex", "--host", backend.url]) == 2
    assert cli.run(["doctor", "--target", "kfp", "--host", "localhost:8080"]) == 2
