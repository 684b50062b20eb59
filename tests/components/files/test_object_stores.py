"""Folders of an object store, against an S3 server that is a process of its own."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from taxiway.components.errors import StoreError
from taxiway.components.files import object_stores
from taxiway.components.files.object_stores import ObjectFolder, explain_store_errors, open_file_system
from tests import s3_server


@pytest.fixture(params=["s3", "minio", "file"])
def folder(request, s3, tmp_path) -> ObjectFolder:
    """Each test has a prefix of its own."""
    if request.param == "file":
        return ObjectFolder(f"file://{tmp_path}/bucket/a/1")
    return ObjectFolder(f"{request.param}://{s3.bucket}/{tmp_path.name}/a/1")


def beside(folder: ObjectFolder) -> ObjectFolder:
    """`a/10` beside `a/1`."""
    return ObjectFolder(f"{folder.url}0")


def test_what_is_put_is_listed_read_and_removed(folder, tmp_path):
    file = tmp_path / "content"
    file.write_bytes(b"abc" * 1000)
    folder.put_object("x/y z.txt", b"hello")
    folder.put_object("x/ünï", file)
    assert folder.list_names() == {"x/y z.txt", "x/ünï"} and folder.list_folders() == {"x"}
    assert folder.read_object("x/y z.txt") == b"hello" and folder.read_object("x/nothing") is None
    assert folder.list_objects("x")["x/ünï"].size == 3000 and folder.list_objects()["x/ünï"].modified > 0
    folder.download_object("x/ünï", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == file.read_bytes()
    assert folder.hash_object("x/y z.txt").startswith("2cf24dba") and folder.hash_object("x/nothing") == ""
    folder.remove_object("x/y z.txt")
    folder.remove_folder("x")
    folder.remove_folder("x")
    assert folder.list_names() == set() and folder.list_folders() == set()


def test_a_name_that_another_begins_with_is_another_folder(folder):
    folder.put_object("one", b"1")
    beside(folder).put_object("ten", b"10")
    beside(folder).put_object("one", b"10")
    assert folder.list_names() == {"one"}
    folder.remove_folder("one0")
    folder.remove_folder("")
    assert beside(folder).list_names() == {"ten", "one"}


def test_an_object_written_again_has_another_version(folder):
    folder.put_object("x", b"1")
    first = folder.list_objects()["x"]
    folder.put_object("x", b"22")
    assert folder.list_objects()["x"].version != first.version and folder.read_object("x") == b"22"


def test_more_objects_than_a_page_of_the_listing(s3, tmp_path):
    folder = ObjectFolder(f"s3://{s3.bucket}/{tmp_path.name}/many")
    _, path = open_file_system(folder.url)
    folder._files.pipe({f"{path}/{n:04}": b"x" for n in range(1105)})
    assert len(folder.list_names()) == 1105 and "1104" in folder.list_names()


def test_a_large_file_goes_in_parts(s3, tmp_path, monkeypatch):
    monkeypatch.setattr(object_stores, "PART_BYTES", 5 << 20)
    folder = ObjectFolder(f"s3://{s3.bucket}/{tmp_path.name}")
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * 50_000)
    folder.put_object("large", large)
    listed = folder.list_objects()["large"]
    assert listed.size == 12_800_000 and listed.version.endswith("-3")
    folder.download_object("large", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == large.read_bytes()


class BreakingProxy:
    """Passes connections on to a server; resets each of the first few in the middle of what is sent."""

    def __init__(self, port: int, resets: int) -> None:
        self._port, self.resets, self.connections = port, resets, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.connections <= self.resets:
                client.recv(200)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # closing is a reset
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._port))
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=(source, target), daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self) -> None:
        self._listener.close()


def test_a_connection_that_is_reset_is_tried_again(s3, tmp_path, monkeypatch):
    proxy = BreakingProxy(int(s3.url.rpartition(":")[2]), resets=2)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
    folder = ObjectFolder(f"s3://{s3.bucket}/{tmp_path.name}")
    folder.put_object("x", b"whole")
    assert proxy.connections > 2
    proxy.close()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.url)
    assert ObjectFolder(folder.url).read_object("x") == b"whole"


def test_nobody_answers(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(StoreError, match="cannot be reached") as raised:
        ObjectFolder("s3://bucket/x").list_names()
    assert "AWS_ENDPOINT_URL_S3" in raised.value.remedy


def test_no_credentials(s3, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    object_stores._make_s3.cache_clear()
    with pytest.raises(StoreError, match="redentials") as raised:
        ObjectFolder(f"s3://{s3.bucket}/x").put_object("a", b"b")
    assert "AWS_ACCESS_KEY_ID" in raised.value.remedy
    object_stores._make_s3.cache_clear()


def test_the_identity_of_a_pods_service_account(s3, monkeypatch, tmp_path):
    """The cluster puts a role and a token's file into the pod; the security token service answers with keys."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    if s3_server.VARIABLE in os.environ:
        pytest.skip("the server given has no roles")
    (tmp_path / "token").write_text("a.service.account")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/taxiway")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", s3.url)
    object_stores._make_s3.cache_clear()
    folder = ObjectFolder(f"s3://{s3.bucket}/{tmp_path.name}")
    folder.put_object("x", b"by a role")
    assert folder.read_object("x") == b"by a role"
    object_stores._make_s3.cache_clear()


def test_google_without_credentials(monkeypatch, tmp_path):
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    object_stores._make_gcs.cache_clear()
    with pytest.raises(StoreError, match="credentials were not found") as raised:
        ObjectFolder("gs://bucket/x")
    assert "GOOGLE_APPLICATION_CREDENTIALS" in raised.value.remedy


def test_a_missing_package_is_named_with_its_extra(s3, monkeypatch):
    def fail(*_: object) -> None:
        raise ImportError("No module named 's3fs'")

    monkeypatch.setattr(object_stores, "_make_s3", fail)
    with pytest.raises(StoreError, match="needs the package s3fs") as raised:
        ObjectFolder("minio://bucket/x")
    assert raised.value.remedy == "Install it: pip install 'taxiway[s3]'"


@pytest.mark.parametrize("url", ["http://bucket/x", "/a/path", "s3://", "nosuch://a/b"])
def test_what_is_no_object_store_is_refused(url):
    with pytest.raises(StoreError, match="is no URL of an object store"):
        ObjectFolder(url)


def test_errors_that_are_not_the_stores_pass():
    with pytest.raises(ZeroDivisionError), explain_store_errors("s3://x/y"):
        raise ZeroDivisionError


def test_a_file_that_is_half_written_is_not_seen(s3, tmp_path, monkeypatch):
    """An upload in parts that is broken off leaves nothing under its name."""
    monkeypatch.setattr(object_stores, "PART_BYTES", 5 << 20)
    folder = ObjectFolder(f"s3://{s3.bucket}/{tmp_path.name}")
    large = tmp_path / "large"
    large.write_bytes(b"x" * (12 << 20))
    files = folder._files
    calls = []

    async def break_off(method: str, *args: object, **kwargs: object) -> object:
        calls.append(method)
        if method == "upload_part" and calls.count("upload_part") > 1:
            raise ConnectionResetError("broken off")
        return await type(files)._call_s3(files, method, *args, **kwargs)

    monkeypatch.setattr(files, "_call_s3", break_off)
    with pytest.raises(StoreError, match="broken off"):
        folder.put_object("large", large)
    monkeypatch.undo()
    assert folder.read_object("large") is None if Path(large).exists() else False
