"""The REST client over a connection that the server closed because it was idle."""

import socket
import threading

import pytest

from taxiway.components.errors import ServingError
from taxiway.components.serving.requests.clients import RestClient

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
    assert client.post_body(b"{}") == (200, '{"outputs": []}')
    assert client.post_body(b"{}") == (200, '{"outputs": []}')
    thread.join(timeout=10)
    with pytest.raises(ServingError, match="No server answers"):
        client.post_body(b"{}")
