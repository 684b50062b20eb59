"""A Kubeflow Pipelines API server, through kfp's own client: submit, follow, list, read a failed node's log.

Credentials come from where kfp takes them (in a cluster the pod's token, IAP's variables, the saved context), or from
the environment variables named below; never from the command line, which other users can read, and never into a file.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kfp_server_api
import yaml
from urllib3.exceptions import HTTPError

from components.errors import DataError, TaxiwayError, UsageError
from components.example_gen.config import DataConfig
from components.tables.files import fingerprint, is_remote

TOKEN_VARIABLE = "TAXIWAY_KFP_TOKEN"
COOKIES_VARIABLE = "TAXIWAY_KFP_COOKIES"
FINISHED = frozenset({"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"})
REACH_TIMEOUT_SECONDS = 15.0
LOG_PATH = "/apis/v1alpha1/runs/{run_id}/nodes/{node_id}/log"
"""`backend/src/apiserver/main.go`; the only way to a log that the API has."""
DEFAULT_EXPERIMENT = "taxiway"


class RemoteError(TaxiwayError):
    """The API server cannot be reached, or refuses."""


@dataclass(frozen=True)
class Submission:
    """What is submitted.

    Attributes:
        file: The compiled pipeline.
        parameters: Of the run; the others keep their defaults.
        experiment: Found or made by its name.
        namespace: For installations with several users; empty: the client's.
        service_account: Under which the pods run; empty: the cluster's default.
        revision: The name of the pipeline's version; empty: made from the file's content.
    """

    file: Path
    parameters: Mapping[str, Any]
    experiment: str = DEFAULT_EXPERIMENT
    namespace: str = ""
    service_account: str = ""
    revision: str = ""


@dataclass(frozen=True)
class FailedTask:
    """A task of a run that failed."""

    name: str
    pod: str
    message: str


class Server:
    """One API server.

    Args:
        host: Its URL.
        namespace: For installations with several users.

    Raises:
        RemoteError: It does not answer, or does not know who asks.
    """

    def __init__(self, host: str, namespace: str = "") -> None:
        self.host = host.rstrip("/")
        if not host.startswith(("http://", "https://")):
            raise UsageError(
                f"--host {host!r} is no URL.", "Such as http://localhost:8080 or https://kubeflow.example."
            )
        _reach(self.host)
        self._namespace = namespace
        with _told(f"{self.host}"), _quiet():
            from kfp.client import Client

            self._client = Client(
                host=self.host,
                namespace=namespace or "kubeflow",
                existing_token=os.environ.get(TOKEN_VARIABLE),
                cookies=os.environ.get(COOKIES_VARIABLE),
            )

    def submit(self, submission: Submission) -> str:
        """Uploads the pipeline as a version of its own and starts a run of it.

        Returns:
            The run's id.

        Raises:
            RemoteError: The server refuses; its own words are in the message.
            UsageError: The file is no compiled pipeline.
        """
        spec = specification(submission.file)
        name = spec["pipelineInfo"]["name"]
        revision = submission.revision or digest(submission.file)
        parameters = {**seen_data(spec, submission.parameters), **submission.parameters}
        with _told(f"{self.host}: the experiment {submission.experiment!r}"), _quiet():
            experiment = self._client.create_experiment(submission.experiment, namespace=submission.namespace or None)
        with _told(f"{self.host}: uploading {submission.file.name}"), _quiet():
            pipeline_id = self._client.get_pipeline_id(name) or self._new_pipeline(name, submission.namespace)
            version_id = self._version(pipeline_id, revision) or self._upload(submission.file, pipeline_id, revision)
        with _told(f"{self.host}: starting the run"), _quiet():
            run = self._client.run_pipeline(
                experiment_id=experiment.experiment_id,
                job_name=f"{name} {revision}",
                pipeline_id=pipeline_id,
                version_id=version_id,
                params=parameters,
                # The backend does not look at the file's own root.
                pipeline_root=spec.get("defaultPipelineRoot"),
                service_account=submission.service_account or None,
            )
        return str(run.run_id)

    def _new_pipeline(self, name: str, namespace: str) -> str:
        body = kfp_server_api.V2beta1Pipeline(display_name=name, namespace=namespace or None)
        return str(self._client.pipelines.create_pipeline(body=body).pipeline_id)

    def _version(self, pipeline_id: str, revision: str) -> str:
        """The version of this name; a revision is uploaded once."""
        token = ""
        while True:
            page = self._client.list_pipeline_versions(pipeline_id, page_token=token, page_size=100)
            for version in page.pipeline_versions or ():
                if version.display_name == revision:
                    return str(version.pipeline_version_id)
            token = page.next_page_token or ""
            if not token:
                return ""

    def _upload(self, file: Path, pipeline_id: str, revision: str) -> str:
        version = self._client.upload_pipeline_version(str(file), revision, pipeline_id=pipeline_id)
        return str(version.pipeline_version_id)

    def wait(
        self,
        run_id: str,
        heard: Callable[[str], None],
        *,
        every_seconds: float = 10.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> str:
        """Follows a run to its end.

        Args:
            run_id: The run.
            heard: Told of every new state.
            every_seconds: Between two looks.
            sleep: Waits.

        Returns:
            `SUCCEEDED`, `FAILED`, `SKIPPED` or `CANCELED`.
        """
        last = ""
        while True:
            state = str(self._run(run_id).state or "PENDING")
            if state != last:
                heard(state)
            if state in FINISHED:
                return state
            last = state
            sleep(every_seconds)

    def _run(self, run_id: str) -> Any:
        with _told(f"{self.host}: the run {run_id}"), _quiet():
            return self._client.get_run(run_id)

    def failed_tasks(self, run_id: str) -> list[FailedTask]:
        """The tasks of a run that failed, with what the server says of each."""
        details = self._run(run_id).run_details
        tasks = (details.task_details or ()) if details else ()
        return [_failed(task) for task in tasks if task.state == "FAILED"]

    def log(self, run_id: str, pod: str) -> str:
        """The log of a task's pod.

        Raises:
            RemoteError: The server does not have it any more.
        """
        client = self._client._run_api.api_client
        with _told(f"{self.host}: the log of {pod}"):
            answer = client.call_api(
                LOG_PATH, "GET", {"run_id": run_id, "node_id": pod}, [], {}, response_type=None,
                auth_settings=["Bearer"], _preload_content=False, _return_http_data_only=True,
            )  # fmt: skip
            return str(answer.data.decode("utf-8", "replace"))

    def runs(self, limit: int = 20) -> list[dict[str, Any]]:
        """The newest runs: id, name, state, times."""
        with _told(f"{self.host}: the list of runs"), _quiet():
            page = self._client.list_runs(page_size=limit, sort_by="created_at desc", namespace=self._namespace or None)
        return [
            {
                "run_id": run.run_id,
                "name": run.display_name,
                "state": run.state,
                "created_at": run.created_at,
                "finished_at": run.finished_at,
                "error": run.error.message if run.error else "",
            }
            for run in page.runs or ()
        ]


def _failed(task: Any) -> FailedTask:
    pods = [child.pod_name for child in task.child_tasks or () if child.pod_name]
    message = task.error.message if task.error else ""
    return FailedTask(task.display_name or task.task_id, task.pod_name or (pods or [""])[0], message or "")


def specification(file: Path) -> dict[str, Any]:
    """The first document of a compiled file.

    Raises:
        UsageError: It is none.
    """
    try:
        document = next(iter(yaml.safe_load_all(file.read_text(encoding="utf-8"))), None)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{file} cannot be read: {error}", "Make it with `taxiway compile -o FILE`.") from error
    if not isinstance(document, dict) or "pipelineInfo" not in document:
        raise UsageError(f"{file} is no compiled pipeline.", "Make it with `taxiway compile -o FILE`.")
    return document


def digest(file: Path) -> str:
    """A version's name for this content."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def seen_data(spec: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str]:
    """The parameter `data_fingerprint` for the data as it is now, where this machine sees it; empty where not."""
    root = spec.get("root", {})
    declared = root.get("inputDefinitions", {}).get("parameters", {})
    task = root.get("dag", {}).get("tasks", {}).get("ExampleGen", {})
    section = task.get("inputs", {}).get("parameters", {}).get("data", {}).get("runtimeValue", {}).get("constant")
    if "data_fingerprint" not in declared or not section:
        return {}
    data = DataConfig.model_validate_json(section)
    data = data.model_copy(
        update={"path": str(given.get("data_path", data.path)), "spans": str(given.get("span", data.spans))}
    )
    try:
        return {} if is_remote(data.path) else {"data_fingerprint": fingerprint(data).digest}
    except DataError:
        return {}


def _reach(host: str) -> None:
    """One question with a time-out: the client itself asks five times, with pauses, and logs each failure."""
    configuration = kfp_server_api.Configuration(host=host)
    configuration.retries = False
    token = os.environ.get(TOKEN_VARIABLE)
    if token:
        configuration.api_key = {"authorization": token}
        configuration.api_key_prefix = {"authorization": "Bearer"}
    client = kfp_server_api.ApiClient(configuration, cookie=os.environ.get(COOKIES_VARIABLE))
    with _told(host), contextlib.closing(client):
        try:
            kfp_server_api.HealthzServiceApi(client).get_healthz(_request_timeout=REACH_TIMEOUT_SECONDS)
        except kfp_server_api.ApiException as error:
            if error.status in (401, 403) and _signs_in_otherwise():
                return
            raise


def _signs_in_otherwise() -> bool:
    """Identity-Aware Proxy: the client makes its own token from these."""
    return bool(os.environ.get("KF_PIPELINES_IAP_OAUTH2_CLIENT_ID"))


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Turns what the client raises into a message that says what to do."""
    try:
        yield
    except kfp_server_api.ApiException as error:
        raise _said(what, error) from error
    except HTTPError as error:
        raise RemoteError(
            f"{what}: no answer ({type(error).__name__}).",
            "Check the URL; for a cluster: kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8080:80",
        ) from error
    except (ValueError, TimeoutError) as error:
        raise RemoteError(f"{what}: {error}") from error


_REMEDIES = {
    401: f"Sign in: put a token in {TOKEN_VARIABLE}, or cookies in {COOKIES_VARIABLE}.",
    403: "Whoever signed in may not do this: check --namespace and --service-account.",
    404: "Check the name, and --namespace.",
}


def _said(what: str, error: kfp_server_api.ApiException) -> RemoteError:
    """The server's own words, without the headers that the client would print with them."""
    body = error.body.decode() if isinstance(error.body, bytes) else error.body or ""
    try:
        words = json.loads(body)
        message = words.get("message") or words.get("error_message") or words.get("error") or body
    except (ValueError, AttributeError):
        message = body
    told = f"{what}: {error.status} {error.reason}".rstrip() + (f": {str(message)[:2000]}" if message else "")
    return RemoteError(told, _REMEDIES.get(error.status, ""))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The client prints links to standard output and warns of its own version."""
    level = logging.root.level
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.root.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            logging.root.setLevel(level)
