"""A run is followed through outages and expired tokens."""

from __future__ import annotations

import pytest

from taxiway.pipeline.exit_codes import EXIT_LOST
from taxiway.pipeline.kubeflow import following
from taxiway.pipeline.kubeflow.api_client import KubeflowServer
from taxiway.pipeline.kubeflow.client import credentials


@pytest.fixture()
def follow(backend):
    """Follows run r1 without waiting; what was told, and the pauses."""

    def call(namespace=""):
        call.told, call.pauses = [], []
        return following.follow_run(
            KubeflowServer(backend.url, namespace), "r1", call.told.append, sleep=call.pauses.append
        )

    return call


def test_every_state_is_told_once(backend, follow):
    backend.states = ["PENDING", "RUNNING", "RUNNING", "SUCCEEDED"]
    assert follow().state == "SUCCEEDED"
    assert (follow.told, follow.pauses) == (["pending", "running", "succeeded"], [10, 10, 10])


def test_a_cancelled_run_ends_the_wait(backend, follow):
    backend.states = ["RUNNING", "CANCELING", "CANCELED"]
    assert follow().state == "CANCELED"


@pytest.mark.parametrize(
    "outage", [(503, "upstream connect error"), (500, "database is locked"), (200, "<html>Sign in</html>")]
)
def test_a_gateway_that_does_not_answer_is_asked_again(backend, follow, outage):
    backend.outages = [outage] * 3
    assert follow().state == "SUCCEEDED"
    assert follow.pauses == [10, 20, 40, 10, 10]
    assert "Asking again in 20 s" in follow.told[1]


def test_a_run_out_of_sight_has_not_failed(backend, follow):
    backend.outages = [(503, "upstream connect error")] * 20
    with pytest.raises(following.LostSightError, match="Lost sight of the run r1") as caught:
        follow("team")
    assert caught.value.exit_code == EXIT_LOST == 4
    assert f"taxiway follow r1 --host {backend.url} --namespace team" in str(caught.value)
    assert len(follow.pauses) == following.MAX_FAILURES and max(follow.pauses) == 120


def test_a_connection_that_breaks_is_tried_again(backend, follow, monkeypatch):
    from urllib3.exceptions import ProtocolError

    server, asked = KubeflowServer(backend.url), []
    call_api = server.client.runs.api_client.call_api

    def break_once(*args, **options):
        asked.append(args)
        if len(asked) == 1:
            raise ProtocolError("Connection aborted.")
        return call_api(*args, **options)

    monkeypatch.setattr(server.client.runs.api_client, "call_api", break_once)
    told: list[str] = []
    assert following.follow_run(server, "r1", told.append, sleep=lambda _: None).state == "SUCCEEDED"
    assert "no answer (ProtocolError)" in told[0]


def test_an_expired_token_is_read_again(backend, tmp_path, monkeypatch):
    file = tmp_path / "token"
    file.write_text("old")
    monkeypatch.setenv(credentials.TOKEN_FILE_VARIABLE, str(file))
    backend.token = "old"
    told: list[str] = []

    def renew(_seconds):
        backend.token = "new"
        file.write_text("new")

    status = following.follow_run(KubeflowServer(backend.url), "r1", told.append, sleep=renew)
    assert status.state == "SUCCEEDED"
    assert sum("401" in each for each in told) == 1 and not any("old" in each or "new" in each for each in told)


def test_a_token_file_that_is_gone_is_no_end_of_the_wait(backend, tmp_path, monkeypatch):
    file = tmp_path / "token"
    file.write_text("s3cret")
    monkeypatch.setenv(credentials.TOKEN_FILE_VARIABLE, str(file))
    server, backend.outages = KubeflowServer(backend.url), [(401, "token has expired")]
    file.unlink()
    assert following.follow_run(server, "r1", lambda _: None, sleep=lambda _: None).state == "SUCCEEDED"


def test_a_token_that_nobody_renews(backend, follow):
    backend.outages = [(401, "token has expired")] * 9
    with pytest.raises(following.LostSightError, match="token has expired") as caught:
        follow()
    assert credentials.TOKEN_FILE_VARIABLE in str(caught.value) and len(follow.pauses) == following.MAX_SIGN_INS


def test_a_refusal_is_not_asked_again(backend, follow):
    backend.outages = [(404, "run not found")]
    with pytest.raises(following.LostSightError, match="run not found"):
        follow()
    assert follow.pauses == []
