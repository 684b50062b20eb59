"""The copy on an object store, through TensorFlow's file systems.

`file://` here: the same calls as for a bucket, none of them a rename. TensorFlow's `ram://` lists `assets.extra` among
the files of `assets`, so it cannot stand in for one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from components import subprocesses
from components.errors import ServingError
from components.serving import operations, published, push, server_files
from components.serving.config import ServingConfig
from components.serving.directory import ServingDirectory
from components.serving.manifest import MANIFEST_FILE
from components.serving.published import MODEL_FILE, ObjectFolder, complete, differences, publish
from tests.components.serving.conftest import fake_model


@pytest.fixture
def store(tmp_path: Path) -> ObjectFolder:
    return ObjectFolder(f"file://{tmp_path}/bucket/serving/taxi")


@pytest.fixture
def directory(tmp_path: Path) -> ServingDirectory:
    """Two versions, 100 and 101."""
    made = ServingDirectory(tmp_path / "taxi", clock=lambda: 100.0)
    for content in (b"first", b"second"):
        made.push(fake_model(tmp_path / content.decode(), content), {"run_id": content.decode()})
    return made


def served(store: ObjectFolder) -> list[int]:
    """The versions that a server following the store's `models.config` loads."""
    content = store.get(f"server/{server_files.MODELS_CONFIG}")
    if content is None:
        return []
    parsed = text_format.Parse(content.decode(), model_server_config_pb2.ModelServerConfig())
    (config,) = parsed.model_config_list.config
    assert config.base_path == store.url
    return list(config.model_version_policy.specific.versions)


CONFIG = ServingConfig()


class Recorder(ObjectFolder):
    """Notes what is put and removed; breaks off before and after the n-th time."""

    def __init__(self, url: str, stop_at: int = 0) -> None:
        super().__init__(url)
        self.calls: list[str] = []
        self._left = stop_at

    def _step(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt

    def put(self, name: str, content: bytes | Path) -> None:
        self._step()
        super().put(name, content)
        self.calls.append(f"put {name}")
        self._step()

    def remove(self, name: str) -> None:
        self._step()
        super().remove(name)
        self.calls.append(f"remove {name}")
        self._step()


def test_the_model_is_put_after_its_files_and_the_manifest_last(directory: ServingDirectory, store: Any) -> None:
    recorder = Recorder(store.url)
    assert publish(directory, "taxi", recorder, CONFIG).copied == (100, 101)
    of_one = [call.removeprefix("put 101/") for call in recorder.calls if "101/" in call]
    assert of_one[-2:] == [MODEL_FILE, MANIFEST_FILE] and len(of_one) == 7
    assert recorder.calls[-1] == "put server/models.config"
    assert list(complete(store)) == [100, 101] and served(store) == [101]
    assert differences(store, 100) == differences(store, 101) == []
    assert differences(store, 7) == [f"{MANIFEST_FILE} is missing"]


def test_the_same_again_puts_nothing(directory: ServingDirectory, store: Any) -> None:
    publish(directory, "taxi", store, CONFIG)
    recorder = Recorder(store.url)
    assert publish(directory, "taxi", recorder, CONFIG) == published.Published(store.url, (), ())
    assert recorder.calls == []


def test_what_retention_took_goes_after_the_configuration_names_it_no_more(
    directory: ServingDirectory, store: Any, tmp_path: Path
) -> None:
    publish(directory, "taxi", store, CONFIG)
    directory.push(fake_model(tmp_path / "third", b"third"), {})
    directory.retain(1)
    recorder = Recorder(store.url)
    done = publish(directory, "taxi", recorder, CONFIG)
    assert (done.copied, done.removed) == ((102,), (100, 101)) and served(store) == [102]
    configured = recorder.calls.index("put server/models.config")
    assert configured < recorder.calls.index(f"remove 100/{MANIFEST_FILE}")
    assert recorder.calls.index(f"remove 100/{MANIFEST_FILE}") < recorder.calls.index(f"remove 100/{MODEL_FILE}")
    assert store.folders() == {"102", "server"}, "an empty folder would still be a version"


def test_broken_off_anywhere_readers_see_whole_versions_only(tmp_path: Path) -> None:
    """Before and after every put and removal: what the configuration names is whole, and doing it again completes."""
    stop_at, ended = 0, False
    while not ended:
        stop_at += 1
        directory = ServingDirectory(tmp_path / str(stop_at), clock=lambda: 100.0)
        store = ObjectFolder(f"file://{tmp_path}/broken/{stop_at}")
        directory.push(_model(tmp_path, b"old"), {})
        publish(directory, "taxi", store, CONFIG)
        directory.push(_model(tmp_path, b"new"), {})
        directory.retain(1)
        try:
            publish(directory, "taxi", Recorder(store.url, stop_at), CONFIG)
            ended = True
        except KeyboardInterrupt:
            pass
        for number in {*served(store), *complete(store)}:
            assert differences(store, number) == [], (stop_at, number)
        assert served(store) in ([100], [101]), stop_at
        publish(directory, "taxi", store, CONFIG)
        assert list(complete(store)) == [101] == served(store), stop_at
    assert stop_at > 25


def _model(folder: Path, content: bytes) -> Path:
    made = folder / content.decode()
    return made if made.exists() else fake_model(made, content)


class Liar(ObjectFolder):
    """A store that gives other bytes back than it was given."""

    def put(self, name: str, content: bytes | Path) -> None:
        super().put(name, b"spoiled" if name.endswith("variables.index") else content)


def test_bytes_that_are_read_back_otherwise_get_no_manifest(directory: ServingDirectory, store: Any) -> None:
    with pytest.raises(ServingError, match=r"variables/variables.index is of other bytes"):
        publish(directory, "taxi", Liar(store.url), CONFIG)
    assert complete(store) == {} and served(store) == []
    publish(directory, "taxi", store, CONFIG)
    assert list(complete(store)) == [100, 101]


class Refusing(ObjectFolder):
    def put(self, name: str, content: bytes | Path) -> None:
        raise tf.errors.PermissionDeniedError(None, None, "403 Forbidden")


def test_a_store_that_refuses_is_a_plain_error(directory: ServingDirectory, store: Any) -> None:
    with pytest.raises(ServingError, match="403 Forbidden") as caught:
        publish(directory, "taxi", Refusing(store.url), CONFIG)
    assert "live in the serving directory" in str(caught.value)
    assert directory.live().number == 101


@pytest.fixture
def file_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of this machine is taken for an object store, here only."""
    monkeypatch.setattr("components.serving.config.OBJECT_STORES", ("gs", "s3", "file"))


def test_push_rollback_and_labels_reach_the_store(
    tmp_path: Path, file_urls: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The functions that the pusher and the command line call; a push that is a no-op still completes the copy."""
    asked: list[str] = []

    def here(module: str, job: dict[str, Any], *_: Any, **__: Any) -> subprocesses.Outcome:
        asked.append(module)
        return subprocesses.Outcome(published.main(job), 0, "", "", 0.0)

    monkeypatch.setattr(subprocesses, "run", here)
    store = ObjectFolder(f"file://{tmp_path}/reached")
    config = ServingConfig(publish_to=store.url, versions_kept=3)
    base = tmp_path / "taxi"
    first = push.push(fake_model(tmp_path / "a", b"a"), base, "taxi", {}, config)
    second = push.push(fake_model(tmp_path / "b", b"b"), base, "taxi", {}, config)
    assert served(store) == [second.version]
    operations.promote(ServingDirectory(base), "taxi", first.version, "stable")
    assert served(store) == [first.version, second.version]
    rolled = operations.rollback(ServingDirectory(base), "taxi", None)
    assert served(store) == [first.version, rolled.result.version]
    store.remove(f"{rolled.result.version}/{MANIFEST_FILE}")
    assert not push.push(tmp_path / "a", base, "taxi", {}, config).pushed
    assert list(complete(store)) == [first.version, second.version, rolled.result.version]
    assert set(asked) == {published.__name__} and len(asked) == 5


def test_in_a_process_of_its_own(tmp_path: Path, file_urls: None) -> None:
    """For real; then without tensorflow-io, whose error arrives as our own, while the push itself stands."""
    store = ObjectFolder(f"file://{tmp_path}/reached")
    base = tmp_path / "taxi"
    pushed = push.push(fake_model(tmp_path / "a", b"a"), base, "taxi", {}, ServingConfig(publish_to=store.url))
    assert served(store) == [pushed.version]
    with pytest.raises(ServingError, match="tensorflow-io"):
        push.push(fake_model(tmp_path / "b", b"b"), base, "taxi", {}, ServingConfig(publish_to="s3://bucket/x"))
    assert ServingDirectory(base).live().number > pushed.version


def test_a_copy_that_takes_too_long_is_ended_and_said(tmp_path: Path, file_urls: None) -> None:
    config = ServingConfig(publish_to=f"file://{tmp_path}/reached", publish_timeout_seconds=0.1)
    with pytest.raises(ServingError, match=r"did not end within 0\.1 s") as caught:
        push.push(fake_model(tmp_path / "a", b"a"), tmp_path / "taxi", "taxi", {}, config)
    assert "live in the serving directory" in str(caught.value)


@pytest.mark.parametrize("url", ["/mnt/serving", "bucket/folder", "minio://bucket/x", "gs://", "gs:///"])
def test_what_is_no_object_store_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is no folder of an object store"):
        ServingConfig(publish_to=url)


def test_s3_says_what_it_needs() -> None:
    with pytest.raises(ServingError, match="tensorflow-io"):
        ObjectFolder("s3://bucket/serving/taxi")


def test_a_url_without_a_file_system_is_said() -> None:
    with pytest.raises(ServingError, match="no file system"):
        ObjectFolder("nosuch://bucket/x")
