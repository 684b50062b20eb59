"""The embedded server: the official gRPC stubs, versions, labels, hot reload without a failed request, limits."""

from __future__ import annotations

import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from taxiway.components.errors import ServingError
from taxiway.components.saved_models.manifest import EXTRA
from taxiway.components.saved_models.signature_inputs import SignatureInput
from taxiway.components.serving.requests import warmup
from taxiway.components.serving.requests.clients import GrpcClient, RestClient, ServerError, decode_outputs
from taxiway.components.serving.requests.from_examples import RequestBuilder
from taxiway.components.serving.server.embedded import EmbeddedServer, ServerOptions
from taxiway.components.serving.server.listening import open_socket
from taxiway.components.serving.server.repository import ModelRepository, VersionStatus
from taxiway.components.serving.versions.directory import ServingDirectory
from tests.components.serving import models
from tests.components.serving.server_process import serving

OPTIONS = ServerOptions(rest_port=0, grpc_port=0, poll_seconds=0.05, drain_seconds=2.0, max_request_mb=2.0)


@pytest.fixture(scope="module")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("two")
    return models.write_model(folder / "a", weight=0.25), models.write_model(folder / "b", weight=0.5)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, two_models: tuple[Path, Path]) -> Iterator[EmbeddedServer]:
    base = tmp_path_factory.mktemp("serving") / "taxi"
    directory = ServingDirectory(base, clock=lambda: 10.0)
    for model in two_models:
        directory.push(model, {})
    directory.promote(10, "stable")
    with EmbeddedServer("taxi", base, OPTIONS) as started:
        yield started


@pytest.fixture(scope="module")
def stub(server: EmbeddedServer) -> Any:
    return prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}"))


ROWS = models.rows(1000)


def maker(model: Path) -> RequestBuilder:
    return RequestBuilder.from_examples([models.example(row) for row in ROWS], model, "tip")


def test_a_thousand_rows_over_both_apis_and_signatures(server: EmbeddedServer, two_models: tuple[Path, Path]) -> None:
    expected = [models.probability(row, weight=0.5) for row in ROWS]
    over_grpc = GrpcClient(f"127.0.0.1:{server.grpc_port}", "taxi")
    over_rest = RestClient(f"127.0.0.1:{server.rest_port}", "taxi")
    made = maker(two_models[1])
    for signature in made.signatures:
        inputs = made.build_request(signature, slice(None))
        answers = [over_grpc.predict(signature, inputs), decode_outputs(over_rest.predict(signature, inputs), "")]
        for answer in answers:
            np.testing.assert_allclose(answer["probabilities"][:, 0], expected, atol=1e-6)
            assert set(answer["predicted_label"].tolist()) == {b"yes", b"no"}
        np.testing.assert_array_equal(answers[0]["probabilities"], answers[1]["probabilities"].astype(np.float32))


def test_versions_and_labels_choose_the_model(server: EmbeddedServer, two_models: tuple[Path, Path]) -> None:
    inputs = maker(two_models[0]).build_request("serving_raw", slice(0, 5))
    target, url = f"127.0.0.1:{server.grpc_port}", f"127.0.0.1:{server.rest_port}"
    for choice, weight in (({"version": 10}, 0.25), ({"version": 11}, 0.5), ({"label": "stable"}, 0.25), ({}, 0.5)):
        expected = [[models.probability(row, weight)] for row in ROWS[:5]]
        over_grpc = GrpcClient(target, "taxi", **choice).predict("serving_raw", inputs)
        over_rest = decode_outputs(RestClient(url, "taxi", **choice).predict("serving_raw", inputs), "")
        np.testing.assert_allclose(over_grpc["probabilities"], expected, atol=1e-6)
        np.testing.assert_allclose(over_rest["probabilities"], expected, atol=1e-6)


def predict_request(alias: str = "examples", values: Any = None, **spec: Any) -> predict_pb2.PredictRequest:
    values = np.array([b""], object) if values is None else values
    request = warmup.build_predict_request(spec.pop("name", "taxi"), spec.pop("signature", ""), {alias: values})
    request.output_filter.extend(spec.pop("output_filter", []))
    if "version" in spec:
        request.model_spec.version.value = spec["version"]
    if "label" in spec:
        request.model_spec.version_label = spec["label"]
    return request


def test_the_answer_names_model_version_and_signature(stub: Any) -> None:
    """predict_util.cc, MakeModelSpec: the version that answered, and serving_default where none was named."""
    answer = stub.Predict(predict_request(output_filter=["predicted_label"]))
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("taxi", 11)
    assert answer.model_spec.signature_name == "serving_default"
    assert list(answer.outputs) == ["predicted_label"] and answer.outputs["predicted_label"].string_val == [b"no"]


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (predict_request(name=""), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (predict_request(name="half"), "NOT_FOUND", "Servable not found for request: Latest(half)"),
        (predict_request(version=5), "NOT_FOUND", "Servable not found for request: Specific(taxi, 5)"),
        (predict_request(label="none"), "INVALID_ARGUMENT", "Unrecognized servable version label: none"),
        (predict_request(signature="x"), "FAILED_PRECONDITION", 'Serving signature key "x" not found.'),
        (predict_request("wrong"), "INVALID_ARGUMENT", "input tensor alias not found in signature: examples"),
        (predict_request(values=np.ones(1, np.float32)), "INVALID_ARGUMENT", "expects string, but float32 is provided"),
        (predict_request(output_filter=["x"]), "INVALID_ARGUMENT", "output tensor alias not found in signature: x"),
        (
            predict_request(output_filter=["predicted_label"] * 2),
            "INVALID_ARGUMENT",
            "duplicate output tensor alias: predicted_label",
        ),
        (predict_request(values=np.array([b"\xff"], object)), "INVALID_ARGUMENT", "Could not parse example input"),
        (predict_request(values=np.array([[b""]], object)), "INVALID_ARGUMENT", ""),
        (
            predict_request("seats", signature="serving_raw"),
            "INVALID_ARGUMENT",
            "input size does not match signature: 1!=3",
        ),
    ],
)
def test_errors_have_tensorflow_servings_codes_and_words(stub: Any, request_: Any, code: str, message: str) -> None:
    """predict_util.cc, server_core.cc (ServableRequestFromModelSpec, GetModelVersionForLabel), basic_manager.cc."""
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(request_)
    assert caught.value.code().name == code and message in caught.value.details()


def test_metadata(stub: Any) -> None:
    """get_model_metadata_impl.cc: only `signature_def`, packed in an Any."""
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "taxi"
    answer = stub.GetModelMetadata(request)
    found = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(found) and answer.model_spec.version.value == 11
    assert {"serving_default", "serving_raw"} <= set(found.signature_def)
    request.metadata_field[:] = ["other"]
    with pytest.raises(grpc.RpcError, match="Metadata field other is not supported"):
        stub.GetModelMetadata(request)
    with pytest.raises(grpc.RpcError, match="Missing ModelSpec"):
        stub.GetModelMetadata(get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"]))


def test_status(server: EmbeddedServer) -> None:
    """get_model_status_impl.cc: all versions, or the one that is named."""
    channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}")
    status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus
    request = get_model_status_pb2.GetModelStatusRequest()
    with pytest.raises(grpc.RpcError, match="Missing ModelSpec"):
        status(request)
    request.model_spec.name = "taxi"
    available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
    assert [(v.version, v.state) for v in status(request).model_version_status] == [(10, available), (11, available)]
    request.model_spec.version.value = 10
    assert [v.version for v in status(request).model_version_status] == [10]
    request.model_spec.version.value = 9
    with pytest.raises(grpc.RpcError, match="Could not find version 9 of model taxi"):
        status(request)


def test_what_is_not_offered_says_so(stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.Regress(regression_pb2.RegressionRequest())
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_too_large_a_request_is_refused(stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(predict_request(values=np.array([b"x" * 2_100_000], object)))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_signature_defaults_stand_in_for_missing_inputs(tmp_path: Path) -> None:
    """predict_util.cc, VerifyRequestInputsSize: fewer inputs are taken where the signature has defaults."""
    module = tf.Module()

    def serve(x: tf.Tensor, y: tf.Tensor = tf.constant([2.0])) -> dict[str, tf.Tensor]:  # noqa: B008
        return {"sum": x + y}

    spec = tf.TensorSpec([None], tf.float32)
    module.serve = tf.function(serve, input_signature=[spec, spec])
    tf.saved_model.save(module, str(tmp_path / "m" / "1"), signatures={"serving_default": module.serve})
    with EmbeddedServer("m", tmp_path / "m", OPTIONS) as started:
        client = GrpcClient(f"127.0.0.1:{started.grpc_port}", "m")
        answer = client.predict("", {"x": np.array([1.0, 5.0], np.float32)})
        np.testing.assert_array_equal(answer["sum"], [3.0, 7.0])
        with pytest.raises(ServerError, match="input tensor alias not found"):
            client.predict("", {"z": np.array([1.0], np.float32)})


def test_no_request_fails_while_versions_come_and_go(tmp_path: Path, two_models: tuple[Path, Path]) -> None:
    """Pushes, rollbacks and retention under load from four clients: every answer is one of the two models'."""
    base = tmp_path / "taxi"
    directory = ServingDirectory(base)
    directory.push(two_models[0], {})
    inputs = maker(two_models[0]).build_request("serving_default", slice(0, 3))
    expected = [[models.probability(row, weight) for row in ROWS[:3]] for weight in (0.25, 0.5)]
    failures: list[str] = []
    seen: set[int] = set()
    done = threading.Event()

    def load(number: int) -> None:
        client = GrpcClient(target, "taxi") if number % 2 else RestClient(url, "taxi")
        while not done.is_set():
            ask(client)

    def ask(client: Any) -> None:
        try:
            answer = client.predict("serving_default", inputs)
            arrays = answer if isinstance(client, GrpcClient) else decode_outputs(answer, "")
            near = [np.allclose(arrays["probabilities"][:, 0], e, atol=1e-6) for e in expected]
            seen.add(near.index(True))
        except (ServingError, ValueError) as error:
            failures.append(str(error))

    with EmbeddedServer("taxi", base, OPTIONS) as started:
        target, url = f"127.0.0.1:{started.grpc_port}", f"127.0.0.1:{started.rest_port}"
        threads = [threading.Thread(target=load, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for turn in range(8):
            directory.push(two_models[(turn + 1) % 2], {}, force=True)
            if turn % 3 == 2:
                directory.rollback()
            directory.retain_newest(2)
            time.sleep(0.3)
        done.set()
        for thread in threads:
            thread.join(120)
    assert failures == [] and seen == {0, 1}


def test_a_version_that_does_not_load_leaves_the_old_one(tmp_path: Path, two_models: tuple[Path, Path]) -> None:
    base = tmp_path / "taxi"
    shutil.copytree(two_models[0], base / "1")
    repository = ModelRepository("taxi", base, poll_seconds=0.05, load_attempts=2, retry_seconds=0.1)
    repository.start()
    (base / "2").mkdir()
    deadline = time.monotonic() + 120
    while repository.list_statuses().get(2, (None,))[0] is not VersionStatus.END and time.monotonic() < deadline:
        time.sleep(0.02)
    state, error = repository.list_statuses()[2]
    assert (
        state is VersionStatus.END
        and "holds no saved_model.pb" in error
        and repository.list_statuses()[1][0] is VersionStatus.AVAILABLE
    )
    with repository.hold_version() as (number, _):
        assert number == 1
    repository.stop()


def test_one_bad_warm_up_record_fails_the_load(tmp_path: Path, two_models: tuple[Path, Path]) -> None:
    base = tmp_path / "taxi"
    shutil.copytree(two_models[0], base / "1")
    made = maker(two_models[0])
    assert warmup.write_requests(base / "1", "taxi", made, (1, 3)) == 4
    repository = ModelRepository("taxi", base)
    repository.refresh()
    assert repository.list_statuses()[1] == (VersionStatus.AVAILABLE, "")
    shutil.copytree(base / "1", base / "2")
    bad = RequestBuilder([tf.train.Example()], {**made.inputs, "no such": SignatureInput("c", "int64", 0)})
    warmup.write_requests(base / "2", "taxi", bad, (1,))
    repository.refresh()
    assert (
        repository.list_statuses()[2][0] is VersionStatus.END
        and repository.list_statuses()[1][0] is VersionStatus.AVAILABLE
    )
    repository.stop()
    assert (base / "1" / EXTRA / warmup.WARMUP_FILE).exists()


def test_a_taken_port_is_said(server: EmbeddedServer) -> None:
    with pytest.raises(ServingError, match=f"port {server.rest_port}"):
        EmbeddedServer("taxi", "/nowhere", ServerOptions(rest_port=server.rest_port, grpc_port=0)).start()
    with pytest.raises(ServingError, match=f"port {server.grpc_port}"):
        EmbeddedServer("taxi", "/nowhere", ServerOptions(rest_port=0, grpc_port=server.grpc_port)).start()


def test_no_answer_waits_for_a_delayed_acknowledgement() -> None:
    """asyncio switches Nagle's algorithm off for sockets that say that they are TCP, and only for those."""
    sock = open_socket("127.0.0.1", 0, "--rest-port")
    assert sock.proto == socket.IPPROTO_TCP
    sock.close()


def test_the_process_serves_and_stops_on_a_signal(tmp_path: Path, two_models: tuple[Path, Path]) -> None:
    base = tmp_path / "taxi"
    shutil.copytree(two_models[0], base / "1")
    with serving(base, {}) as server:
        client = RestClient(f"http://127.0.0.1:{server.rest_port}", "taxi")
        assert client.get_status()[0]["state"] == "AVAILABLE" and "serving_raw" in client.get_signatures()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(120) == 0
        with pytest.raises(ServingError, match="No server answers"):
            client.get_status()
