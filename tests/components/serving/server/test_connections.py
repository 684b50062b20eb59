"""What clients may do with connections to the embedded server: idle, slow, many, unfinished, not reading.

The server is the real one, in a process of its own on loopback, with limits that a test can wait for.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import psutil
import pytest

from taxiway.components.serving.server.embedded import LOOPBACK
from tests.components.serving.server_process import MB, PREDICT, Server, serving

OPTIONS = {"--max-connections": 40, "--max-request-mb": 1, "--header-seconds": 2, "--body-seconds": 4}
OPTIONS |= {"--send-seconds": 3, "--drain-seconds": 6}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, taxi_model: Path) -> Path:
    folder = tmp_path_factory.mktemp("serving") / "taxi"
    shutil.copytree(taxi_model, folder / "1")
    return folder


@pytest.fixture(scope="module")
def server(base: Path) -> Iterator[Server]:
    with serving(base, OPTIONS) as started:
        assert started.ask()[0] == 200
        yield started


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    opened: list[socket.socket] = []
    yield opened
    for sock in opened:
        sock.close()


def head(length: int) -> bytes:
    return f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode()


def is_open(sock: socket.socket) -> bool:
    """Whether the other end has not closed it; what it has sent is read away."""
    try:
        while select.select([sock], [], [], 0)[0]:
            if not sock.recv(1 << 16):
                return False
    except OSError:
        return False
    return True


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> bool:
    """Whether it became true; a slow machine has the time."""
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.1)
    return condition()


def test_idle_connections_are_bounded_and_closed(server: Server, sockets: list[socket.socket]) -> None:
    for _ in range(150):
        sockets.append(server.connect())
        assert len(sockets) % 50 or server.ask()[0] == 200
    assert wait_for(lambda: sum(map(is_open, sockets)) <= OPTIONS["--max-connections"])
    assert server.ask()[0] == 200
    assert wait_for(lambda: not any(map(is_open, sockets)))


def test_a_connection_is_idle_again_after_an_answer(server: Server, sockets: list[socket.socket]) -> None:
    sockets.append(server.connect())
    body = b'{"instances": [""]}'
    for _ in range(2):
        sockets[0].sendall(head(len(body)) + body)
        answer = b""
        while not answer.endswith(b"}]}"):
            answer += sockets[0].recv(1 << 16)
        assert b" 200 OK" in answer
    sockets[0].sendall(b"POST /v1")  # and no more
    assert wait_for(lambda: not is_open(sockets[0]))


def trickle(sockets: list[socket.socket], done: Callable[[], bool]) -> bool:
    """Sends a byte to each connection from time to time; whether `done` came true."""

    def send() -> bool:
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.send(b"x")
        return done()

    return wait_for(send)


def test_headers_byte_by_byte_are_given_up(server: Server, sockets: list[socket.socket]) -> None:
    for _ in range(30):
        sockets.append(server.connect())
        sockets[-1].sendall(b"POST / HTTP/1.1\r\nX: ")
    assert server.ask()[0] == 200
    assert trickle(sockets, lambda: not any(map(is_open, sockets)))


def test_a_body_byte_by_byte_is_answered_408(server: Server, sockets: list[socket.socket]) -> None:
    for _ in range(30):
        sockets.append(server.connect())
        sockets[-1].sendall(head(1000))
    assert server.ask()[0] == 200
    answers: dict[socket.socket, bytes] = {}

    def answered() -> bool:
        for sock in select.select(sockets, [], [], 0)[0]:
            with contextlib.suppress(OSError):
                answers[sock] = answers.get(sock, b"") + sock.recv(1 << 16)
        whole = [answer for answer in answers.values() if b"did not arrive within 4 s" in answer]  # or in parts
        return len(whole) == len(sockets)

    assert trickle(sockets, answered)
    assert all(b" 408 " in answer for answer in answers.values())
    assert trickle(sockets, lambda: not any(map(is_open, sockets)))  # sending on does not keep it open


def test_slow_clients_keep_nobody_out(server: Server, sockets: list[socket.socket]) -> None:
    """More of them than connections are taken."""
    for _ in range(2 * OPTIONS["--max-connections"]):
        sockets.append(server.connect())
        with contextlib.suppress(OSError):
            sockets[-1].sendall(head(1000) + b"{")
    assert [server.ask()[0] for _ in range(10)] == [200] * 10
    assert sum(map(is_open, sockets)) <= OPTIONS["--max-connections"]


def test_unfinished_bodies_are_bounded_in_all(server: Server, sockets: list[socket.socket]) -> None:
    before = server.memory_mb()
    for _ in range(30):
        sockets.append(server.connect())
        with contextlib.suppress(OSError):
            sockets[-1].sendall(head(MB) + b" " * (MB - 1))
    assert wait_for(lambda: any(b" 503 " in _peek(sock) for sock in sockets))
    assert server.memory_mb() - before < 60
    assert wait_for(lambda: not any(map(is_open, sockets)))
    assert server.ask()[0] == 200


def _peek(sock: socket.socket) -> bytes:
    try:
        return sock.recv(1 << 12, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError:
        return b""


def test_too_large_a_body_is_refused_at_once_and_not_read_for_ever(
    server: Server, sockets: list[socket.socket]
) -> None:
    sockets.append(server.connect())
    sockets[0].sendall(head(500 * MB))
    assert b" 413 " in sockets[0].recv(1 << 16)
    assert trickle(sockets, lambda: not is_open(sockets[0]))
    chunked = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    sockets.append(server.connect())
    with contextlib.suppress(OSError):
        sockets[1].sendall(chunked + b"20000\r\n" + b" " * 0x20000 + b"\r\n")
        for _ in range(20):
            sockets[1].sendall(b"20000\r\n" + b" " * 0x20000 + b"\r\n")
    assert wait_for(lambda: b" 413 " in _peek(sockets[1]))


def test_a_client_that_does_not_take_its_answer(server: Server, sockets: list[socket.socket]) -> None:
    body = json.dumps({"instances": [""] * 90_000}).encode()
    for _ in range(3):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((LOOPBACK, server.rest_port))
        sockets.append(sock)
        sock.sendall(head(len(body)) + body)
    assert wait_for(lambda: all(b" 200 OK" in _peek(sock) for sock in sockets))
    assert wait_for(lambda: not _connected(server, sockets))
    assert server.ask()[0] == 200


def _connected(server: Server, sockets: list[socket.socket]) -> set[int]:
    """Ports of the sockets that the server still holds: an unread answer hides the end from the client."""
    held = {c.raddr.port for c in psutil.Process(server.process.pid).net_connections("tcp") if c.raddr}
    return held & {sock.getsockname()[1] for sock in sockets}


def test_grpc_connections_without_a_greeting_are_closed(server: Server, sockets: list[socket.socket]) -> None:
    for _ in range(60):
        with contextlib.suppress(OSError):
            sockets.append(server.connect(server.grpc_port))
    assert wait_for(lambda: not any(map(is_open, sockets)))


def test_a_grpc_call_without_its_message_is_ended(server: Server) -> None:
    """As many as the server has threads: they hold none up for ever."""
    never = threading.Event()

    def messages() -> Iterator[bytes]:
        never.wait(120)
        yield b""

    with grpc.insecure_channel(f"{LOOPBACK}:{server.grpc_port}") as channel:
        predict = channel.stream_unary("/tensorflow.serving.PredictionService/Predict")
        calls = [predict.future(messages()) for _ in range(20)]
        assert wait_for(lambda: all(call.done() for call in calls))
        assert {call.code() for call in calls} == {grpc.StatusCode.CANCELLED}
        status = channel.unary_unary("/tensorflow.serving.ModelService/GetModelStatus")
        assert status(b"\x0a\x06\x0a\x04taxi", timeout=60)
        never.set()


POST = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\n".encode()
MESSAGES = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "an unknown version": b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "a length of 5,000 digits": POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "a length of other digits": POST + "Content-Length: ٣\r\n\r\n".encode(),
    "a header of 100 KB": POST + b"X: " + b"x" * 100_000 + b"\r\n\r\n",
    "5,000 headers": POST + b"X: y\r\n" * 5000 + b"\r\n",
    "a path that is no ASCII": "GET /v1/models/é HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
    "a path of bad escapes": b"GET /v1/models/%ff%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no path": b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a proxy's request": b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "CONNECT": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    "a web socket": POST + b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
    "a chunk of no size": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a chunk of 2^64": POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 16 + b"\r\n{",
    "an unknown coding": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "compressed": POST + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
}


@pytest.mark.parametrize("message", MESSAGES)
def test_messages_that_are_no_requests(server: Server, sockets: list[socket.socket], message: str) -> None:
    """The client is told, or the connection ends; the server goes on."""
    sockets.append(server.connect())
    with contextlib.suppress(OSError):
        sockets[0].sendall(MESSAGES[message])
    assert wait_for(lambda: bool(_peek(sockets[0])) or not is_open(sockets[0]))
    answer = _peek(sockets[0])
    assert answer[9:10] in (b"", b"4", b"5") and answer[9:12] not in (b"500", b"502"), answer
    assert server.ask()[0] == 200


def test_a_clients_deadline_over_grpc(server: Server) -> None:
    with grpc.insecure_channel(f"{LOOPBACK}:{server.grpc_port}") as channel:
        predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        with pytest.raises(grpc.RpcError) as caught:
            predict(b"", timeout=-1)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        with pytest.raises(grpc.RpcError) as caught:
            predict(b"\xff", timeout=60)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_hosts_and_origins_over_a_connection(server: Server) -> None:
    connection = http.client.HTTPConnection(LOOPBACK, server.rest_port, timeout=60)
    for headers, status in (({"Host": "evil.example"}, 403), ({"Origin": "http://evil.example"}, 403), ({}, 200)):
        connection.request("GET", "/v1/models/taxi", headers=headers)
        answer = connection.getresponse()
        assert answer.status == status and answer.read()
    connection.close()


def test_a_stop_answers_what_is_under_way_and_leaves_who_is_stuck(base: Path) -> None:
    """40 requests have arrived and one client is stuck in its body: all 40 are answered, within the grace period."""
    body = json.dumps({"instances": [""] * 2000}).encode()
    with serving(base, {"--drain-seconds": 8, "--body-seconds": 60}) as server, contextlib.ExitStack() as stack:
        stuck = stack.enter_context(server.connect())
        stuck.sendall(head(1000) + b"{")
        started = [stack.enter_context(server.connect()) for _ in range(40)]
        for sock in started:
            sock.sendall(head(len(body)) + body)
        assert wait_for(lambda: bool(_peek(started[0])))  # the server is at them
        server.process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        statuses = [sock.recv(12)[9:] for sock in started]
        assert server.process.wait(60) == 0
        assert statuses == [b"200"] * 40
        assert time.monotonic() - begun < 8 + 2  # seconds of grace, and of a busy machine
