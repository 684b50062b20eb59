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

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)


class ApiServer:
    """State and answers. `states` are what a run answers on each look, the last one from then on."""

    def __init__(self) -> None:
        self.token = ""
        self.refuse: dict[str, tuple[int, str]] = {}  # by path prefix
        self.states = ["PENDING", "RUNNING", "SUCCEEDED"]
        self.failed: list[api.V2beta1PipelineTaskDetail] = []
        self.experiments: list[api.V2beta1Experiment] = []
        self.pipelines: list[api.V2beta1Pipeline] = []
        self.versions: list[api.V2beta1PipelineVersion] = []
        self.runs: list[dict[str, Any]] = []
        self.requests: list[tuple[str, str]] = []
        self._looks = 0
        self._routes: list[tuple[str, str, Callable[..., Any]]] = [
            ("GET", r"/apis/v2beta1/healthz", lambda _: api.V2beta1GetHealthzResponse(multi_user=False)),
            ("GET", r"/apis/v2beta1/experiments", self._list_experiments),
            ("POST", r"/apis/v2beta1/experiments", self._create_experiment),
            ("GET", r"/apis/v2beta1/pipelines", self._list_pipelines),
            ("POST", r"/apis/v2beta1/pipelines", self._create_pipeline),
            ("GET", r"/apis/v2beta1/pipelines/[^/]+/versions", self._list_versions),
            ("POST", r"/apis/v2beta1/pipelines/upload_version", self._upload_version),
            ("GET", r"/apis/v2beta1/runs", self._list_runs),
            ("POST", r"/apis/v2beta1/runs", self._create_run),
            ("GET", r"/apis/v2beta1/runs/[^/]+", self._get_run),
            ("GET", r"/apis/v1alpha1/runs/[^/]+/nodes/[^/]+/log", lambda _: "Traceback: no such column\n"),
        ]

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, Any]:
        path = urlsplit(request.path).path
        self.requests.append((request.command, request.path))
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return 401, {"error": "Unauthenticated", "code": 16, "message": "Request header error: there is no user."}
        for prefix, (status, message) in self.refuse.items():
            if f"{request.command} {path}".startswith(prefix):
                return status, {"error": message, "code": 5, "message": message, "details": []}
        for method, pattern, handler in self._routes:
            if method == request.command and re.fullmatch(pattern, path):
                return 200, handler((request.path, body))
        return 404, {"message": f"no route {request.command} {path}"}

    def _named(self, found: list[Any], path: str) -> list[Any]:
        query = parse_qs(urlsplit(path).query)
        predicates = json.loads(query["filter"][0])["predicates"] if "filter" in query else []
        wanted = {p.get("string_value", p.get("stringValue")) for p in predicates}
        return [one for one in found if not wanted or one.display_name in wanted]

    def _list_experiments(self, request: Any) -> Any:
        found = self._named(self.experiments, request[0])
        return api.V2beta1ListExperimentsResponse(experiments=found or None, total_size=len(found))

    def _create_experiment(self, request: Any) -> Any:
        name = json.loads(request[1])["display_name"]
        made = api.V2beta1Experiment(experiment_id=f"e{len(self.experiments)}", display_name=name)
        self.experiments.append(made)
        return made

    def _list_pipelines(self, request: Any) -> Any:
        return api.V2beta1ListPipelinesResponse(pipelines=self._named(self.pipelines, request[0]) or None)

    def _create_pipeline(self, request: Any) -> Any:
        name = json.loads(request[1])["display_name"]
        made = api.V2beta1Pipeline(pipeline_id=f"p{len(self.pipelines)}", display_name=name)
        self.pipelines.append(made)
        return made

    def _list_versions(self, request: Any) -> Any:
        return api.V2beta1ListPipelineVersionsResponse(pipeline_versions=self.versions or None)

    def _upload_version(self, request: Any) -> Any:
        query = parse_qs(urlsplit(request[0]).query)
        documents = list(yaml.safe_load_all(request[1].split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0]))
        made = api.V2beta1PipelineVersion(
            pipeline_id=query["pipelineid"][0],
            pipeline_version_id=f"v{len(self.versions)}",
            display_name=query["name"][0],
            pipeline_spec={"pipeline_spec": documents[0]},
        )
        self.versions.append(made)
        return made

    def _create_run(self, request: Any) -> Any:
        body = json.loads(request[1])
        self.runs.append(body)
        return api.V2beta1Run(run_id=f"r{len(self.runs)}", display_name=body["display_name"], state="PENDING")

    def _get_run(self, request: Any) -> Any:
        state = self.states[min(self._looks, len(self.states) - 1)]
        self._looks += 1
        details = api.V2beta1RunDetails(task_details=self.failed)
        return api.V2beta1Run(run_id="r1", display_name="taxi", state=state, created_at=NOW, run_details=details)

    def _list_runs(self, request: Any) -> Any:
        run = api.V2beta1Run(run_id="r1", display_name="taxi abc", state="FAILED", created_at=NOW, finished_at=NOW)
        return api.V2beta1ListRunsResponse(runs=[run], total_size=1)


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
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    return httpd
