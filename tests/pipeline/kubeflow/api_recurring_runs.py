"""Recurring runs of the API server, and its checks of a run's parameters, after release 2.17.0.

The answers are those that this release's own servers gave (`job_server.go`, `run_server.go`, with their stores, before
Kubernetes clients that only remember) when kfp's client and the same wrong requests were put to them.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kfp_server_api as api

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
GRPC_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 500: 13, 503: 14}
_KINDS = {
    "STRING": (str, "string"),
    "NUMBER_DOUBLE": (int | float, "double or integer"),
    "NUMBER_INTEGER": (int | float, "double or integer"),
    "BOOLEAN": (bool, "bool"),
}


class RefusedError(Exception):
    """An answer with another status than 200."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def make_error(status: int, message: str) -> dict[str, Any]:
    """An error as grpc-gateway writes it; the detail has the sentence for users."""
    code, told = GRPC_CODES.get(status, 2), message.rpartition("error: ")[2]
    detail = {"@type": "type.googleapis.com/google.rpc.Status", "code": code, "message": told}
    return {"code": code, "message": message, "details": [detail]}


RUN = "Failed to create a new run: Failed to generate the ExecutionSpec: invalid pipeline job inputs"
SCHEDULE = "Failed to create a recurring run: Failed to create a recurring run during scheduled workflow creation: "
SCHEDULE += "invalid pipeline job inputs"
CONVERSION = "Failed to create a recurring run due to conversion error"


def refuse(what: str, message: str) -> RefusedError:
    """Invalid input."""
    return RefusedError(400, f"{what}: Invalid input error: {message}")


def check_inputs(spec: Mapping[str, Any], body: Mapping[str, Any], what: str = RUN) -> None:
    """The parameters of a request, against what the pipeline declares."""
    declared = spec.get("root", {}).get("inputDefinitions", {}).get("parameters", {})
    given = (body.get("runtime_config") or {}).get("parameters") or {}
    for name, parameter in declared.items():
        kind, words = _KINDS.get(parameter["parameterType"], (object, ""))
        if name in given and not isinstance(given[name], kind):
            raise refuse(what, f"input parameter {name} requires type {words}, but the parameter value is not of it")
        if name not in given and "defaultValue" not in parameter and not parameter.get("isOptional"):
            raise refuse(
                what, f"parameter {name} is not optional, yet has neither default value nor user provided value"
            )
    extra = [name for name in given if name not in declared]
    if extra:
        raise refuse(what, f"parameter(s) provided are not required by pipeline: {', '.join(extra)}")


class RecurringRuns:
    """State and answers. `find_spec` gives the specification of a version."""

    def __init__(self, find_spec: Callable[[str], dict[str, Any]]) -> None:
        self.runs: list[api.V2beta1RecurringRun] = []
        self.page_size = 100
        self._find_spec = find_spec
        self.routes: list[tuple[str, str, Callable[..., Any]]] = [
            ("POST", r"/apis/v2beta1/recurringruns", self._create),
            ("GET", r"/apis/v2beta1/recurringruns", self._list),
            ("POST", r"/apis/v2beta1/recurringruns/[^/:]+:disable", lambda asked: self._set_status(asked, "DISABLED")),
            ("POST", r"/apis/v2beta1/recurringruns/[^/:]+:enable", lambda asked: self._set_status(asked, "ENABLED")),
        ]

    def _create(self, request: Any) -> Any:
        body = json.loads(request[1])
        if not 1 <= int(body.get("max_concurrency") or 0) <= 10:
            raise refuse(CONVERSION, "Max concurrency of a recurring run must be at least 1 and at most 10.")
        cron = body["trigger"]["cron_schedule"]["cron"]
        if not cron.startswith("@") and len(cron.split()) not in (5, 6):  # robfig/cron takes five: seconds first
            told = f"Error: Expected 5 to 6 fields, found {len(cron.split())}: {cron}"
            raise refuse(CONVERSION, f"Schedule cron is not a supported format(robfig/cron). {told}")
        reference = body["pipeline_version_reference"]
        check_inputs(self._find_spec(reference["pipeline_version_id"]), body, SCHEDULE)
        made = api.V2beta1RecurringRun(
            recurring_run_id=f"s{len(self.runs)}",
            display_name=body["display_name"],
            description=body.get("description"),
            experiment_id=body["experiment_id"],
            service_account=body.get("service_account") or "pipeline-runner",
            mode=body["mode"],
            status="ENABLED" if body["mode"] == "ENABLE" else "DISABLED",
            max_concurrency=str(body["max_concurrency"]),  # 64 bits are a text in JSON
            no_catchup=body.get("no_catchup"),
            trigger=api.V2beta1Trigger(cron_schedule=api.V2beta1CronSchedule(cron=cron)),
            runtime_config=body["runtime_config"],
            pipeline_version_reference=api.V2beta1PipelineVersionReference(**reference),
            created_at=NOW,
        )
        self.runs.append(made)
        return made

    def _list(self, request: Any) -> Any:
        query = parse_qs(urlsplit(request[0]).query)
        start = int(query.get("page_token", ["0"])[0] or 0)
        newest = self.runs[::-1]
        page = newest[start : start + self.page_size]
        token = str(start + self.page_size) if start + self.page_size < len(newest) else None
        return api.V2beta1ListRecurringRunsResponse(
            recurring_runs=page or None, total_size=len(newest), next_page_token=token
        )

    def _set_status(self, request: Any, status: str) -> Any:
        wanted = urlsplit(request[0]).path.split("/")[-1].partition(":")[0]
        found = [run for run in self.runs if run.recurring_run_id == wanted]
        if not found:
            told = "Failed to disable a recurring run: Failed to change recurring run's mode to enable:false. "
            told += f"Check if recurring run {wanted} exists: ResourceNotFoundError: Job {wanted} not found"
            raise RefusedError(404, told)
        found[0].status = status
        return {}
