"""Recurring runs on a server: a pipeline's version, started by a schedule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from taxiway.components.errors import UsageError, suggest_matches
from taxiway.pipeline.kubeflow.api_client import KubeflowServer, Submission
from taxiway.pipeline.kubeflow.client.server_errors import silence_client, translate_errors

ENABLED = "ENABLED"
ONE_AT_A_TIME = 1
"""Two runs at once would train on the same volume and push to one serving directory."""


@dataclass(frozen=True)
class Schedule:
    """A recurring run.

    Attributes:
        id: Id on the server.
        name: Name; of those that are running it is the only one in its namespace.
        cron: When runs start, seconds first; of one made elsewhere, by period, `every N s`.
        enabled: Whether it starts runs.
        version_id: Version of the pipeline; empty: the newest at each start.
        created_at: When it was made.
    """

    id: str
    name: str
    cron: str
    enabled: bool
    version_id: str
    created_at: datetime | None


def start_schedule(server: KubeflowServer, submission: Submission, cron: str, name: str = "") -> Schedule:
    """Uploads the pipeline and starts a run of this version by a schedule, catch-up off, one at a time.

    Args:
        server: The server.
        submission: What is run.
        cron: When, as `to_server_cron` makes it.
        name: Name of the schedule; empty: the pipeline's.

    Raises:
        UsageError: A schedule of this name is running.
        KubeflowServerError: The server refuses.
    """
    name = name or submission.compiled.name
    _check_free(server, name)
    uploaded = server.upload_version(submission)
    with translate_errors(f"{server.host}: the schedule {name!r}"), silence_client():
        made = server.client.create_recurring_run(
            experiment_id=uploaded.experiment_id,
            job_name=name,
            description=f"Version {submission.version}, by taxiway submit --every",
            cron_expression=cron,
            max_concurrency=ONE_AT_A_TIME,
            no_catchup=True,
            params=dict(submission.parameters),
            pipeline_id=uploaded.pipeline_id,
            version_id=uploaded.version_id,
            pipeline_root=submission.compiled.specification.get("defaultPipelineRoot"),
            service_account=submission.service_account or None,
        )
    return _read_schedule(made)


def _check_free(server: KubeflowServer, name: str) -> None:
    for schedule in list_schedules(server):
        if schedule.enabled and schedule.name == name:
            stop = server.make_command("submit", "--stop", schedule.id)
            raise UsageError(
                f"The schedule {name!r} is running: {schedule.cron}.", f"Stop it first: {stop}\nOr give another --name."
            )


def list_schedules(server: KubeflowServer) -> list[Schedule]:
    """All recurring runs of the namespace, the newest first."""
    with translate_errors(f"{server.host}: the list of schedules"), silence_client():
        return [_read_schedule(run) for run in _list_recurring_runs(server)]


def _list_recurring_runs(server: KubeflowServer) -> Iterator[Any]:
    token = ""
    while True:
        page = server.client.list_recurring_runs(
            page_token=token, page_size=100, sort_by="created_at desc", namespace=server.namespace or None
        )
        yield from page.recurring_runs or ()
        token = page.next_page_token or ""
        if not token:
            return


def stop_schedule(server: KubeflowServer, wanted: str) -> Schedule:
    """Starts no further run. It is disabled, not deleted: Kubernetes ends the runs of a schedule that is deleted.

    Args:
        server: The server.
        wanted: Id, or the name of one that is running.

    Raises:
        UsageError: There is none.
        KubeflowServerError: The server refuses.
    """
    schedule = _find_schedule(list_schedules(server), wanted)
    with translate_errors(f"{server.host}: stopping the schedule {schedule.name!r}"), silence_client():
        server.client.disable_recurring_run(schedule.id)
    return schedule


def _find_schedule(schedules: list[Schedule], wanted: str) -> Schedule:
    found = [each for each in schedules if each.id == wanted]
    found = found or [each for each in schedules if each.name == wanted and each.enabled]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(each.id for each in found)
        raise UsageError(f"{len(found)} schedules are named {wanted!r}.", f"Give the id of one: {ids}.")
    running = [each.name for each in schedules if each.enabled]
    stopped = any(each.name == wanted for each in schedules)
    problem = f"The schedule {wanted!r} has been stopped already." if stopped else f"No schedule {wanted!r} is running."
    raise UsageError(problem, suggest_matches(wanted, running) if running else "No schedule is running there.")


def _read_schedule(run: Any) -> Schedule:
    reference, trigger = run.pipeline_version_reference, run.trigger
    periodic = trigger.periodic_schedule if trigger else None
    cron = trigger.cron_schedule.cron if trigger and trigger.cron_schedule else ""
    return Schedule(
        id=str(run.recurring_run_id),
        name=str(run.display_name or ""),
        cron=cron or (f"every {periodic.interval_second} s" if periodic else ""),
        enabled=run.status == ENABLED,
        version_id=str(reference.pipeline_version_id or "") if reference else "",
        created_at=run.created_at,
    )
