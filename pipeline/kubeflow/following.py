"""What `taxiway submit` and `taxiway runs --host` print."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline import output
from pipeline.assignments import assignments
from pipeline.kubeflow.remote import FailedTask, RemoteError, Server, Submission

EXIT_FAILED = 1
LOG_LINES = 40


@dataclass(frozen=True)
class Request:
    """The options of `taxiway submit`."""

    file: Path
    host: str
    namespace: str = ""
    experiment: str = "taxiway"
    service_account: str = ""
    revision: str = ""
    parameters: tuple[str, ...] = ()
    wait: bool = False
    json: bool = False


def submit(request: Request) -> int:
    """Submits, and follows where asked.

    Returns:
        0; 1 where the run was followed and did not succeed.
    """
    shown = output.console(stderr=request.json)
    server = Server(request.host, request.namespace)
    run_id = server.submit(
        Submission(
            request.file,
            assignments("--param", request.parameters, "epochs=3"),
            request.experiment,
            request.namespace,
            request.service_account,
            request.revision,
        )
    )
    shown.print(f"Run {run_id}: {server.host}/#/runs/details/{run_id}", markup=False)
    state = server.wait(run_id, lambda new: shown.print(new.lower())) if request.wait else "SUBMITTED"
    failed = server.failed_tasks(run_id) if state == "FAILED" else []
    logs = {task.name: _log(server, run_id, task) for task in failed}
    for task in failed:
        message, log = output.plain_lines(task.message), output.plain_lines(logs[task.name])
        shown.print(f"[bold red]{output.plain(task.name)}[/] failed. {message}\n{log}")
    if request.json:
        tasks = [{**asdict(task), "log": logs[task.name]} for task in failed]
        output.print_json({"run_id": run_id, "state": state, "failed": tasks})
    return EXIT_FAILED if state in ("FAILED", "CANCELED") else 0


def print_runs(host: str, namespace: str, limit: int, json: bool) -> None:
    """The newest runs of a server."""
    found = Server(host, namespace).runs(limit)
    if json:
        output.print_json(found)
        return
    columns = ("run_id", "name", "state", "created_at", "finished_at", "error")
    rows = [[output.plain(run[column] or "–") for column in columns] for run in found]
    output.print_table(output.table("", [column.removesuffix("_at") for column in columns], rows))


def _log(server: Server, run_id: str, task: FailedTask) -> str:
    """The last lines; pods, and their logs with them, do not live for ever."""
    if not task.pod:
        return "The server names no pod."
    try:
        return "\n".join(server.log(run_id, task.pod).splitlines()[-LOG_LINES:])
    except RemoteError as error:
        return f"No log: {error.problem}"
