"""Refuses requests that a web page may have made: a browser lets any page send some to 127.0.0.1.

Three things tell: the name that the browser asked for (`Host`: DNS rebinding gives a page's own name our address), the
page it was on (`Origin`, `Sec-Fetch-Site`), and the content types that a form or `fetch` sends without asking first.
Programs send none of these, so they see no difference.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers

_OF_FORMS = ("text/plain", "multipart/form-data")
"""Sent by pages without a preflight. `application/x-www-form-urlencoded` is too, but `curl -d` sends it as well."""

_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[\w.-]+)(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE)
"""`host` or `host:port`. What holds more (`/`, `?`, `#`, `@`, a space) is another address to the next program."""


class OriginRules:
    """Which hosts a server answers for."""

    def __init__(self, host: str, allowed: Iterable[str] = ()) -> None:
        """Args:
        host: The address it listens on.
        allowed: More names under which clients reach it; `*`: any.
        """
        names = {host, "localhost", *allowed}
        if not is_loopback(host):
            names.add(socket.gethostname())
        self._names = {name.strip().lower().strip("[]") for name in names if name.strip()}

    def find_refusal(self, method: str, headers: Headers) -> tuple[int, str] | None:
        """HTTP's number and the reason, or None where the request may be answered."""
        if "*" not in self._names:
            said = headers.get("host")
            if said is not None and not self._is_known_host(said):
                return 403, f"This server does not answer for the host {said[:100]!r}: start it with --allow-host NAME"
            if not self._is_same_site(headers):
                page = headers.get("origin", "another site")[:100]
                return 403, f"This server answers no web page of {page!r}: start it with --allow-host NAME"
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if method == "POST" and kind in _OF_FORMS:
            return 415, f"The content type {kind} is not taken: send application/json"
        return None

    def _is_known_host(self, authority: str) -> bool:
        name = _parse_host(authority)
        # An address in numbers is no name that somebody could point here.
        return name in self._names or _is_address(name) or name.endswith(".localhost")

    def _is_same_site(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        authority = _parse_authority(origin)
        return authority == headers.get("host", "").lower() or _parse_host(authority) in self._list_chosen_names()

    def _list_chosen_names(self) -> set[str]:
        """Names that somebody has chosen: a page on localhost under another port is another page."""
        return {name for name in self._names if name != "localhost" and not _is_address(name)}


def _parse_authority(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _parse_host(authority: str) -> str:
    """The host of `host:port`, without the brackets of an IPv6 address; empty where it is none."""
    found = _AUTHORITY.fullmatch(authority)
    return found[1].lower().strip("[]").rstrip(".") if found else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine alone."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)
