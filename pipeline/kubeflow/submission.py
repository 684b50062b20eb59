"""`taxiway submit`, `follow`, `logs`, `cancel` and `runs --host`: ask the API server, and print."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from taxiway.components.errors import UsageError, suggest_matches
from taxiway.pipeline.console import printing
from taxiway.pipeline.exit_codes import EXIT_BLOCKED, EXIT_FAILED, EXIT_LIVE
from taxiway.pipeline.kubeflow.api_client import KubeflowServer, Submission
from taxiway.pipeline.kubeflow.client import schedule_commands
from taxiway.pipeline.kubeflow.client.cron import to_server_cron
from taxiway.pipeline.kubeflow.client.package import check_root, read_compiled
from taxiway.pipeline.kubeflow.client.run_parameters import read_parameters
from taxiway.pipeline.kubeflow.client.server_errors import KubeflowServerError
from taxiway.pipeline.kubeflow.following import follow_run
from taxiway.pipeline.kubeflow.parameters import ROOT
from taxiway.pipeline.kubeflow.run_status import NodeStatus, RunStatus

LOG_LINES = 40


@dataclass(frozen=True)
class SubmitRequest:
    """The options of `taxiway submit`."""

    file: Path | None
    host: str
    namespace: str = ""
    experiment: str = "taxiway"
    service_account: str = ""
    revision: str = ""
    parameters: tuple[str, ...] = ()
    cache: bool = True
    wait: bool = False
    every: str | None = None
    name: str = ""
    list_schedules: bool = False
    stop: str | None = None
    json: bool = False

    @property
    def actions(self) -> list[str]:
        """What is asked for, by its option; a package to run is one too."""
        asked = {
            "PACKAGE": self.file is not None,
            "--list": self.list_schedules,
            "--stop": self.stop is not None,
        }
        return [action for action, given in asked.items() if given]


def submit(request: SubmitRequest) -> int:
    """Submits a run or a schedule, lists the schedules, or stops one.

    Returns:
        The exit code.

    Raises:
        UsageError: The options do not go together.
    """
    _check_options(request)
    submission = _make_submission(request) if request.file is not None else None
    server = KubeflowServer(request.host, request.namespace)
    if submission is None:
        _ask_about_schedules(server, request)
    elif request.every is not None:
        schedule_commands.print_started_schedule(server, submission, request.every, request.name, request.json)
    else:
        return submit_package(server, submission, wait=request.wait, json=request.json)
    return EXIT_LIVE


def _ask_about_schedules(server: KubeflowServer, request: SubmitRequest) -> None:
    if request.stop is not None:
        schedule_commands.print_stopped_schedule(server, request.stop, request.json)
    else:
        schedule_commands.print_schedules(server, request.json)


def _check_options(request: SubmitRequest) -> None:
    if len(request.actions) != 1:
        given = " and ".join(request.actions) or "Nothing"
        raise UsageError(f"{given} was given.", "Give one of: PACKAGE (from `taxiway compile`), --list, --stop NAME.")
    if request.every is not None:
        to_server_cron(request.every)
        if request.file is None or request.wait:
            raise UsageError("--every takes a PACKAGE and no --wait: a schedule has no end.", "See `submit --list`.")
    elif request.name:
        raise UsageError("--name is the name of a schedule.", "Give --every too.")


def _make_submission(request: SubmitRequest) -> Submission:
    if request.file is None:
        raise UsageError("No PACKAGE was given.", "Make one with `taxiway compile -o FILE`.")
    compiled = read_compiled(request.file)
    parameters = read_parameters(compiled.specification, request.parameters)
    if ROOT.name in parameters:
        check_root(compiled, str(parameters[ROOT.name]))
    return Submission(
        compiled,
        parameters,
        request.experiment,
        request.namespace,
        request.service_account,
        request.revision,
        request.cache,
    )


def submit_package(server: KubeflowServer, submission: Submission, *, wait: bool, json: bool) -> int:
    """Submits a run, and waits for its end if `wait` says so.

    Returns:
        0; where the run was followed, what `print_followed_run` returns.
    """
    shown = printing.make_console(stderr=json)
    run_id = server.submit_run(submission)
    shown.print(f"Run {run_id}: {server.make_link(run_id)}", markup=False, soft_wrap=True)
    if wait:
        return print_followed_run(server, run_id, json)
    if json:
        printing.print_json({"run_id": run_id, "state": "SUBMITTED", "failed": [], "skipped": []})
    return EXIT_LIVE


def print_followed_run(server: KubeflowServer, run_id: str, json: bool) -> int:
    """Follows a run to its end and prints how it ended.

    Returns:
        0; 1 where the run did not succeed; 3 where a gate kept nodes from running.

    Raises:
        LostSightError: The server does not answer any more, with exit code 4.
    """
    shown = printing.make_console(stderr=json)
    status = follow_run(server, run_id, lambda said: shown.print(said, markup=False))
    failed = [_describe_failure(server, run_id, node) for node in status.find_nodes("FAILED")]
    _print_ending(shown, status, failed)
    if status.state != "SUCCEEDED":
        shown.print(server.make_link(run_id), markup=False, soft_wrap=True)
    if json:
        skipped = [node.name for node in status.find_nodes("SKIPPED")]
        printing.print_json({"run_id": run_id, "state": status.state, "failed": failed, "skipped": skipped})
    return choose_exit_code(status)


def choose_exit_code(status: RunStatus) -> int:
    """As `taxiway run` ends: a gate that blocks is no failure."""
    if status.state in ("FAILED", "CANCELED"):
        return EXIT_FAILED
    return EXIT_BLOCKED if status.find_nodes("SKIPPED") else EXIT_LIVE


def _print_ending(shown: Console, status: RunStatus, failed: list[dict[str, str]]) -> None:
    for failure in failed:
        message = printing.escape_lines(failure["message"] or "The server gives no reason; the end of its log:")
        log = printing.escape_lines(failure["log"])
        shown.print(f"[bold red]{printing.escape_markup(failure['name'])}[/] failed. {message}\n{log}", soft_wrap=True)
    if status.state == "FAILED" and not failed:
        reason = printing.escape_lines(status.message or "The server lists no step that failed.")
        shown.print(f"[bold red]The run[/] failed. {reason}")
    skipped = ", ".join(node.name for node in status.find_nodes("SKIPPED"))
    if status.state == "SUCCEEDED" and skipped:
        shown.print(f"Blocked: a gate kept {printing.escape_markup(skipped)} from running.")
    if status.state == "SUCCEEDED" and not status.nodes:
        shown.print(
            "This server does not list nodes: whether a gate blocked the push is in the run's page and records."
        )


def print_log(server: KubeflowServer, run_id: str, node: str) -> None:
    """The log of a node's last try, on standard output.

    Raises:
        UsageError: The run has no such node.
        KubeflowServerError: The server has no log of it.
    """
    nodes = {each.name: each for each in server.fetch_status(run_id, with_nodes=True).nodes}
    if not nodes:
        raise KubeflowServerError(f"{server.host} lists no nodes of the run {run_id}.", server.make_link(run_id))
    if node not in nodes:
        raise UsageError(f"The run {run_id} has no node {node!r}.", suggest_matches(node, nodes))
    _, text = server.find_log(run_id, nodes[node])
    printing.make_console().print(printing.escape_lines(text), soft_wrap=True, highlight=False)


def cancel_run(server: KubeflowServer, run_id: str) -> None:
    """Asks the server to end a run, and says how to see it end."""
    server.cancel_run(run_id)
    told = f"{run_id} is being cancelled. To see it end: {server.make_command('follow', run_id)}"
    printing.make_console().print(told, markup=False, soft_wrap=True)


def print_runs(host: str, namespace: str, limit: int, json: bool, experiment: str = "") -> None:
    """The newest runs of a server, or of one of its experiments."""
    runs = KubeflowServer(host, namespace).list_runs(limit, experiment)
    if json:
        printing.print_json(runs)
        return
    columns = ("run_id", "name", "state", "created_at", "finished_at", "error")
    rows = [[printing.escape_markup(run[column] or "–") for column in columns] for run in runs]
    printing.print_renderable(printing.make_table("", [column.removesuffix("_at") for column in columns], rows))


def _describe_failure(server: KubeflowServer, run_id: str, node: NodeStatus) -> dict[str, str]:
    """A failed node as JSON values, with the last lines of its log; pods, and their logs, do not live for ever."""
    described = {"name": node.name, "message": node.message}
    try:
        pod, log = server.find_log(run_id, node)
    except KubeflowServerError as error:
        return {**described, "pod": "", "log": str(error)}
    return {**described, "pod": pod, "log": "\n".join(log.splitlines()[-LOG_LINES:])}
