"""A proxy and a private authority: the real client, over TLS, through a proxy that relays."""

from __future__ import annotations

import datetime
import socketserver
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from urllib3.exceptions import MaxRetryError

from taxiway.components.errors import UsageError
from taxiway.pipeline.kubeflow.network_settings import CA_VARIABLES, NetworkSettings, read_settings
from tests.pipeline.kubeflow.api_server import ApiServer, serve

NAME = "kubeflow.example"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in CA_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def make_client(host):
    from kfp.client import Client

    network = read_settings(host)
    return Client(host=host, proxy=network.proxy, ssl_ca_cert=network.ca_file, existing_token="t")


def make_certificate(name, authority=None):
    """A certificate with its key; of its own authority where none is given."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    issuer, signing = (authority[0].subject, authority[1]) if authority else (subject, key)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(signing, hashes.SHA256())
    )
    return made, key


def write_pem(path: Path, *parts) -> Path:
    texts = [
        part.public_bytes(serialization.Encoding.PEM)
        if isinstance(part, x509.Certificate)
        else part.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        for part in parts
    ]
    path.write_bytes(b"".join(texts))
    return path


class Proxy(socketserver.StreamRequestHandler):
    """`CONNECT` to any name ends at the test's own server."""

    def handle(self):
        asked = self.rfile.readline().decode()
        while self.rfile.readline().strip():
            pass
        self.server.asked.append(asked.split()[1])
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socketserver.socket.create_connection(("127.0.0.1", self.server.target)) as upstream:
            back = threading.Thread(target=_relay, args=(upstream, self.connection), daemon=True)
            back.start()
            _relay(self.connection, upstream)
            back.join()


def _relay(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socketserver.socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture()
def tls_backend(nobodys_home, tmp_path):
    """An API server whose certificate is of a private authority."""
    authority = make_certificate("Private CA")
    own = make_certificate(NAME, authority)
    httpd = serve(ApiServer())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(write_pem(tmp_path / "server.pem", own[1], own[0]))
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    yield httpd.server_address[1], write_pem(tmp_path / "ca.pem", authority[0])
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture()
def proxy(tls_backend):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Proxy) as server:
        server.daemon_threads, server.asked, server.target = True, [], tls_backend[0]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_the_client_goes_through_the_proxy_and_trusts_the_private_authority(proxy, tls_backend, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.server_address[1]}")
    monkeypatch.setenv("SSL_CERT_FILE", str(tls_backend[1]))
    assert make_client(f"https://{NAME}").list_experiments(namespace="team") is not None
    assert proxy.asked and set(proxy.asked) == {f"{NAME}:443"}


def test_an_authority_that_nobody_named_is_not_trusted(proxy, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.server_address[1]}")
    with pytest.raises(MaxRetryError, match="CERTIFICATE_VERIFY_FAILED"):
        make_client(f"https://{NAME}").list_experiments(namespace="team")


@pytest.mark.parametrize(
    ("host", "variables", "expected"),
    [
        ("https://a.example/pipeline", {}, None),
        ("https://a.example", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("http://a.example", {"HTTPS_PROXY": "http://p:1"}, None),
        ("http://a.example:8080", {"http_proxy": "http://p:1"}, "http://p:1"),
        ("https://a.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".example"}, None),
        ("https://a.example:8443", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "b.example,a.example"}, None),
        ("http://localhost:8080", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "localhost"}, None),
    ],
)
def test_which_proxy(monkeypatch, host, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert read_settings(host) == NetworkSettings(expected, None)


def test_a_file_of_certificates_that_is_not_there(monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(UsageError, match=r"REQUESTS_CA_BUNDLE names /nowhere/ca.pem, which is no file"):
        read_settings("https://a.example")
