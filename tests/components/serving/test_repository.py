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

from components.serving import repository as repository_module
from components.serving import rest, warmup
from components.serving.api import Api
from components.serving.api_errors import ApiError, Code
from components.serving.limits import Call, Limits, MemoryBudget
from components.serving.manifest import EXTRA
from components.serving.repository import Repository, Status
from tests.components.serving.asgi import ask


@pytest.fixture
def base(tmp_path: Path, taxi_model: Path) -> Path:
    shutil.copytree(taxi_model, tmp_path / "taxi" / "1")
    return tmp_path / "taxi"


@pytest.fixture
def followed(base: Path) -> Iterator[Repository]:
    repository = Repository("taxi", base, poll_seconds=0.05, retry_seconds=600, load_seconds=60)
    repository.start()
    yield repository
    repository.stop(10)


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


def state(repository: Repository, number: int) -> Status | None:
    return repository.statuses().get(number, (None, ""))[0]


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


def test_no_warm_up_record_stops_the_next_version(followed: Repository, base: Path) -> None:
    """A bad record fails its version, with words in the status API; the old one serves until the next good one."""
    app = rest.application(Api({"taxi": followed}))
    for number, (name, record) in enumerate(RECORDS.items(), start=2):
        shutil.copytree(base / "1", base.parent / "next")
        write_warmup(base.parent / "next", record)
        os.rename(base.parent / "next", base / str(number))  # noqa: PTH104 - as a push does it
        assert wait_for(lambda n=number: state(followed, n) is Status.END), name
        status, answer = ask(app, "GET", f"/v1/models/taxi/versions/{number}")
        shown = json.loads(answer)["model_version_status"][0]
        assert (status, shown["state"], shown["status"]["error_code"]) == (200, "END", "UNKNOWN"), name
        assert shown["status"]["error_message"], name
        with followed.use() as (served, _):
            assert served == 1
    shutil.copytree(base / "1", base.parent / "good")
    os.rename(base.parent / "good", base / "99")  # noqa: PTH104
    assert wait_for(lambda: state(followed, 99) is Status.AVAILABLE)
    assert ask(app, "GET", "/healthz")[0] == 200


class _OddError(BaseException):
    """As a library in another language may raise it."""

    def __str__(self) -> str:
        return "odd \udc80 words"


@pytest.mark.parametrize("error", [_OddError(), SystemExit(3), KeyboardInterrupt(), MemoryError(), KeyError("x")])
def test_whatever_a_version_raises_only_it_fails(
    followed: Repository, base: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def check(folder: Path) -> None:
        if folder.name == "2":
            raise error

    monkeypatch.setattr(repository_module, "check_files", check)
    shutil.copytree(base / "1", base / "2")
    assert wait_for(lambda: state(followed, 2) is Status.END)
    assert followed.statuses()[2][1] and followed.problem() == ""
    shutil.copytree(base / "1", base.parent / "good")
    os.rename(base.parent / "good", base / "3")  # noqa: PTH104
    assert wait_for(lambda: state(followed, 3) is Status.AVAILABLE)
    status, _ = ask(rest.application(Api({"taxi": followed})), "GET", "/v1/models/taxi")
    assert status == 200


def test_a_pipe_in_a_version_is_not_read(followed: Repository, base: Path) -> None:
    (base.parent / "pipe").mkdir()
    os.mkfifo(base.parent / "pipe" / "saved_model.pb")
    os.rename(base.parent / "pipe", base / "2")  # noqa: PTH104
    assert wait_for(lambda: state(followed, 2) is Status.END)
    assert "saved_model.pb is no regular file" in followed.statuses()[2][1]


def test_a_load_without_end_is_given_up(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()

    def check(folder: Path) -> None:
        if folder.name == "2":
            never.wait(120)

    monkeypatch.setattr(repository_module, "check_files", check)
    repository = Repository("taxi", base, poll_seconds=0.05, load_seconds=60)
    repository.refresh()
    repository._load_seconds = 0.2
    shutil.copytree(base / "1", base / "2")
    repository.refresh()
    assert repository.statuses()[2] == (Status.END, "it did not load within 0 s; it is not tried again")
    never.set()
    repository._load_seconds = 60
    shutil.copytree(base / "1", base / "3")
    repository.refresh()
    assert state(repository, 3) is Status.AVAILABLE
    assert repository.stop(30)


def test_damaged_labels_do_not_hold_versions_back(followed: Repository, base: Path) -> None:
    (base / ".taxiway").mkdir(exist_ok=True)
    (base / ".taxiway" / "state.json").write_text('{"labels": 7')
    shutil.copytree(base / "1", base.parent / "good")
    os.rename(base.parent / "good", base / "2")  # noqa: PTH104
    assert wait_for(lambda: state(followed, 2) is Status.AVAILABLE)


def test_health_is_red_when_nobody_follows_the_directory(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository("taxi", base, poll_seconds=0.05)
    app = rest.application(Api({"taxi": repository}))
    repository.start()
    assert ask(app, "GET", "/healthz") == (200, b'{"status": "ok"}')
    monkeypatch.setattr(repository, "refresh", lambda: (_ for _ in ()).throw(SystemExit("a bug")))
    assert wait_for(lambda: repository.problem() != "")
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
def endless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    base = tmp_path_factory.mktemp("endless") / "m"
    module = _Endless()
    tf.saved_model.save(module, str(base / "1"), signatures={"serving_default": module.serve})
    repository = Repository("m", base)
    repository.refresh()
    yield repository
    repository.stop(10)


def test_the_work_ends_with_the_deadline(endless: Repository) -> None:
    api = Api({"m": endless}, Limits(compute_seconds=0.5))
    request = warmup.predict_request("m", "", {"x": np.array([1.0], np.float32)})
    with api.memory.reserve(1, Call(60)) as held, pytest.raises(ApiError) as caught:
        api.predict(request, Call(0.3), held)
    assert caught.value.code is Code.DEADLINE_EXCEEDED
    with api.use(request.model_spec) as (number, _):
        assert number == 1
    status, _ = ask(rest.application(api), "POST", "/v1/models/m:predict", b'{"instances": [1.0]}')
    assert status == 504


def test_the_waiting_ends_with_the_connection(endless: Repository) -> None:
    """The client goes away while its request is computed: nobody waits for the answer any more."""
    api = Api({"m": endless}, Limits(compute_seconds=5.0))
    app = rest.application(api)

    async def one() -> list[Any]:
        messages = [{"type": "http.request", "body": b'{"instances": [1.0]}', "more_body": False}]
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop(0)
            await asyncio.sleep(0.1)
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
    with budget.reserve(80, Call(60)):
        for call, code in ((Call(0.05), Code.DEADLINE_EXCEEDED), (Call(60, lambda: False), Code.CANCELLED)):
            with pytest.raises(ApiError) as caught, budget.reserve(30, call):
                pass
            assert caught.value.code is code
        with pytest.raises(ApiError, match="--max-memory-mb"), budget.reserve(101, Call(60)):
            pass
    with budget.reserve(80, Call(60)) as held:
        held.grow_to(100)
        with pytest.raises(ApiError):
            held.grow_to(101)
    assert budget.held_bytes == 0 and not gone.is_set()
