"""`taxiway submit --every`, `--list` and `--stop`: ask the API server, and print."""

from __future__ import annotations

import dataclasses

from taxiway.pipeline.console import printing
from taxiway.pipeline.kubeflow.api_client import KubeflowServer, Submission
from taxiway.pipeline.kubeflow.client import schedules
from taxiway.pipeline.kubeflow.client.cron import to_server_cron


def print_started_schedule(server: KubeflowServer, submission: Submission, every: str, name: str, json: bool) -> None:
    """Starts a schedule and says how to see and to stop it.

    Args:
        server: The server.
        submission: What is run.
        every: When, as the user wrote it.
        name: Name of the schedule; empty: the pipeline's.
        json: Whether JSON is printed instead.
    """
    cron = to_server_cron(every)
    schedule = schedules.start_schedule(server, submission, cron, name)
    if json:
        printing.print_json(dataclasses.asdict(schedule))
        return
    lines = (
        f"Schedule {schedule.name} ({schedule.id}): {schedule.cron}, seconds first, in the time zone of the cluster's "
        "scheduler (UTC unless it sets CRON_SCHEDULE_TIMEZONE); one run at a time, missed ones are not caught up.",
        f"To see it: {server.make_command('submit', '--list')}",
        f"To stop it: {server.make_command('submit', '--stop', schedule.id)}",
    )
    for line in lines:
        printing.make_console().print(line, markup=False, soft_wrap=True, highlight=False)


def print_schedules(server: KubeflowServer, json: bool) -> None:
    """The schedules of a server."""
    listed = [dataclasses.asdict(schedule) for schedule in schedules.list_schedules(server)]
    if json:
        printing.print_json(listed)
        return
    columns = ("id", "name", "cron", "state", "version_id", "created_at")
    rows = [
        [printing.escape_markup(str(row[column] or "–")) for column in columns]
        for row in ({**each, "state": "running" if each["enabled"] else "stopped"} for each in listed)
    ]
    headings = [column.removesuffix("_id").removesuffix("_at") for column in columns]
    printing.print_renderable(printing.make_table("", headings, rows))


def print_stopped_schedule(server: KubeflowServer, wanted: str, json: bool) -> None:
    """Stops a schedule and says what goes on."""
    schedule = schedules.stop_schedule(server, wanted)
    if json:
        printing.print_json({**dataclasses.asdict(schedule), "enabled": False})
        return
    told = f"{schedule.name} ({schedule.id}) starts no further run. One that is in progress goes on: "
    told += f"{server.make_command('runs')}"
    printing.make_console().print(told, markup=False, soft_wrap=True, highlight=False)
