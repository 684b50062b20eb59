"""A connection to an API server, through kfp's own client."""

from __future__ import annotations

import contextlib
import shlex
from typing import Any

import kfp_server_api

from taxiway.components.errors import TaxiwayError, UsageError
from taxiway.pipeline.kubeflow.client.credentials import SIGN_IN_REMEDY, read_cookies, read_token, uses_iap
from taxiway.pipeline.kubeflow.client.server_errors import KubeflowUnavailableError, silence_client, translate_errors
from taxiway.pipeline.kubeflow.network_settings import read_settings

REACH_TIMEOUT_SECONDS = 15.0
RUN_PATH = "/apis/v2beta1/runs/{run_id}"


class Connection:
    """One API server, and who asks it.

    Args:
        host: URL of the server.
        namespace: Namespace, in installations with several users.

    Attributes:
        client: kfp's client.

    Raises:
        UsageError: The host is no URL.
        KubeflowServerError: The server does not answer, or does not know who asks.
    """

    def __init__(self, host: str, namespace: str = "") -> None:
        self.host, self.namespace = check_host(host), namespace
        _check_reachable(self.host)
        self.client = self._make_client()

    def _make_client(self) -> Any:
        network = read_settings(self.host)
        with translate_errors(self.host), silence_client():
            from kfp.client import Client

            return Client(
                host=self.host,
                namespace=self.namespace or "kubeflow",
                existing_token=read_token(),
                cookies=read_cookies(),
                proxy=network.proxy,
                ssl_ca_cert=network.ca_file,
            )

    def renew_credentials(self) -> None:
        """Reads the token again, from wherever it comes. What fails here fails again at the next question."""
        with contextlib.suppress(TaxiwayError):
            self.client = self._make_client()

    def make_command(self, command: str, *arguments: str) -> str:
        """A command of `taxiway` for this server, to be copied."""
        words = ["taxiway", command, *arguments, "--host", self.host]
        return shlex.join([*words, "--namespace", self.namespace] if self.namespace else words)

    def fetch_json(self, what: str, path: str, **names: str) -> dict[str, Any]:
        """The answer to a GET as it is; the client's own models drop what newer servers say.

        Args:
            what: What is asked for, in the words of a message.
            path: Path on the server, with `{name}` for what `names` fill in.
            names: Parts of the path.

        Raises:
            KubeflowUnavailableError: The answer is no JSON object, such as a page to sign in.
            KubeflowServerError: The server refuses.
        """
        with translate_errors(f"{self.host}: {what}"):
            answer = self.client.runs.api_client.call_api(
                path, "GET", names, [], {"Accept": "application/json"}, response_type="object",
                auth_settings=["Bearer"], _return_http_data_only=True,
            )  # fmt: skip
        if not isinstance(answer, dict):
            raise KubeflowUnavailableError(
                f"{self.host}: the answer for {what} is none of Kubeflow Pipelines, such as a page to sign in.",
                SIGN_IN_REMEDY,
            )
        return answer

    def fetch_run(self, run_id: str, view: str = "") -> dict[str, Any]:
        """What the server tells of a run, as JSON values.

        Args:
            run_id: Id of the run.
            view: `FULL`, for which a release without ML Metadata lists the tasks; the others do not know views, and
                pass over it. Empty: the server's default.

        Raises:
            KubeflowUnavailableError: There is no answer now, or one that is no run, such as a page to sign in.
            KubeflowServerError: The server refuses.
        """
        path = f"{RUN_PATH}?view={view}" if view else RUN_PATH
        answer = self.fetch_json(f"the run {run_id}", path, run_id=run_id)
        if not answer.get("run_id"):
            raise KubeflowUnavailableError(f"{self.host}: the answer for the run {run_id} is no run.")
        return answer

    def fetch_text(self, what: str, path: str, **names: str) -> str:
        """The answer to a GET that is no JSON, such as a log."""
        with translate_errors(f"{self.host}: {what}"):
            answer = self.client.runs.api_client.call_api(
                path, "GET", names, [], {}, response_type=None,
                auth_settings=["Bearer"], _preload_content=False, _return_http_data_only=True,
            )  # fmt: skip
        return str(answer.data.decode("utf-8", "replace"))


def check_host(host: str) -> str:
    """The URL without a slash at its end.

    Raises:
        UsageError: It is no URL.
    """
    if not host.startswith(("http://", "https://")):
        raise UsageError(f"--host {host!r} is no URL.", "Such as http://localhost:8080 or https://kubeflow.example.")
    return host.rstrip("/")


def _check_reachable(host: str) -> None:
    """Asks once, with a time-out: the client itself asks five times, with pauses, and logs each failure."""
    configuration = kfp_server_api.Configuration(host=host)
    configuration.retries = False
    network = read_settings(host)
    configuration.proxy, configuration.ssl_ca_cert = network.proxy, network.ca_file
    token = read_token()
    if token:
        configuration.api_key = {"authorization": token}
        configuration.api_key_prefix = {"authorization": "Bearer"}
    client = kfp_server_api.ApiClient(configuration, cookie=read_cookies())
    with translate_errors(host), contextlib.closing(client):
        try:
            kfp_server_api.HealthzServiceApi(client).healthz_service_get_healthz(_request_timeout=REACH_TIMEOUT_SECONDS)
        except kfp_server_api.ApiException as error:
            if error.status in (401, 403) and uses_iap():
                return
            raise
