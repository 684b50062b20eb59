"""The copy on an object store.

`file://` for the most part: the same calls as for a bucket, none of them a rename. What readers of a bucket see
meanwhile is looked at on an S3 server.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from taxiway.components.errors import ServingError, StoreError
from taxiway.components.files.object_stores import ObjectFolder
from taxiway.components.processes import subprocesses
from taxiway.components.saved_models.manifest import MANIFEST_FILE
from taxiway.components.serving.config import ServingConfig
from taxiway.components.serving.versions import object_store, operations, push, server_files
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.components.serving.versions.object_store import (
    MODEL_FILE,
    copy_versions,
    find_complete_versions,
    find_stored_differences,
)
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
    content = store.read_object(f"server/{server_files.MODELS_CONFIG}")
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

    def put_object(self, name: str, content: bytes | Path) -> None:
        self._step()
        super().put_object(name, content)
        self.calls.append(f"put {name}")
        self._step()

    def remove_object(self, name: str) -> None:
        self._step()
        super().remove_object(name)
        self.calls.append(f"remove {name}")
        self._step()


def test_the_model_is_put_after_its_files_and_the_manifest_last(directory: ServingDirectory, store: Any) -> None:
    recorder = Recorder(store.url)
    assert copy_versions(directory, "taxi", recorder, CONFIG).copied == (100, 101)
    of_one = [call.removeprefix("put 101/") for call in recorder.calls if "101/" in call]
    assert of_one[-2:] == [MODEL_FILE, MANIFEST_FILE] and len(of_one) == 7
    assert recorder.calls[-1] == "put server/models.config"
    assert list(find_complete_versions(store)) == [100, 101] and served(store) == [101]
    assert find_stored_differences(store, 100) == find_stored_differences(store, 101) == []
    assert find_stored_differences(store, 7) == [f"{MANIFEST_FILE} is missing"]


def test_the_same_again_puts_nothing(directory: ServingDirectory, store: Any) -> None:
    copy_versions(directory, "taxi", store, CONFIG)
    recorder = Recorder(store.url)
    assert copy_versions(directory, "taxi", recorder, CONFIG) == object_store.PublishResult(store.url, (), ())
    assert recorder.calls == []


def test_what_retention_took_goes_after_the_configuration_names_it_no_more(
    directory: ServingDirectory, store: Any, tmp_path: Path
) -> None:
    copy_versions(directory, "taxi", store, CONFIG)
    directory.push(fake_model(tmp_path / "third", b"third"), {})
    directory.retain_newest(1)
    recorder = Recorder(store.url)
    done = copy_versions(directory, "taxi", recorder, CONFIG)
    assert (done.copied, done.removed) == ((102,), (100, 101)) and served(store) == [102]
    configured = recorder.calls.index("put server/models.config")
    assert configured < recorder.calls.index(f"remove 100/{MANIFEST_FILE}")
    assert recorder.calls.index(f"remove 100/{MANIFEST_FILE}") < recorder.calls.index(f"remove 100/{MODEL_FILE}")
    assert store.list_folders() == {"102", "server"}, "an empty folder would still be a version"


def test_broken_off_anywhere_readers_see_whole_versions_only(tmp_path: Path) -> None:
    """Before and after every put and removal: what the configuration names is whole, and doing it again completes."""
    stop_at, ended = 0, False
    while not ended:
        stop_at += 1
        directory = ServingDirectory(tmp_path / str(stop_at), clock=lambda: 100.0)
        store = ObjectFolder(f"file://{tmp_path}/broken/{stop_at}")
        directory.push(_model(tmp_path, b"old"), {})
        copy_versions(directory, "taxi", store, CONFIG)
        directory.push(_model(tmp_path, b"new"), {})
        directory.retain_newest(1)
        try:
            copy_versions(directory, "taxi", Recorder(store.url, stop_at), CONFIG)
            ended = True
        except KeyboardInterrupt:
            pass
        for number in {*served(store), *find_complete_versions(store)}:
            assert find_stored_differences(store, number) == [], (stop_at, number)
        assert served(store) in ([100], [101]), stop_at
        copy_versions(directory, "taxi", store, CONFIG)
        assert list(find_complete_versions(store)) == [101] == served(store), stop_at
    assert stop_at > 25


def _model(folder: Path, content: bytes) -> Path:
    made = folder / content.decode()
    return made if made.exists() else fake_model(made, content)


class Liar(ObjectFolder):
    """A store that gives other bytes back than it was given."""

    def put_object(self, name: str, content: bytes | Path) -> None:
        super().put_object(name, b"spoiled" if name.endswith("variables.index") else content)


def test_bytes_that_are_read_back_otherwise_get_no_manifest(directory: ServingDirectory, store: Any) -> None:
    with pytest.raises(ServingError, match=r"variables/variables.index is of other bytes"):
        copy_versions(directory, "taxi", Liar(store.url), CONFIG)
    assert find_complete_versions(store) == {} and served(store) == []
    copy_versions(directory, "taxi", store, CONFIG)
    assert list(find_complete_versions(store)) == [100, 101]


class Refusing(ObjectFolder):
    def put_object(self, name: str, content: bytes | Path) -> None:
        raise StoreError("403 Forbidden.", "Ask who owns the bucket.")


def test_a_store_that_refuses_is_a_plain_error(directory: ServingDirectory, store: Any) -> None:
    with pytest.raises(ServingError, match="403 Forbidden") as caught:
        copy_versions(directory, "taxi", Refusing(store.url), CONFIG)
    assert "live in the serving directory" in str(caught.value)
    assert directory.find_live().number == 101


@pytest.fixture
def file_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of this machine is taken for an object store, here only."""
    monkeypatch.setattr("taxiway.components.serving.config.OBJECT_STORES", ("gs", "s3", "file"))


def test_push_rollback_and_labels_reach_the_store(
    tmp_path: Path, file_urls: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The functions that the pusher and the command line call; a push that is a no-op still completes the copy."""
    asked: list[str] = []

    def here(module: str, job: dict[str, Any], *_: Any, **__: Any) -> subprocesses.ChildOutcome:
        asked.append(module)
        return subprocesses.ChildOutcome(object_store.main(job), 0, "", "", 0.0)

    monkeypatch.setattr(subprocesses, "run_module", here)
    store = ObjectFolder(f"file://{tmp_path}/reached")
    config = ServingConfig(publish_to=store.url, versions_kept=3)
    base = tmp_path / "taxi"
    first = push.push_model(fake_model(tmp_path / "a", b"a"), base, "taxi", {}, config)
    second = push.push_model(fake_model(tmp_path / "b", b"b"), base, "taxi", {}, config)
    assert served(store) == [second.version]
    operations.promote_version(ServingDirectory(base), "taxi", first.version, "stable")
    assert served(store) == [first.version, second.version]
    rolled = operations.rollback_version(ServingDirectory(base), "taxi", lambda: None)
    assert served(store) == [first.version, rolled.result.version]
    store.remove_object(f"{rolled.result.version}/{MANIFEST_FILE}")
    assert not push.push_model(tmp_path / "a", base, "taxi", {}, config).pushed
    assert list(find_complete_versions(store)) == [first.version, second.version, rolled.result.version]
    assert set(asked) == {object_store.__name__} and len(asked) == 5


def test_in_a_process_of_its_own(tmp_path: Path, file_urls: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """For real; then to a store where nobody answers, whose error arrives as our own, while the push itself stands."""
    store = ObjectFolder(f"file://{tmp_path}/reached")
    base = tmp_path / "taxi"
    pushed = push.push_model(fake_model(tmp_path / "a", b"a"), base, "taxi", {}, ServingConfig(publish_to=store.url))
    assert served(store) == [pushed.version]
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    with pytest.raises(ServingError, match="cannot be reached"):
        push.push_model(fake_model(tmp_path / "b", b"b"), base, "taxi", {}, ServingConfig(publish_to="s3://bucket/x"))
    assert ServingDirectory(base).find_live().number > pushed.version


def test_a_copy_that_takes_too_long_is_ended_and_said(tmp_path: Path, file_urls: None) -> None:
    config = ServingConfig(publish_to=f"file://{tmp_path}/reached", publish_timeout_seconds=0.1)
    with pytest.raises(ServingError, match=r"did not end within 0\.1 s") as caught:
        push.push_model(fake_model(tmp_path / "a", b"a"), tmp_path / "taxi", "taxi", {}, config)
    assert "live in the serving directory" in str(caught.value)


@pytest.mark.parametrize("url", ["/mnt/serving", "bucket/folder", "minio://bucket/x", "gs://", "gs:///"])
def test_what_is_no_object_store_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is no folder of an object store"):
        ServingConfig(publish_to=url)


class Watcher(threading.Thread):
    """A server that follows the folder: lists it again and again, and notes every version that it sees."""

    def __init__(self, url: str, whole: set[str]) -> None:
        super().__init__(daemon=True)
        self._store, self._whole = ObjectFolder(url), whole
        self.seen: list[frozenset[str]] = []
        self.wrong: list[str] = []
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.is_set():
            configured = served(self._store)
            names = self._store.list_names()
            for number in {name.partition("/")[0] for name in names if name[0].isdigit()}:
                self._look(number, {name.partition("/")[2] for name in names if name.startswith(f"{number}/")})
            self.wrong += [
                f"{n} is configured, without its manifest"
                for n in configured
                if f"{n}/{MANIFEST_FILE}" not in names and n in served(self._store)
            ]

    def _look(self, number: str, files: set[str]) -> None:
        self.seen.append(frozenset(files))
        missing = self._whole - files
        if MANIFEST_FILE in files and missing:
            self.wrong.append(f"{number} has its manifest, not {missing}")
        if MODEL_FILE in files and missing - {MANIFEST_FILE}:
            self.wrong.append(f"{number} has its model, not {missing}")


def test_a_watcher_of_a_bucket_sees_whole_versions_only(s3: Any, tmp_path: Path) -> None:
    """Versions come and go on an S3 server while another client lists: the model is there after its files only."""
    store = ObjectFolder(f"s3://{s3.bucket}/{tmp_path.name}/serving/taxi")
    directory = ServingDirectory(tmp_path / "taxi", clock=lambda: 100.0)
    first = directory.push(fake_model(tmp_path / "0", b"0"), {})
    assert first.path is not None
    whole = {file.relative_to(first.path).as_posix() for file in first.path.rglob("*") if file.is_file()}
    watcher = Watcher(store.url, whole)
    watcher.start()
    for content in (b"1", b"2", b"3"):
        copy_versions(directory, "taxi", store, CONFIG)
        directory.push(fake_model(tmp_path / content.decode(), content), {})
        directory.retain_newest(1)
    copy_versions(directory, "taxi", store, CONFIG)
    watcher.stop.set()
    watcher.join(60)
    assert watcher.wrong == []
    assert any(files < whole for files in watcher.seen) and whole in watcher.seen, "it looked while files came"
    assert list(find_complete_versions(store)) == served(store) == [directory.find_live().number]
    assert store.list_folders() == {str(directory.find_live().number), "server"}
