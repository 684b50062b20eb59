"""`taxiway bench serve`: its figures from made-up loads, and every part of it once, briefly, on a small model."""

from __future__ import annotations

import pytest

from taxiway.components.errors import UsageError
from taxiway.components.saved_models import manifest
from taxiway.components.serving.requests import warmup
from taxiway.components.serving.requests.from_examples import RequestBuilder
from taxiway.components.serving.server.embedded import EmbeddedServer, ServerOptions
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.pipeline.bench import serve
from taxiway.pipeline.bench.children import serve_load
from taxiway.pipeline.root import Root
from tests.components.serving import models


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A trained model, and the pushed version of it with its warm-up requests."""
    folder = tmp_path_factory.mktemp("bench")
    trained, pushed = models.write_model(folder / "trained"), models.write_model(folder / "pushed", weight=0.5)
    maker = RequestBuilder.from_examples([models.example(row) for row in models.rows(8)], pushed, "tip")
    warmup.write_requests(pushed, "taxi", maker, (1, 8))
    return {"trained": trained, "pushed": pushed}


def test_a_load_counts_what_it_sees(pair):
    step = {"seconds": 0.3, "batch": 3, "clients": 2}
    base = pair["pushed"].parent / "served"
    ServingDirectory(base).push(pair["pushed"], {})
    with EmbeddedServer("bench", base, ServerOptions(rest_port=0, grpc_port=0)) as server:
        target = f"127.0.0.1:{server.grpc_port}"
        closed = serve_load.run_step("bench", str(pair["pushed"]), {**step, "target": target, "rate": 0.0})
        fixed = serve_load.run_step("bench", str(pair["pushed"]), {**step, "target": target, "rate": 20.0})
        wrong = serve_load.run_step("other", str(pair["pushed"]), {**step, "target": target, "rate": 20.0})
    assert closed["failures"] == 0 and closed["requests"] > fixed["requests"]
    assert closed["rows_per_second"] == pytest.approx(3 * closed["requests_per_second"])
    assert 0 < closed["p50_ms"] <= closed["p95_ms"] <= closed["p99_ms"] <= closed["max_ms"]
    assert 5 <= fixed["requests"] <= 8, "0.3 s at 20 requests a second, and each client's one under way"
    assert wrong["requests"] == 0 and wrong["failures"] > 0 and "NOT_FOUND" in wrong["first_failure"][0]


def test_requests_are_real_rows_each_beginning_with_another(pair):
    made = serve_load.make_requests(str(pair["pushed"]), 3)
    firsts = [request["examples"][0] for request in made]
    assert all(request["examples"].shape == (3,) for request in made)
    assert len(made) == 9 and len(set(firsts)) == 8, "warm-up requests of one row and of eight"


def test_versions_come_and_go_without_a_failed_request(pair, tmp_path):
    found = serve.ServingBenchmark(tmp_path, pair).measure_reloads(4.0)
    assert found["failures"] == 0 and found["requests"] >= 4 * serve.RELOAD_RATE * 0.9
    assert found["pushes"] >= 3
    versions = ServingDirectory(tmp_path / "reloads" / serve.MODEL).list_versions()
    assert len(versions) == 3, "retention"
    expected = (pair["pushed"] / manifest.EXTRA / serve.WARMUP).read_bytes()
    assert {(v.path / manifest.EXTRA / serve.WARMUP).read_bytes() for v in versions if v.number > 1} == {expected}


def test_medians_over_the_rounds():
    rounds = [
        {"p50_ms": v, "p95_ms": v, "p99_ms": v, "requests_per_second": v, "rows_per_second": v, "requests": 10,
         "failures": f}
        for v, f in ((1.0, 0), (9.0, 2), (2.0, 0))
    ]  # fmt: skip
    assert serve._take_medians(rounds) == {
        "p50_ms": 2.0, "p95_ms": 2.0, "p99_ms": 2.0, "requests_per_second": 2.0, "rows_per_second": 2.0,
        "requests": 30, "failures": 2,
    }  # fmt: skip


def test_a_version_without_a_run_cannot_be_compared(pair, tmp_path):
    live = ServingDirectory(tmp_path / "serving" / "taxi")
    live.push(pair["trained"], {})
    with pytest.raises(UsageError, match="was not pushed by a run"):
        serve.find_trained_model(Root.at(tmp_path), live.list_versions()[0])
