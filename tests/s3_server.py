"""An S3 server as a process of its own: moto's, or the one that `TAXIWAY_TEST_S3` describes.

`TAXIWAY_TEST_S3=http://127.0.0.1:9000` (with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`) takes a server that runs
already, such as MinIO or SeaweedFS.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.error import URLError

VARIABLE = "TAXIWAY_TEST_S3"
KEYS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests-secret"}


@dataclass(frozen=True)
class S3Server:
    """A running server, with a bucket of the tests' own.

    Attributes:
        url: Endpoint.
        bucket: Name of the bucket.
        keys: Credentials, as environment variables.
    """

    url: str
    bucket: str
    keys: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs."""
        return {**self.keys, "AWS_ENDPOINT_URL_S3": self.url, "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def run_server() -> Iterator[S3Server]:
    """Starts a server for the time of the context."""
    given = os.environ.get(VARIABLE)
    if given:
        yield _make_bucket(given, {name: os.environ[name] for name in KEYS})
        return
    port = _find_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for_server(url, process)
        yield _make_bucket(url, KEYS)
    finally:
        process.terminate()
        process.wait(30)


def _find_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_for_server(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None, "the S3 server ended"
        try:
            urllib.request.urlopen(f"{url}/moto-api/", timeout=5).close()
            return
        except (URLError, OSError):
            time.sleep(0.1)
    raise AssertionError("the S3 server does not answer")


def _make_bucket(url: str, keys: dict[str, str]) -> S3Server:
    import boto3

    bucket = f"tests-{uuid.uuid4().hex[:12]}"
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_bucket(Bucket=bucket)
    return S3Server(url, bucket, dict(keys))
