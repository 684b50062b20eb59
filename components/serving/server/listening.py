"""Opens the socket of an HTTP server."""

from __future__ import annotations

import socket

from taxiway.components.errors import ServingError


def open_socket(host: str, port: int, option: str) -> socket.socket:
    """A socket that listens.

    Args:
        host: Address of this machine.
        port: Port; 0: a free one.
        option: The option that chooses another port.

    Raises:
        ServingError: The address is taken, or none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named TCP, or asyncio does not switch Nagle's algorithm off and every answer waits 40 ms for a delayed ACK.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(2048)  # from here on a client waits rather than being refused
    except OSError as error:
        sock.close()
        raise make_address_error(host, port, option) from error
    return sock


def make_address_error(host: str, port: int, option: str) -> ServingError:
    """Says that nothing can listen on an address."""
    return ServingError(f"Nothing can listen on {host} port {port}.", f"Choose another one with {option}, or 0.")


def bracket_host(host: str) -> str:
    """The host as a URL has it."""
    return f"[{host}]" if ":" in host else host
