"""Nothing that a version holds ends the following of its directory; and a request's time ends its work."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import prediction_log_pb2

from taxiway.components.saved_models.manifest import EXTRA
from taxiway.components.serving.protocol.api_errors import ApiError, ErrorCode
from taxiway.components.serving.protocol.limits import Limits, MemoryBudget, RequestDeadline
from taxiway.components.serving.request_log.request_trace import RequestTrace
from taxiway.components.serving.requests import warmup
from taxiway.components.serving.server import api as server_api
from taxiway.components.serving.server import repository as repository_module
from taxiway.components.serving.server import rest
from taxiway.components.serving.server.api import ServingApi
from taxiway.components.serving.server.repository import ModelRepository, VersionStatus
from tests.components.serving.asgi import ask


@pytest.fixture
def base(tmp_path: Path, taxi_model: Path) -> Path:
    shutil.copytree(taxi_model, tmp_path / "taxi" / "1")
    return tmp_path / "taxi"


@pytest.fixture
def followed(base: Path) -> Iterator[ModelRepository]:
    repository = ModelRepository("taxi", base, poll_seconds=0.05, retry_seconds=600, load_seconds=60)
    repository.start()
    yield repository
    repository.stop(10)


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


def state(repository: ModelRepository, number: int) -> VersionStatus | None:
    return repository.list_statuses().get(number, (None, ""))[0]


def write_warmup(folder: Path, *records: bytes) -> None:
    (folder / EXTRA).mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / EXTRA / warmup.WARMUP_FILE)) as out:
        for record in records:
            out.write(record)


def log_of(proto: Any, signature: str = "serving_default", alias: str = "examples") -> bytes:
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.signature_name = signature
    log.predict_log.request.inputs[alias].CopyFrom(proto)
    return bytes(log.SerializeToString())


def tensor(size: int, **fields: Any) -> Any:
    proto = tensor_pb2.TensorProto(**fields)
    proto.tensor_shape.dim.add(size=size)
    return proto


RECORDS = {
    "no message": b"\xff\xff\xff",
    "a wrong dtype": log_of(tensor(1, dtype=types_pb2.DT_FLOAT, float_val=[1.0])),
    "an unknown dtype": log_of(tensor(1, dtype=9999)),
    "too few values": log_of(tensor(2**26, dtype=types_pb2.DT_STRING, string_val=[b"x"])),
    "a negative size": log_of(tensor(-1, dtype=types_pb2.DT_STRING, string_val=[b"x"])),
    "content of odd length": log_of(tensor(1, dtype=types_pb2.DT_INT64, tensor_content=b"123")),
    "no such signature": log_of(tensor(1, dtype=types_pb2.DT_STRING, string_val=[b""]), "x"),
    "no such input": log_of(tensor(1, dtype=types_pb2.DT_STRING, string_val=[b""]), alias="x"),
    "no example": log_of(tensor(1, dtype=types_pb2.DT_STRING, string_val=[b"\xff"])),
    "an initializer": log_of(tensor(1, dtype=types_pb2.DT_STRING, string_val=[b""]), "__saved_model_init_op"),
    "no request": prediction_log_pb2.PredictionLog().SerializeToString(),
}


def test_no_warm_up_record_stops_the_next_version(followed: ModelRepository, base: Path) -> None:
    """A bad record fails its version, with words in the status API; the old one serves until the next good one."""
    app = rest.build_application(ServingApi({"taxi": followed}))
    for number, (name, record) in enumerate(RECORDS.items(), start=2):
        shutil.copytree(base / "1", base.parent / "next")
        write_warmup(base.parent / "next", record)
        os.rename(base.parent / "next", base / str(number))  # noqa: PTH104 - as a push does it
        assert wait_for(lambda n=number: state(followed, n) is VersionStatus.END), name
        status, answer = ask(app, "GET", f"/v1/models/taxi/versions/{number}")
        shown = json.loads(answer)["model_version_status"][0]
        assert (status, shown["state"], shown["status"]["error_code"]) == (200, "END", "UNKNOWN"), name
        assert shown["status"]["error_message"], name
        with followed.hold_version() as (served, _):
            assert served == 1
    shutil.copytree(base / "1", base.parent / "good")
    os.rename(base.parent / "good", base / "99")  # noqa: PTH104
    assert wait_for(lambda: state(followed, 99) is VersionStatus.AVAILABLE)
    assert ask(app, "GET", "/healthz")[0] == 200


class _OddError(BaseException):
    """As a library in another language may raise it."""

    def __str__(self) -> str:
        return "odd \udc80 words"


@pytest.mark.parametrize("error", [_OddError(), SystemExit(3), KeyboardInterrupt(), MemoryError(), KeyError("x")])
def test_whatever_a_version_raises_only_it_fails(
    followed: ModelRepository, base: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def check(folder: Path) -> None:
        if folder.name == "2":
            raise error

    monkeypatch.setattr(repository_module, "check_files", check)
    shutil.copytree(base / "1", base / "2")
    assert wait_for(lambda: state(followed, 2) is VersionStatus.END)
    assert followed.list_statuses()[2][1] and followed.describe_problem() == ""
    shutil.copytree(base / "1", base.parent / "good")
    os.rename(base.parent / "good", base / "3")  # noqa: PTH104
    assert wait_for(lambda: state(followed, 3) is VersionStatus.AVAILABLE)
    status, _ = ask(rest.build_application(ServingApi({"taxi": followed})), "GET", "/v1/models/taxi")
    assert status == 200


def test_a_pipe_in_a_version_is_not_read(followed: ModelRepository, base: Path) -> None:
    (base.parent / "pipe").mkdir()
    os.mkfifo(base.parent / "pipe" / "saved_model.pb")
    os.rename(base.parent / "pipe", base / "2")  # noqa: PTH104
    assert wait_for(lambda: state(followed, 2) is VersionStatus.END)
    assert "saved_model.pb is no regular file" in followed.list_statuses()[2][1]


def test_a_load_without_end_is_given_up(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()

    def check(folder: Path) -> None:
        if folder.name == "2":
            never.wait(120)

    monkeypatch.setattr(repository_module, "check_files", check)
    repository = ModelRepository("taxi", base, poll_seconds=0.05, load_seconds=60)
    repository.refresh()
    repository._load_seconds = 0.2
    shutil.copytree(base / "1", base / "2")
    repository.refresh()
    assert repository.list_statuses()[2] == (VersionStatus.END, "it did not load within 0 s; it is not tried again")
    never.set()
    repository._load_seconds = 60
    shutil.copytree(base / "1", base / "3")
    repository.refresh()
    assert state(repository, 3) is VersionStatus.AVAILABLE
    assert repository.stop(30)


def test_damaged_labels_do_not_hold_versions_back(followed: ModelRepository, base: Path) -> None:
    (base / ".taxiway").mkdir(exist_ok=True)
    (base / ".taxiway" / "state.json").write_text('{"labels": 7')
    shutil.copytree(base / "1", base.parent / "good")
    os.rename(base.parent / "good", base / "2")  # noqa: PTH104
    assert wait_for(lambda: state(followed, 2) is VersionStatus.AVAILABLE)


def test_health_is_red_when_nobody_follows_the_directory(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = ModelRepository("taxi", base, poll_seconds=0.05)
    app = rest.build_application(ServingApi({"taxi": repository}))
    repository.start()
    assert ask(app, "GET", "/healthz") == (200, b'{"status": "ok"}')
    monkeypatch.setattr(repository, "refresh", lambda: (_ for _ in ()).throw(SystemExit("a bug")))
    assert wait_for(lambda: repository.describe_problem() != "")
    status, answer = ask(app, "GET", "/healthz")
    assert status == 503 and "has ended: a bug" in json.loads(answer)["problems"]["taxi"]
    assert ask(app, "POST", "/v1/models/taxi:predict", b'{"instances": [""]}')[0] == 200  # the old model still serves
    assert repository.stop(10)


# ---- time ----


class _Endless(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def serve(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.while_loop(lambda v: tf.reduce_all(v < 1e30), lambda v: (v * 1.0,), [x])[0]}


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelRepository]:
    base = tmp_path_factory.mktemp("endless") / "m"
    module = _Endless()
    tf.saved_model.save(module, str(base / "1"), signatures={"serving_default": module.serve})
    repository = ModelRepository("m", base)
    repository.refresh()
    yield repository
    repository.stop(10)


def test_the_work_ends_with_the_deadline(endless: ModelRepository) -> None:
    api = ServingApi({"m": endless}, Limits(compute_seconds=0.5))
    request = warmup.build_predict_request("m", "", {"x": np.array([1.0], np.float32)})
    with api.memory.reserve_bytes(1, RequestDeadline(60)) as held, pytest.raises(ApiError) as caught:
        api.predict(request, RequestDeadline(0.3), held, RequestTrace("GRPC"))
    assert caught.value.code is ErrorCode.DEADLINE_EXCEEDED
    with api.hold_version(request.model_spec) as (number, _):
        assert number == 1
    status, _ = ask(rest.build_application(api), "POST", "/v1/models/m:predict", b'{"instances": [1.0]}')
    assert status == 504


def test_the_waiting_ends_with_the_connection(endless: ModelRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client goes away while its request is computed: the answer has no receiver any more."""
    computing = threading.Event()

    def run_signature(*arguments: Any) -> Any:
        computing.set()  # before that there is nothing to end: what has not begun ends with the connection
        return original(*arguments)

    original = server_api.run_signature
    monkeypatch.setattr(server_api, "run_signature", run_signature)
    api = ServingApi({"m": endless}, Limits(compute_seconds=5.0))
    app = rest.build_application(api)

    async def one() -> list[Any]:
        messages = [{"type": "http.request", "body": b'{"instances": [1.0]}', "more_body": False}]
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop(0)
            while not computing.is_set():
                await asyncio.sleep(0.05)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        path = "/v1/models/m:predict"
        scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "headers": []}
        await app({**scope, "query_string": b""}, receive, send)
        return sent

    assert asyncio.run(one()) == []
    assert api.memory.held_bytes > 0  # TensorFlow is still at work, which counts
    assert wait_for(lambda: api.memory.held_bytes == 0)


def test_who_waits_for_memory_waits_no_longer_than_its_client() -> None:
    budget, gone = MemoryBudget(100), threading.Event()
    with budget.reserve_bytes(80, RequestDeadline(60)):
        for call, code in (
            (RequestDeadline(0.05), ErrorCode.DEADLINE_EXCEEDED),
            (RequestDeadline(60, lambda: False), ErrorCode.CANCELLED),
        ):
            with pytest.raises(ApiError) as caught, budget.reserve_bytes(30, call):
                pass
            assert caught.value.code is code
        with pytest.raises(ApiError, match="--max-memory-mb"), budget.reserve_bytes(101, RequestDeadline(60)):
            pass
    with budget.reserve_bytes(80, RequestDeadline(60)) as held:
        held.grow_to(100)
        with pytest.raises(ApiError):
            held.grow_to(101)
    assert budget.held_bytes == 0 and not gone.is_set()
