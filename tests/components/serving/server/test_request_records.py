"""What a server tells of its requests: metrics, read by Prometheus' own parser, the access log, the request log."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from prometheus_client.parser import text_string_to_metric_families
from tensorflow_serving.apis import prediction_log_pb2

from taxiway.components.errors import ServingError
from taxiway.components.serving.config import REQUEST_LOG_FOLDER, RequestLogConfig
from taxiway.components.serving.request_log.file_names import list_files
from taxiway.components.serving.requests import warmup
from taxiway.components.serving.requests.clients import GrpcClient, RestClient, ServerError
from taxiway.components.serving.requests.from_examples import RequestBuilder
from taxiway.components.serving.server.embedded import EmbeddedServer, ServerOptions
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.components.serving.versions.verdict_gauges import GaugeValue, VersionGauges, write_gauges
from tests.components.serving import models

LOGGED = RequestLogConfig(sampling_rate=1.0, drop_columns=("company",), hash_columns=("Fare (USD)",))
ROWS = models.rows(12)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A server that was asked by both APIs and is stopped: its metrics before the end, its logs after it."""
    folder = tmp_path_factory.mktemp("records")
    base, log = folder / "taxi", folder / "access.jsonl"
    options = ServerOptions(
        rest_port=0, grpc_port=0, poll_seconds=0.05, access_log=str(log), request_log=LOGGED.model_dump_json()
    )
    ServingDirectory(base, clock=lambda: 10.0)
    with EmbeddedServer("taxi", base, options) as server:
        url = f"http://127.0.0.1:{server.rest_port}"
        found: dict[str, Any] = {"before": get(url + "/readyz")}
        model = models.write_model(folder / "model")
        ServingDirectory(base, clock=lambda: 10.0).push(model, {})
        wait_until_ready(url)
        status = GaugeValue("taxiway_monitor_status", "The verdict.", (("model", "taxi"), ("version", "10")), 1)
        write_gauges(base, 10, VersionGauges(2.0, 3.0, (status,)))
        builder = RequestBuilder.from_examples([models.example(row) for row in ROWS], model, "tip")
        for client in (GrpcClient(f"127.0.0.1:{server.grpc_port}", "taxi"), RestClient(url.split("//")[1], "taxi")):
            for signature in builder.signatures:
                client.predict(signature, builder.build_request(signature, slice(0, 12)))
            with pytest.raises(ServerError):
                client.predict("no such signature", {"x": np.array([1.0])})
        get(url + "/v1/models/no-such-model")
        get(url + "/v1/models/taxi")
        found |= {"after": get(url + "/readyz"), "health": get(url + "/healthz")}
        found |= {"text": get(url + "/metrics")[1], "same": get(url + "/monitoring/prometheus/metrics")[1]}
    return_values = {"lines": log.read_text().splitlines(), "base": base, "model": model}
    yield found | return_values


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_until_ready(url: str) -> None:
    for _ in range(600):
        if get(url + "/readyz")[0] == 200:
            return
        threading.Event().wait(0.1)
    raise AssertionError("the server did not become ready")


def read_samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def sum_samples(text: str, name: str, **labels: str) -> float:
    samples = read_samples(text).items()
    return sum(value for (found, given), value in samples if found == name and set(labels.items()) <= given)


def test_ready_once_a_version_answers(served: dict[str, Any]) -> None:
    assert served["before"] == (503, json.dumps({"status": "unavailable", "models": ["taxi"]}))
    assert served["after"][0] == served["health"][0] == 200


def test_requests_are_counted_by_model_version_signature_and_status(served: dict[str, Any]) -> None:
    count, text = ":tensorflow:serving:request_count", served["text"]
    assert sum_samples(text, count, model_name="taxi", status="OK", API="Predict") == 4
    for entrypoint in ("REST", "GRPC"):
        for signature in ("serving_default", "serving_raw"):
            labels = {"model_version": "10", "signature_name": signature, "entrypoint": entrypoint}
            assert sum_samples(text, count, status="OK", **labels) == 1
    assert sum_samples(text, count, API="Predict", status="FAILED_PRECONDITION", entrypoint="GRPC") == 1
    assert sum_samples(text, count, API="Predict", status="INVALID_ARGUMENT", entrypoint="REST") == 1
    assert sum_samples(text, count, model_name="", status="NOT_FOUND") == 1  # the name that a client made up
    assert "no-such-model" not in text and "no such signature" not in text


def test_latency_is_in_microseconds_in_tensorflow_servings_bounds(served: dict[str, Any]) -> None:
    name, text = ":tensorflow:serving:request_latency", served["text"]
    assert sum_samples(text, name + "_count", model_name="taxi", API="Predict", entrypoint="GRPC") == 2
    assert 50 < sum_samples(text, name + "_sum", API="Predict", entrypoint="GRPC") < 60e6
    bounds = {float(dict(labels)["le"]) for found, labels in read_samples(text) if found == name + "_bucket"}
    assert sorted(bounds)[:3] == pytest.approx([10, 18, 32.4]) and len(bounds) == 34


def test_rows_and_loads_are_counted(served: dict[str, Any]) -> None:
    text, folder = served["text"], str(served["base"] / "10")
    assert sum_samples(text, ":tensorflow:serving:request_example_counts_sum", model="taxi") == 4 * 12
    attempts = ":tensorflow:cc:saved_model:load_attempt_count"
    assert sum_samples(text, attempts, model_path=folder, status="success") == 1
    assert sum_samples(text, ":tensorflow:cc:saved_model:load_latency", model_path=folder) > 1000
    assert sum_samples(text, "process_resident_memory_bytes") > 1e8


def test_both_paths_give_the_metrics_and_asking_for_them_is_no_request(served: dict[str, Any]) -> None:
    for name in (":tensorflow:serving:request_count", ":tensorflow:serving:request_latency_count"):
        assert sum_samples(served["text"], name) == sum_samples(served["same"], name)


def test_the_metrics_show_the_monitors_newest_verdict(served: dict[str, Any]) -> None:
    assert 'taxiway_monitor_status{model="taxi",version="10"} 1.0' in served["text"].splitlines()


def test_the_access_log_has_a_line_a_request(served: dict[str, Any]) -> None:
    lines = [json.loads(line) for line in served["lines"]]
    assert len([line for line in lines if line["api"] == "Predict"]) == 6
    answered = [line for line in lines if line["status"] == "OK" and line["api"] == "Predict"]
    assert {(line["entrypoint"], line["signature"]) for line in answered} == {
        (entrypoint, signature) for entrypoint in ("REST", "GRPC") for signature in ("serving_default", "serving_raw")
    }
    for line in answered:
        assert (line["model"], line["version"], line["rows"]) == ("taxi", 10, 12)
        assert 0 < line["ms"] < 60e3 and line["time"].endswith("+00:00") and "127.0.0.1" in line["client"]


def test_the_request_log_holds_what_was_asked_and_answered(served: dict[str, Any]) -> None:
    files = list_files(served["base"] / REQUEST_LOG_FOLDER)
    records = [r for path in files for r in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()]
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
    assert len(logs) == 4  # what was refused is not logged
    for log in logs:
        assert log.log_metadata.sampling_config.sampling_rate == 1.0
        assert log.predict_log.response.model_spec.version.value == 10
        given = tf.make_ndarray(log.predict_log.response.outputs["probabilities"])
        np.testing.assert_allclose(given[:, 0], [models.probability(row) for row in ROWS], atol=1e-6)
    raw = [log for log in logs if log.predict_log.request.model_spec.signature_name == "serving_raw"]
    for log in raw:
        assert set(log.predict_log.request.inputs) == {"fare_usd", "seats"}
        assert log.predict_log.request.inputs["fare_usd"].dtype == tf.string.as_datatype_enum
    assert all("Größe".encode() not in record and b"Yellow" not in record for record in records)


def test_an_unmasked_log_warms_a_version_up(tmp_path: Path) -> None:
    """The file is what TensorFlow Serving takes as `tf_serving_warmup_requests`."""
    base = tmp_path / "taxi"
    model = models.write_model(tmp_path / "model")
    ServingDirectory(base, clock=lambda: 10.0).push(model, {})
    options = ServerOptions(rest_port=0, grpc_port=0, request_log=RequestLogConfig(sampling_rate=1).model_dump_json())
    builder = RequestBuilder.from_examples([models.example(row) for row in ROWS], model, "tip")
    with EmbeddedServer("taxi", base, options) as server:
        client = GrpcClient(f"127.0.0.1:{server.grpc_port}", "taxi")
        client.predict("serving_raw", builder.build_request("serving_raw", slice(0, 3)))
    (file,) = list_files(base / REQUEST_LOG_FOLDER)
    target = model / "assets.extra" / warmup.WARMUP_FILE
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(file.read_bytes())
    (request,) = warmup.read_requests(model)
    np.testing.assert_array_equal(
        tf.make_ndarray(request.inputs["fare_usd"]), builder.build_request("serving_raw", slice(0, 3))["fare_usd"]
    )


def test_a_log_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServingError, match="The access log"):
        EmbeddedServer("taxi", tmp_path / "taxi", ServerOptions(access_log=str(tmp_path / "file" / "a.jsonl")))
    (tmp_path / "taxi").mkdir()
    (tmp_path / "taxi" / REQUEST_LOG_FOLDER).write_text("")
    with pytest.raises(ServingError, match="The request log"):
        EmbeddedServer("taxi", tmp_path / "taxi", ServerOptions(request_log=LOGGED.model_dump_json()))
