"""The REST client over a connection that the server closed because nobody spoke."""

import socket
import threading

import pytest

from components.errors import ServingError
from components.serving.client import RestClient

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"outputs": []}'


def serve(times):
    """A server that answers one request a connection, without saying so, and then closes it."""
    listening = socket.create_server(("127.0.0.1", 0))

    def work():
        for _ in range(times):
            connection, _ = listening.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(ANSWER)
        listening.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return f"http://127.0.0.1:{listening.getsockname()[1]}", thread


def test_a_connection_that_was_closed_meanwhile_is_opened_anew():
    address, thread = serve(2)
    client = RestClient(address, "m")
    assert client.raw(b"{}") == (200, '{"outputs": []}')
    assert client.raw(b"{}") == (200, '{"outputs": []}')
    thread.join(timeout=10)
    with pytest.raises(ServingError, match="No server answers"):
        client.raw(b"{}")
