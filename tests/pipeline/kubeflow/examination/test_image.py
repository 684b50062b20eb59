"""Whether a registry has the image: asked of one that answers by the OCI distribution specification."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from urllib.parse import parse_qs, urlsplit

import pytest

from taxiway.pipeline.kubeflow.examination.image import check_image, parse_image

TOKEN = "read-only"


class Registry:
    """One image, `team/taxiway:1`; `public` for whoever fetches a token, or for anyone."""

    def __init__(self) -> None:
        self.public, self.tokens = True, True
        self.asked: list[str] = []

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(f"{request.command} {request.path}")
        parts = urlsplit(request.path)
        if parts.path == "/token":
            scope = parse_qs(parts.query)["scope"]
            assert scope == ["repository:team/taxiway:pull"]
            return (200, {}, json.dumps({"token": TOKEN}).encode()) if self.public else (401, {}, b"")
        if self.tokens and request.headers.get("authorization") != f"Bearer {TOKEN}":
            realm = f'Bearer realm="http://{request.headers["host"]}/token",service="registry",scope="x"'
            return 401, {"WWW-Authenticate": realm}, b""
        found = parts.path == "/v2/team/taxiway/manifests/1"
        assert "oci.image.index" in request.headers["accept"] and request.command == "HEAD"
        return (200 if found else 404), {}, b""


@pytest.fixture()
def registry():
    state = Registry()

    class Handler(http.server.BaseHTTPRequestHandler):
        def _do(self) -> None:
            status, headers, body = state.answer(self)
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_GET = do_HEAD = _do  # noqa: N815

        def log_message(self, *_) -> None:
            """Nothing on the tests' output."""

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
    state.host = f"127.0.0.1:{httpd.server_address[1]}"
    yield state
    httpd.shutdown()
    httpd.server_close()


def test_an_image_that_is_there(registry):
    assert check_image(f"{registry.host}/team/taxiway:1", ()).state == "ok"  # with a token that everyone gets
    registry.tokens = False
    assert check_image(f"{registry.host}/team/taxiway:1", ()).state == "ok"


def test_an_image_that_is_not(registry):
    found = check_image(f"{registry.host}/team/taxiway:2", ())
    assert found.state == "failed" and "no team/taxiway with 2" in found.detail


def test_a_private_image(registry):
    registry.public = False
    found = check_image(f"{registry.host}/team/taxiway:1", ())
    assert found.state == "unknown" and "image_pull_secrets" in found.remedy
    found = check_image(f"{registry.host}/team/taxiway:1", ("pull",))
    assert found.state == "unknown" and "the secret pull" in found.detail


def test_a_token_is_not_fetched_from_just_anywhere(registry):
    def lie(request):
        registry.asked.append(request.path)
        return 401, {"WWW-Authenticate": 'Bearer realm="http://169.254.169.254/token",service="x"'}, b""

    registry.answer = lie
    assert check_image(f"{registry.host}/team/taxiway:1", ()).state == "unknown"
    assert registry.asked == ["/v2/team/taxiway/manifests/1"]


def test_a_registry_that_this_machine_does_not_reach():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    found = check_image(f"{host}/team/taxiway:1", ())
    assert found.state == "unknown" and "the cluster may reach it" in found.detail


def test_no_image():
    found = check_image("", ())
    assert found.state == "failed" and "make image" in found.remedy


@pytest.mark.parametrize(
    ("image", "registry", "repository", "reference"),
    [
        ("taxiway", "registry-1.docker.io", "library/taxiway", "latest"),
        ("team/taxiway:1", "registry-1.docker.io", "team/taxiway", "1"),
        ("docker.io/team/taxiway:1", "registry-1.docker.io", "team/taxiway", "1"),
        ("localhost:5000/taxiway:0.1.0-4f2a", "localhost:5000", "taxiway", "0.1.0-4f2a"),
        ("ghcr.io/team/a/b@sha256:abc", "ghcr.io", "team/a/b", "sha256:abc"),
        ("ghcr.io/team/b:1@sha256:abc", "ghcr.io", "team/b", "sha256:abc"),
        ("localhost/taxiway", "localhost", "taxiway", "latest"),
    ],
)
def test_names_are_read_as_engines_read_them(image, registry, repository, reference):
    name = parse_image(image)
    assert (name.registry, name.repository, name.reference) == (registry, repository, reference)
    assert name.url.startswith("http://" if registry.startswith("localhost") else "https://")
