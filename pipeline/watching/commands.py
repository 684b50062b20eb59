"""`taxiway watch`: looks, runs, prints."""

from __future__ import annotations

import shlex
import time
from pathlib import Path, PurePosixPath

from taxiway.components.errors import TaxiwayError, UsageError
from taxiway.pipeline.config import PipelineConfig
from taxiway.pipeline.console import printing
from taxiway.pipeline.exit_codes import EXIT_LIVE
from taxiway.pipeline.root import Root
from taxiway.pipeline.runs import interruption
from taxiway.pipeline.watching import schedulers, status, triggers, watch
from taxiway.pipeline.watching.run_process import AlreadyWatchedError
from taxiway.pipeline.watching.state import STATE_FILE, get_folder, read_state
from taxiway.pipeline.watching.watch import WatchRequest


def _tell(request: WatchRequest, line: str) -> None:
    moment = time.strftime("%Y-%m-%d %H:%M:%S")
    printing.make_console(stderr=request.json).print(f"{moment} {line}", markup=False, soft_wrap=True)


def run_once(request: WatchRequest) -> int:
    """Looks once, and runs what is due.

    Returns:
        The exit code of the first run that did not end well, else 0; 0 where another watch is at work.
    """
    try:
        with interruption.catch_signals():
            code, results = watch.watch_once(request, lambda line: _tell(request, line))
    except AlreadyWatchedError as error:
        _tell(request, str(error))
        code, results = EXIT_LIVE, []
    except interruption.RunInterrupted as error:
        return _tell_interrupted(request, error)
    if request.json:
        printing.print_json([result.model_dump() for result in results])
    elif not results:
        _tell(request, "nothing is due")
    return code


def run_forever(request: WatchRequest, look_seconds: float) -> int:
    """Looks and runs until SIGINT or SIGTERM."""
    triggers.check_events(request.load_config(), request.events)
    try:
        with interruption.catch_signals():
            _tell(request, f"watching {_describe_events(request)}; --status shows what is due, Ctrl-C ends it")
            watch.watch_forever(request, lambda line: _tell(request, line), look_seconds)
    except interruption.RunInterrupted as error:
        return _tell_interrupted(request, error)
    return EXIT_LIVE


def _tell_interrupted(request: WatchRequest, error: interruption.RunInterrupted) -> int:
    """The exit code. What was due is in the state, and so is a run that did not want to end."""
    _tell(request, "interrupted; what is due is run when the watch is started again")
    return error.exit_code


def _describe_events(request: WatchRequest) -> str:
    config, events = request.load_config(), request.events
    parts = []
    if events.spans and triggers.watches_spans(config.data):
        parts.append(f"spans of {config.data.path}")
    if events.schedule:
        parts.append(f"the schedule {events.schedule.text!r} ({events.schedule.zone.key})")
    if events.verdicts:
        parts.append(f"verdicts on {config.name}")
    return ", ".join(parts)


def print_status(request: WatchRequest) -> None:
    """Prints what is due, what runs and what ended."""
    read = status.read_status(request)
    if request.json:
        printing.print_json(read)
    else:
        printing.print_renderable(status.render_status(read))


# ---- --write ----


def write_scheduler(request: WatchRequest, kind: str, folder: Path, look_seconds: float, namespace: str) -> None:
    """Writes what starts the watch, and says how to use it.

    Raises:
        TaxiwayError: The configuration cannot be run there, or nothing would ever start a run.
    """
    config = request.load_config()
    triggers.check_events(config, request.events)
    if kind == "kfp":
        _write_package(request, config, folder)
        return
    polls = request.events.verdicts or (request.events.spans and triggers.watches_spans(config.data))
    schedule = request.events.schedule
    if kind == "systemd":
        words = _make_arguments(request, str(Path(config.source or "").resolve()), str(request.root.resolve()))
        files = schedulers.make_systemd_units(config.name, words, schedule, look_seconds, polls=polls)
        paths = schedulers.write_files(folder, files)
        enable = f"systemctl --user enable --now taxiway-watch-{config.name}.timer"
        remedy = f"cp {shlex.join(map(str, paths))} ~/.config/systemd/user/ && {enable}"
        first_look = _describe_first_look(request, config)
    else:
        kubeflow = config.resources.kubeflow
        place = PurePosixPath(kubeflow.config_folder) / Path(config.source or "").name
        words = _make_arguments(request, str(place), kubeflow.root)
        text = schedulers.make_cron_job(config, words, schedule, look_seconds, polls=polls, namespace=namespace)
        paths = schedulers.write_files(folder, {f"taxiway-watch-{config.name}.yaml": text})
        remedy = f"kubectl apply -f {paths[0]}"
        state = PurePosixPath(kubeflow.root, "watch", config.name, STATE_FILE)
        first_look = f"unless the cluster has {state}, {_describe_rule(request, config)}"
    for path in paths:
        _tell(request, f"written: {path}")
    _tell(request, f"to start it: {remedy}")
    _tell(request, first_look)


def _describe_first_look(request: WatchRequest, config: PipelineConfig) -> str:
    """What the first start will find due. Nothing is looked at, and nothing written, before it."""
    root = Root.at(request.root)
    folder = get_folder(root, config.name)
    if (folder / STATE_FILE).exists():
        return f"it goes on from {folder / STATE_FILE}"
    try:
        found, _ = triggers.find_triggers(read_state(folder), root, config, request.events, time.time())
    except TaxiwayError as error:  # the files are written, and what is missing may come
        return f"{_describe_rule(request, config)}; were it now, it would fail: {error}"
    due = ", ".join(trigger.text for trigger in found.waiting) or "nothing"
    return f"{_describe_rule(request, config)}; were it now: {due}"


def _describe_rule(request: WatchRequest, config: PipelineConfig) -> str:
    """What is due at a first look."""
    events, parts = request.events, []
    if events.spans and triggers.watches_spans(config.data):
        newer = "those newer than the live version's (the newest one where nothing is live)"
        first = events.first_span
        parts.append(f"spans: {newer if first is None else f'those from {first} on'}")
    if events.schedule:
        parts.append(f"moments: those since {events.grace_seconds / 60:.0f} minutes before it")
    if events.verdicts:
        parts.append("verdicts: the newest one on the live version")
    return f"its first start is the first look, at which there are due: {'; '.join(parts)}"


def _make_arguments(request: WatchRequest, config: str, root: str) -> list[str]:
    """The watch as it is typed after `taxiway`, with `--once`."""
    events = request.events
    words = ["watch", config, "--once", "--root", root]
    for override in request.overrides:
        words += ["--set", override]
    if events.schedule:
        words += ["--every", events.schedule.text, "--time-zone", events.schedule.zone.key]
    words += [] if events.spans else ["--no-spans"]
    words += [] if events.verdicts else ["--no-verdicts"]
    words += ["--from-span", str(events.first_span)] if events.first_span is not None else []
    words += [] if request.warm_start else ["--cold"]
    words += ["--retries", str(request.retries), "--retry-after", f"{request.retry_seconds:g}"]
    return [*words, "--settle", f"{events.settle_seconds:g}"]


def _write_package(request: WatchRequest, config: PipelineConfig, folder: Path) -> None:
    """A compiled pipeline, and the command that has the server start it: Kubeflow looks at nothing but its clock."""
    schedule = request.events.schedule
    if schedule is None:
        raise UsageError("Kubeflow starts recurring runs by a schedule only.", "Give --every '0 6 * * 1'.")
    from taxiway.pipeline.kubeflow import commands

    warm = [watch.WARM_START] if request.warm_start and not config.training.warm_start_from else []
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{config.name}.yaml"
    commands.compile_to_file(file, request.config, [*request.overrides, *warm], "kfp")
    words = ["submit", str(file), "--host", "URL", "--every", schedule.text]
    if triggers.watches_spans(config.data):
        words += ["--param", "scheduled_time=[[ScheduledTime]]"]
    _tell(request, f"to start it: {schedulers.format_arguments(words)}")
    if schedule.zone.key != "UTC":
        _tell(request, f"its clock is the cluster's, UTC unless CRON_SCHEDULE_TIMEZONE says {schedule.zone.key}")
