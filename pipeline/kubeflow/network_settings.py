"""Proxy and certificates for the API server, from the variables that other clients read.

kfp's client takes both as arguments and reads no variable: it goes around a proxy, and trusts Mozilla's list alone.
"""

from __future__ import annotations

import os
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from taxiway.components.errors import UsageError

CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Files of certificates: of OpenSSL, of requests, of curl; the first that is set counts."""


@dataclass(frozen=True)
class NetworkSettings:
    """How a host is reached.

    Attributes:
        proxy: URL of the proxy; None: none.
        ca_file: File with the certificates of the authorities to trust; None: the client's own.
    """

    proxy: str | None
    ca_file: str | None


def read_settings(host: str) -> NetworkSettings:
    """The settings for a host, of `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY` and the variables of certificates.

    Args:
        host: URL of the server.

    Raises:
        UsageError: A variable names a file that is not there.
    """
    parts = urllib.parse.urlsplit(host)
    proxy = urllib.request.getproxies_environment().get(parts.scheme)
    around = bool(urllib.request.proxy_bypass(parts.netloc))
    return NetworkSettings(None if around else proxy, _find_ca_file())


def _find_ca_file() -> str | None:
    for variable in CA_VARIABLES:
        file = os.environ.get(variable)
        if file and not Path(file).is_file():
            raise UsageError(f"{variable} names {file}, which is no file.", "Name a file of PEM certificates.")
        if file:
            return file
    return None
