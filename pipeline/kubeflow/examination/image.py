"""The image: whether one is named, and whether its registry has it, as far as this machine can tell.

Registries answer by the OCI distribution specification: `HEAD /v2/NAME/manifests/REFERENCE`, and 401 with the address
at which a token for reading is had, without an account where the image is public.
"""

from __future__ import annotations

import contextlib
import json
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse

from taxiway.pipeline.kubeflow.examination.finding import ServerFinding
from taxiway.pipeline.kubeflow.network_settings import read_settings

TIMEOUT_SECONDS = 10.0
DEFAULT_REGISTRY = "registry-1.docker.io"
_ACCEPT = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.list.v2",
        "docker.distribution.manifest.v2",
    )
)


@dataclass(frozen=True)
class ImageName:
    """The parts of an image's name.

    Attributes:
        registry: Host, with its port.
        repository: Path in the registry.
        reference: Tag or digest.
    """

    registry: str
    repository: str
    reference: str

    @property
    def url(self) -> str:
        """Address of its manifest; a registry on this machine has no certificate."""
        scheme = "http" if re.match(r"(localhost|127\.\d+\.\d+\.\d+)(:|$)", self.registry) else "https"
        return f"{scheme}://{self.registry}/v2/{self.repository}/manifests/{self.reference}"


def parse_image(image: str) -> ImageName:
    """The parts of a name as container engines read it: Docker's registry where none is named."""
    name, _, digest = image.partition("@")
    name, tag = (name.rpartition(":")[0], name.rpartition(":")[2]) if re.search(r":[^/]+$", name) else (name, "latest")
    first, slash, rest = name.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        registry, repository = first, rest
    else:
        registry, repository = DEFAULT_REGISTRY, name if slash else f"library/{name}"
    return ImageName(DEFAULT_REGISTRY if registry == "docker.io" else registry, repository, digest or tag)


def check_image(image: str, pull_secrets: tuple[str, ...]) -> ServerFinding:
    """Whether the image can be pulled.

    Args:
        image: Name of the image; empty: none is named.
        pull_secrets: Names of the secrets with which the pods pull it.
    """
    if not image:
        remedy = "Build it with `make image`, push it, and set resources.kubeflow.image."
        return ServerFinding(name="image", state="failed", detail="None is named.", remedy=remedy)
    name = parse_image(image)
    try:
        status = _ask_registry(name)
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        return _make_unknown(f"{image}: {name.registry} does not answer here ({reason}); the cluster may reach it.")
    return _judge_status(image, name, status, pull_secrets)


def _judge_status(image: str, name: ImageName, status: int, pull_secrets: tuple[str, ...]) -> ServerFinding:
    if status == 200:
        return ServerFinding(name="image", state="ok", detail=f"{image}: {name.registry} has it.")
    if status == 404:
        detail = f"{image}: {name.registry} has no {name.repository} with {name.reference}."
        return ServerFinding(name="image", state="failed", detail=detail, remedy="Push it, or name one that is there.")
    if status in (401, 403):
        if pull_secrets:
            return _make_unknown(f"{image}: private; the pods pull it with the secret {', '.join(pull_secrets)}.")
        return _make_unknown(
            f"{image}: private, or not there.",
            "Make a secret (kubectl create secret docker-registry NAME) and set resources.kubeflow.default."
            "image_pull_secrets, unless the nodes have an account of their own, or it was loaded onto them.",
        )
    return _make_unknown(f"{image}: {name.registry} answers {status}.")


def _make_unknown(detail: str, remedy: str = "") -> ServerFinding:
    return ServerFinding(name="image", state="unknown", detail=detail, remedy=remedy)


def _ask_registry(name: ImageName) -> int:
    """The registry's status for the manifest, asked again with a token where it offers one to everyone."""
    status, challenge = _ask_manifest(name, "")
    token = _fetch_token(challenge, name) if status == 401 else ""
    return _ask_manifest(name, token)[0] if token else status


def _ask_manifest(name: ImageName, token: str) -> tuple[int, str]:
    headers = {"Accept": _ACCEPT, **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(name.url, headers=headers, method="HEAD")
    try:
        with _open(request) as answer:
            return int(answer.status), ""
    except urllib.error.HTTPError as error:
        with contextlib.closing(error):
            return error.code, error.headers.get("WWW-Authenticate", "")


def _open(request: urllib.request.Request) -> HTTPResponse:
    """Asks, through the proxy and with the authorities of the environment's variables."""
    context = ssl.create_default_context(cafile=read_settings(request.full_url).ca_file)
    answer: HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=context)
    return answer


def _fetch_token(challenge: str, name: ImageName) -> str:
    """A token without an account; empty where the registry wants one."""
    parts = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = parts.get("realm", "")
    if not challenge.lower().startswith("bearer ") or not realm.startswith(("https://", name.url.partition("/v2/")[0])):
        return ""
    query = {"service": parts.get("service", ""), "scope": f"repository:{name.repository}:pull"}
    url = f"{realm}?{urllib.parse.urlencode(query)}"
    try:
        with _open(urllib.request.Request(url)) as answer:
            content = json.loads(answer.read(1 << 20))
    except urllib.error.HTTPError as error:
        error.close()
        return ""
    return str(content.get("token") or content.get("access_token") or "")
