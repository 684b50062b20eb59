"""The stores' clients go through the proxy that the environment names."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from taxiway.components.files import object_stores


class Proxy(BaseHTTPRequestHandler):
    """Notes what it is asked for, and knows nothing."""

    def answer(self):
        self.server.asked.append(self.path)
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_PUT = answer  # noqa: N815

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture()
def proxy(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in ("HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_address[1]}")
    yield server
    server.shutdown()
    server.server_close()


def test_s3(proxy, monkeypatch):
    pytest.importorskip("s3fs")
    for name, value in {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "x"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://store.example")
    object_stores._make_s3.cache_clear()
    system, path = object_stores.open_file_system("s3://bucket/file")
    with pytest.raises(FileNotFoundError):
        system.cat_file(path)
    assert proxy.asked[0].startswith("http://store.example/bucket/file")


def test_google(proxy, monkeypatch):
    pytest.importorskip("gcsfs")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://store.example")
    system = object_stores._make_gcs('"anon"')
    with pytest.raises(FileNotFoundError):
        system.cat_file("bucket/file")
    assert proxy.asked[0].startswith("http://store.example/")
