"""A server that answers by the KFP v2beta1 API: what it says goes through the models of `kfp-server-api`."""

from __future__ import annotations

import datetime
import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kfp_server_api as api
import yaml

from tests.pipeline.kubeflow.api_recurring_runs import RecurringRuns, RefusedError, check_inputs, make_error

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


class ApiServer:
    """State and answers. `states` are what a run answers on each look, the last one from then on."""

    def __init__(self) -> None:
        self.token = ""
        self.refuse: dict[str, tuple[int, str]] = {}  # by path prefix
        self.states = ["PENDING", "RUNNING", "SUCCEEDED"]
        self.tasks: list[dict[str, Any]] | None = []  # None: as a release without ML Metadata
        self.full_view: dict[str, Any] = {}  # what such a release adds with `view=FULL`, or any to a run
        self.logs: dict[str, str] = {}  # by pod
        self.outages: list[tuple[int, str]] = []  # answers to the next looks at a run
        self.cancelled: list[str] = []
        self.experiments: list[api.V2beta1Experiment] = []
        self.pipelines: list[api.V2beta1Pipeline] = []
        self.run_count = 1
        self.versions: list[api.V2beta1PipelineVersion] = []
        self.runs: list[dict[str, Any]] = []
        self.schedules = RecurringRuns(self.find_spec)
        self.requests: list[tuple[str, str]] = []
        # Of the API server itself; behind the page's own server the keys are others (`handlers/healthz.ts`).
        self.health: dict[str, Any] = {"commit_sha": "2ad9d61", "tag_name": "2.17.0", "multi_user": False}
        self._looks = 0
        self._routes: list[tuple[str, str, Callable[..., Any]]] = [
            ("GET", r"/apis/v2beta1/healthz", lambda _: self.health),
            ("GET", r"/apis/v2beta1/experiments", self._list_experiments),
            ("POST", r"/apis/v2beta1/experiments", self._create_experiment),
            ("GET", r"/apis/v2beta1/pipelines", self._list_pipelines),
            ("POST", r"/apis/v2beta1/pipelines", self._create_pipeline),
            ("GET", r"/apis/v2beta1/pipelines/[^/]+/versions", self._list_versions),
            ("GET", r"/apis/v2beta1/pipelines/[^/]+/versions/[^/]+", self._get_version),
            ("POST", r"/apis/v2beta1/pipelines/upload_version", self._upload_version),
            ("GET", r"/apis/v2beta1/runs", self._list_runs),
            ("POST", r"/apis/v2beta1/runs", self._create_run),
            ("GET", r"/apis/v2beta1/runs/[^/]+", self._get_run),
            ("GET", r"/apis/v1alpha1/runs/[^/]+/nodes/[^/]+/log", self._read_log),
            ("POST", r"/apis/v2beta1/runs/[^/]+:terminate", self._cancel_run),
            *self.schedules.routes,
        ]

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, Any]:
        path = urlsplit(request.path).path
        self.requests.append((request.command, request.path))
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return 401, make_error(401, "Request header error: there is no user.")
        for prefix, (status, message) in self.refuse.items():
            if f"{request.command} {path}".startswith(prefix):
                return status, make_error(status, message)
        for method, pattern, handler in self._routes:
            if method == request.command and re.fullmatch(pattern, path):
                try:
                    return 200, handler((request.path, body))
                except RefusedError as refused:
                    if refused.status == 200:
                        return 200, str(refused)
                    return refused.status, make_error(refused.status, str(refused))
        return 404, {"message": f"no route {request.command} {path}"}

    def _named(self, found: list[Any], path: str) -> list[Any]:
        """Those of the filter's name in the request's namespace (`pipeline_store.go`, `experiment_store.go`)."""
        query = parse_qs(urlsplit(path).query)
        namespace = query.get("namespace", [""])[0]
        found = [one for one in found if (one.namespace or "") == namespace]
        predicates = json.loads(query["filter"][0])["predicates"] if "filter" in query else []
        wanted = {p.get("string_value", p.get("stringValue")) for p in predicates}
        return [one for one in found if not wanted or one.display_name in wanted]

    def _list_experiments(self, request: Any) -> Any:
        found = self._named(self.experiments, request[0])
        return api.V2beta1ListExperimentsResponse(experiments=found or None, total_size=len(found))

    def _create_experiment(self, request: Any) -> Any:
        body = json.loads(request[1])
        made = api.V2beta1Experiment(
            experiment_id=f"e{len(self.experiments)}",
            display_name=body["display_name"],
            namespace=body.get("namespace"),
        )
        self.experiments.append(made)
        return made

    def _list_pipelines(self, request: Any) -> Any:
        return api.V2beta1ListPipelinesResponse(pipelines=self._named(self.pipelines, request[0]) or None)

    def _create_pipeline(self, request: Any) -> Any:
        body = json.loads(request[1])
        name, namespace = body["display_name"], body.get("namespace")
        if any((one.display_name, one.namespace) == (name, namespace) for one in self.pipelines):
            raise RefusedError(409, f"Failed to create a new pipeline. The name {name} already exist.")
        made = api.V2beta1Pipeline(pipeline_id=f"p{len(self.pipelines)}", display_name=name, namespace=namespace)
        self.pipelines.append(made)
        return made

    def _list_versions(self, request: Any) -> Any:
        pipeline_id = urlsplit(request[0]).path.split("/")[-2]
        found = [version for version in self.versions if version.pipeline_id == pipeline_id]
        return api.V2beta1ListPipelineVersionsResponse(pipeline_versions=found or None)

    def _get_version(self, request: Any) -> Any:
        version_id = urlsplit(request[0]).path.split("/")[-1]
        found = next((version for version in self.versions if version.pipeline_version_id == version_id), None)
        if found is None:
            raise RefusedError(404, f"PipelineVersion {version_id} not found.")
        return found

    def _upload_version(self, request: Any) -> Any:
        query = parse_qs(urlsplit(request[0]).query)
        documents = list(yaml.safe_load_all(request[1].split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0]))
        made = api.V2beta1PipelineVersion(
            pipeline_id=query["pipelineid"][0],
            pipeline_version_id=f"v{len(self.versions)}",
            display_name=query["name"][0],
            description=query.get("description", [None])[0],
            pipeline_spec={"pipeline_spec": documents[0]},
        )
        self.versions.append(made)
        return made

    def find_spec(self, version_id: str) -> dict[str, Any]:
        """The specification of a version."""
        found = [version for version in self.versions if version.pipeline_version_id == version_id]
        if not found:
            told = (
                "Failed to create a new run: InternalServerError: Failed to create a run due to error fetching manifest"
            )
            raise RefusedError(500, f"{told}: ResourceNotFoundError: PipelineVersion {version_id} not found")
        return dict(found[0].pipeline_spec["pipeline_spec"])

    def _create_run(self, request: Any) -> Any:
        body = json.loads(request[1])
        check_inputs(self.find_spec(body["pipeline_version_reference"]["pipeline_version_id"]), body)
        self.runs.append(body)
        return api.V2beta1Run(run_id=f"r{len(self.runs)}", display_name=body["display_name"], state="PENDING")

    def _cancel_run(self, request: Any) -> Any:
        self.cancelled.append(urlsplit(request[0]).path.split("/")[-1].removesuffix(":terminate"))
        return {}

    def _read_log(self, request: Any) -> Any:
        """The status is 200 before the server knows whether there is a log (`run_log_server.go`)."""
        pod = urlsplit(request[0]).path.split("/")[-2]
        message = f'Failed to read logs for run r1: pods "{pod}" not found'
        return self.logs.get(pod) or json.dumps({"error_message": message, "error_details": message})

    def _get_run(self, request: Any) -> Any:
        if self.outages:
            raise RefusedError(*self.outages.pop(0))
        state = self.states[min(self._looks, len(self.states) - 1)]
        self._looks += 1
        details = None if self.tasks is None else {"task_details": self.tasks}
        run = api.V2beta1Run(run_id="r1", display_name="taxi", state=state, created_at=NOW, run_details=details)
        full = parse_qs(urlsplit(request[0]).query).get("view") == ["FULL"]
        return {**api.ApiClient().sanitize_for_serialization(run), **(self.full_view if full else {})}

    def _list_runs(self, request: Any) -> Any:
        """Pages of at most 200, whatever is asked for (`list_request_util.go`)."""
        query = parse_qs(urlsplit(request[0]).query)
        start, size = int(query.get("page_token", ["0"])[0]), min(int(query["page_size"][0]), 200)
        numbers = range(start, min(start + size, self.run_count))
        runs = [
            api.V2beta1Run(
                run_id=f"r{number + 1}", display_name="taxi abc", state="FAILED", created_at=NOW, finished_at=NOW
            )
            for number in numbers
        ]
        token = str(numbers.stop) if numbers.stop < self.run_count else None
        return api.V2beta1ListRunsResponse(runs=runs, total_size=self.run_count, next_page_token=token)


def list_argo_tasks(states: dict[str, str], inner: str = "") -> list[dict[str, Any]]:
    """Tasks as the server of release 2.17 lists them: the nodes of an Argo workflow in no order, without own ids.

    Args:
        states: State of each node of the pipeline, such as `{"Trainer": "FAILED"}`; its driver has succeeded. A failed
            one was tried twice.
        inner: Path from the root to the DAG that holds the nodes, such as `.pipeline`.
    """
    tasks = [make_task("taxi-abcde", "RUNNING", "taxi-abcde.root-driver"), make_task("root-driver", "SUCCEEDED")]
    if inner:
        name = inner.rpartition(".")[2]
        tasks += [make_task(name, "RUNNING"), make_task(f"{name}-driver", "SUCCEEDED", f"taxi-abcde.root{inner}")]
    for node, state in states.items():
        path = f"taxi-abcde.root{inner}.{node}"
        tries = [f"{path}.executor(0)", f"{path}.executor(1)"] if state == "FAILED" else []
        tasks += [
            make_task(node, state, f"{path}.executor"),
            make_task("root", "RUNNING", f"{path}-driver"),
            make_task("executor(0)", state),
            make_task("executor", state, *tries),
            make_task(f"{node}-driver", "SUCCEEDED", path),
        ]
    return tasks


def make_task(name: str, state: str, *children: str) -> dict[str, Any]:
    """A task; children are named by the path of names to them, and listed by Argo's id, called `pod_name`."""
    ids = [f"taxi-abcde-{_hash_path(child)}" for child in children]
    return {"run_id": "r1", "display_name": name, "state": state, "child_tasks": [{"pod_name": each} for each in ids]}


def _hash_path(path: str) -> int:
    digest = 2166136261
    for byte in path.encode():
        digest = ((digest ^ byte) * 16777619) % 2**32
    return digest


def serve(server: ApiServer) -> ThreadingHTTPServer:
    """Starts it on a free port of the loopback; `shutdown` and `server_close` end it."""

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, value = server.answer(self, body)
            text = value if isinstance(value, str) else json.dumps(api.ApiClient().sanitize_for_serialization(value))
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = _do  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Nothing on the tests' output."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
    return httpd
