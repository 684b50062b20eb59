"""A candidate behind the embedded server: who is answered by it, and what the comparison with a shadow finds."""

from __future__ import annotations

import concurrent.futures
import json
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taxiway.components.serving.config import ServingConfig
from taxiway.components.serving.requests.clients import GrpcClient
from taxiway.components.serving.requests.from_examples import RequestBuilder
from taxiway.components.serving.server.api import compute_split_point
from taxiway.components.serving.server.embedded import EmbeddedServer, ServerOptions
from taxiway.components.serving.server.shadow import OutputDifference
from taxiway.components.serving.versions import push
from taxiway.components.serving.versions.candidates import changes
from taxiway.components.serving.versions.directory import ServingDirectory
from tests.components.serving import models
from tests.components.serving.server.test_request_records import get, sum_samples, wait_until_ready

ROWS = models.rows(8)
LIVE, CANDIDATE = 10, 9
WEIGHT = 0.35


@pytest.fixture(scope="module")
def candidate_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.write_model(tmp_path_factory.mktemp("candidates") / "taxi", weight=WEIGHT)


@pytest.fixture
def base(tmp_path: Path, taxi_model: Path) -> Path:
    ServingDirectory(tmp_path / "taxi", clock=lambda: float(LIVE)).push(taxi_model, {})
    return tmp_path / "taxi"


@pytest.fixture
def server(base: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer("taxi", base, ServerOptions(rest_port=0, grpc_port=0, poll_seconds=0.05)) as started:
        wait_until_ready(url_of(started))
        yield started


def url_of(server: EmbeddedServer) -> str:
    return f"http://127.0.0.1:{server.rest_port}"


def add_candidate(base: Path, model: Path, server: EmbeddedServer, policy: str, share: float) -> ServingDirectory:
    directory = ServingDirectory(base, clock=time.time)
    config = ServingConfig.model_validate({"promotion": policy})
    assert directory.push(model, {}, trial=push.make_trial(config)).version == CANDIDATE
    changes.set_share(directory, share)
    wait_for_state(server, share)
    return directory


def wait_for_state(server: EmbeddedServer, share: float) -> None:
    for _ in range(400):
        candidate = server.repository._candidate
        if candidate and candidate.share == share and server.repository._is_available(CANDIDATE):
            return
        time.sleep(0.05)
    raise AssertionError("the server did not see the candidate")


def ask(server: EmbeddedServer, rows: list[dict[str, Any]], request_id: str = "", path: str = "taxi") -> list[float]:
    columns = {"fare_usd": ("Fare (USD)", 0.0), "company": ("company", ""), "seats": ("seats", -1)}
    instances = [{name: row.get(*place) for name, place in columns.items()} for row in rows]
    body = json.dumps({"signature_name": "serving_raw", "instances": instances}).encode()
    headers = {"X-Request-Id": request_id} if request_id else {}
    request = urllib.request.Request(f"{url_of(server)}/v1/models/{path}:predict", body, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        predictions = json.load(answer)["predictions"]
    return [each["probabilities"][0] for each in predictions]


def find_answerer(scores: list[float], rows: list[dict[str, Any]]) -> int:
    for number, weight in ((LIVE, 0.25), (CANDIDATE, WEIGHT)):
        if np.allclose(scores, [models.probability(row, weight) for row in rows], atol=1e-5):
            return number
    raise AssertionError("nobody's answer")


def test_a_canary_answers_its_share_by_request_id_and_more_of_the_same(
    base: Path, candidate_model: Path, server: EmbeddedServer
) -> None:
    directory = add_candidate(base, candidate_model, server, "canary", 0.25)
    ids = [f"request {number}" for number in range(200)]

    def find_chosen() -> set[str]:
        return {each for each in ids if find_answerer(ask(server, ROWS[:1], each), ROWS[:1]) == CANDIDATE}

    chosen = find_chosen()
    assert chosen == {each for each in ids if compute_split_point(each.encode()) < 0.25} == find_chosen()
    assert 30 < len(chosen) < 70
    assert find_answerer(ask(server, ROWS, "x", "taxi/labels/canary"), ROWS) == CANDIDATE
    assert find_answerer(ask(server, ROWS, min(chosen), f"taxi/versions/{LIVE}"), ROWS) == LIVE
    changes.set_share(directory, 0.5)
    wait_for_state(server, 0.5)
    assert chosen < find_chosen(), "who was answered by it still is"
    text = get(url_of(server) + "/metrics")[1]
    name = ":tensorflow:serving:request_count"
    counts = {number: sum_samples(text, name, model_version=str(number)) for number in (LIVE, CANDIDATE)}
    assert counts[CANDIDATE] == 2 * len(chosen) + 1 + len(find_chosen()) and counts[LIVE] > 200
    changes.withdraw_candidate(directory, reason="test")
    for _ in range(200):
        if not server.repository.has_candidate:
            break
        time.sleep(0.05)
    assert {find_answerer(ask(server, ROWS, each), ROWS) for each in ids[:50]} == {LIVE}


def test_without_an_id_the_same_request_is_answered_by_the_same_version_over_grpc_too(
    base: Path, candidate_model: Path, server: EmbeddedServer
) -> None:
    add_candidate(base, candidate_model, server, "canary", 0.5)
    answerers = Counter()
    client = GrpcClient(f"127.0.0.1:{server.grpc_port}", "taxi")
    rows = models.rows(60, seed=1)
    builder = RequestBuilder.from_examples([models.example(row) for row in rows], candidate_model, "tip")
    for number, row in enumerate(rows):
        request = builder.build_request("serving_raw", slice(number, number + 1))
        found = {find_answerer(client.predict("serving_raw", request)["probabilities"][:, 0], [row]) for _ in range(2)}
        assert len(found) == 1
        answerers.update(found)
        assert len({find_answerer(ask(server, [row]), [row]) for _ in range(2)}) == 1
    assert answerers[CANDIDATE] > 10 and answerers[LIVE] > 10


def test_a_shadow_is_compared_and_answers_nobody(base: Path, candidate_model: Path, server: EmbeddedServer) -> None:
    add_candidate(base, candidate_model, server, "shadow", 1.0)
    for start in range(20):
        rows = models.rows(8, seed=start)
        assert find_answerer(ask(server, rows), rows) == LIVE
    figures = wait_for_figures(base, 20)
    assert (figures["candidate"], figures["live"], figures["rows"]) == (CANDIDATE, LIVE, 160)
    assert (figures["failed"], figures["dropped"]) == (0, 0)
    rows = [row for start in range(20) for row in models.rows(8, seed=start)]
    ours, theirs = (np.array([models.probability(row, weight) for row in rows]) for weight in (0.25, WEIGHT))
    scores = figures["outputs"]["probabilities"]
    assert scores["mean_difference"] == pytest.approx(np.abs(ours - theirs).mean(), rel=1e-4)
    assert scores["max_difference"] == pytest.approx(np.abs(ours - theirs).max(), rel=1e-4)
    assert figures["equal_labels"] == np.count_nonzero((ours > 0.5) == (theirs > 0.5)) < figures["labelled_rows"] == 160
    for side in ("live", "candidate"):
        assert 0 < figures["latency_ms"][side]["p50"] <= figures["latency_ms"][side]["p99"]
    text = get(url_of(server) + "/metrics")[1]
    name = "taxiway_serving_shadow_requests_total"
    assert sum_samples(text, name, model_version=str(CANDIDATE), outcome="compared") == 20
    agreement = sum_samples(text, "taxiway_serving_shadow_label_agreement")
    assert agreement == pytest.approx(figures["equal_labels"] / 160)


def wait_for_figures(base: Path, requests: int) -> dict[str, Any]:
    for _ in range(200):
        for file in (base / "rollout").glob("shadow-*.json"):
            figures: dict[str, Any] = json.loads(file.read_text())
            if figures["requests"] + figures["failed"] + figures["dropped"] >= requests:
                return figures
        time.sleep(0.05)
    raise AssertionError("nothing was compared")


def test_a_shadow_that_fails_or_hangs_fails_and_slows_nobody(
    base: Path, candidate_model: Path, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server._shadow._limit = 4000
    add_candidate(base, candidate_model, server, "shadow", 1.0)
    servable = server.repository._versions[CANDIDATE].servable
    assert servable is not None

    def fail_slowly(*_: object, **__: object) -> None:
        time.sleep(0.5)
        raise MemoryError("no memory for the candidate")

    monkeypatch.setattr(servable, "run", fail_slowly)
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda number: ask(server, models.rows(8, seed=number)), range(60)))
    assert len(answers) == 60 and time.monotonic() - began < 20, "with the shadow in their way: 30 s"
    figures = wait_for_figures(base, 60)
    assert figures["failed"] >= 1 and figures["dropped"] >= 30
    assert figures["first_error"] == "MemoryError: no memory for the candidate"


def test_differences_of_values_that_are_no_numbers() -> None:
    found = OutputDifference()
    found.add(np.array([1.0, np.nan, np.inf]), np.array([1.5, np.nan, np.inf]))
    assert (found.total, found.largest, found.values) == (0.5, 0.5, 3)
    found.add(np.array([1.0]), np.array([np.nan]))
    assert found.largest == np.inf


def test_at_the_start_the_live_version_answers_first(
    base: Path, candidate_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ServingDirectory(base).push(candidate_model, {}, trial=push.make_trial(ServingConfig(promotion="canary")))
    loaded = []
    with EmbeddedServer("taxi", base, ServerOptions(rest_port=0, grpc_port=0)) as server:
        loaded = [n for n, _ in server.repository.list_statuses().items()]
        assert find_answerer(ask(server, ROWS, "x"), ROWS) in (LIVE, CANDIDATE)
        order = list(server.repository._versions)
    assert sorted(loaded) == [CANDIDATE, LIVE] and order == [LIVE, CANDIDATE]
