"""Requests that a web page may have made are refused; a program's are not."""

from __future__ import annotations

import socket

import pytest
from starlette.datastructures import Headers

from taxiway.components.serving.server.request_origins import OriginRules

HERE = OriginRules("127.0.0.1", ["models.example"])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "127.0.0.1:8501"},
        {"host": "localhost"},
        {"host": "LOCALHOST:8501"},
        {"host": "[::1]:8501"},
        {"host": "10.1.2.3:8501"},
        {"host": "taxi.localhost:8501"},
        {"host": "models.example:80"},
        {"host": "localhost:8501", "content-type": "application/x-www-form-urlencoded"},
        {"host": "localhost:8501", "content-type": "application/json; charset=utf-8"},
        {"host": "localhost:8501", "origin": "http://localhost:8501"},
        {"host": "localhost:8501", "origin": "https://models.example"},
        {"host": "localhost:8501", "sec-fetch-site": "none"},
    ],
)
def test_answered(headers: dict[str, str]) -> None:
    assert HERE.find_refusal("POST", Headers(headers)) is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 403),
        ({"host": "evil.example:8501"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "localhost.evil.example"}, 403),
        ({"host": "evil@localhost.example"}, 403),
        ({"host": ""}, 403),
        ({"host": "["}, 403),
        ({"host": "127.0.0.1/login?"}, 403),
        ({"host": "127.0.0.1:8501#"}, 403),
        ({"host": "127.0.0.1:8501/"}, 403),
        ({"host": "x@127.0.0.1"}, 403),
        ({"host": "127.0.0.1\\x"}, 403),
        ({"host": "127.0.0.1 x"}, 403),
        ({"host": "[::1]x"}, 403),
        ({"host": "localhost:8501x"}, 403),
        ({"host": "localhost:8501", "origin": "http://x@models.example"}, 403),
        ({"host": "localhost:8501", "origin": "http://evil.example"}, 403),
        ({"host": "localhost:8501", "origin": "http://localhost:3000"}, 403),
        ({"host": "localhost:8501", "origin": "null"}, 403),
        ({"host": "localhost:8501", "origin": "http://["}, 403),
        ({"host": "localhost:8501", "sec-fetch-site": "cross-site"}, 403),
        ({"host": "localhost:8501", "sec-fetch-site": "same-site"}, 403),
        ({"host": "localhost:8501", "content-type": "text/plain;charset=UTF-8"}, 415),
        ({"host": "localhost:8501", "content-type": "Multipart/Form-Data; boundary=x"}, 415),
    ],
)
def test_refused(headers: dict[str, str], status: int) -> None:
    refusal = HERE.find_refusal("POST", Headers(headers))
    assert refusal is not None and refusal[0] == status
    assert status == 415 or "--allow-host" in refusal[1]


def test_what_the_message_says_helps() -> None:
    evil = Headers({"host": "evil.example", "origin": "http://evil.example"})
    assert OriginRules("127.0.0.1", ["evil.example"]).find_refusal("POST", evil) is None
    assert OriginRules("127.0.0.1", ["*"]).find_refusal("POST", evil) is None


def test_a_server_on_every_address_knows_its_machines_name() -> None:
    name = Headers({"host": f"{socket.gethostname()}:8501"})
    assert OriginRules("0.0.0.0").find_refusal("GET", name) is None
    assert OriginRules("0.0.0.0").find_refusal("GET", Headers({"host": "evil.example"})) is not None
