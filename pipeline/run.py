"""One run, from the configuration to the summary. TFX is imported only once the display is up."""

from __future__ import annotations

import contextlib
import datetime
import os
import shlex
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
import yaml

from components import patterns, progress
from components.errors import TaxiwayError, UsageError
from components.serving.directory import ServingDirectory, Version
from pipeline import config as configuration
from pipeline import (
    display,
    nodes,
    output,
    record,
    recovery,
    run_order,
    summary,
    temporary_files,
    unrecorded_pushes,
    uptodate,
)
from pipeline.layout import DEFAULT_ROOT, Root
from pipeline.record import RunRecord
from pipeline.recorder import Recorder, paragraph
from pipeline.root_lock import hold
from pipeline.store import Store
from pipeline.store_file import check_file, check_not_lost

EXIT_LIVE, EXIT_FAILED, EXIT_BLOCKED, EXIT_INTERRUPTED, EXIT_TERMINATED = 0, 1, 3, 130, 143
IMPORTING = "TFX"
LITTLE_BYTES = 1 << 18
"""With less than this free, a failure to write comes from the disk."""


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM. Passes through TFX, which catches `Exception` only."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = EXIT_TERMINATED if number == signal.SIGTERM else EXIT_INTERRUPTED


class FullDiskError(TaxiwayError):
    """The disk under the root has no room."""


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line; see `taxiway run --help`."""

    config: Path | None = None
    root: Path = DEFAULT_ROOT
    overrides: tuple[str, ...] = ()
    from_node: str | None = None
    to_node: str | None = None
    cache: bool = True
    force: bool = False
    wait: bool = True
    orchestrator: Literal["local", "beam"] = "local"
    json: bool = False

    @property
    def whole(self) -> bool:
        """Every node is to run as far as the cache has no answer: nothing less, nothing more."""
        return self.cache and not self.from_node and not self.to_node

    def arguments(self) -> list[str]:
        """The request as it is typed after `taxiway`."""
        words = ["run", *([str(self.config)] if self.config else [])]
        words += ["--root", str(self.root)] if self.root != DEFAULT_ROOT else []
        for override in self.overrides:
            words += ["--set", override]
        words += ["--from", self.from_node] if self.from_node else []
        words += ["--to", self.to_node] if self.to_node else []
        words += [] if self.cache else ["--no-cache"]
        words += ["--force"] if self.force else []
        words += ["--orchestrator", self.orchestrator] if self.orchestrator != "local" else []
        return words

    def resume(self) -> str:
        """The command that goes on: what is complete is reused, so it is the same one with the cache."""
        return shlex.join(["taxiway", *(word for word in self.arguments() if word != "--no-cache")])


def execute(request: Request) -> int:
    """Runs the pipeline and shows it.

    Returns:
        The exit code: 0 done and live, 1 or 2 failed, 3 blocked by a gate, 130 or 143 interrupted.

    Raises:
        TaxiwayError: Nothing was begun: the configuration, the root or the chosen part is wrong.
    """
    nodes.check_part(request.from_node, request.to_node)
    config = configuration.load(request.config, request.overrides)
    root = prepare_root(Root.at(request.root))
    if request.to_node in (None, unrecorded_pushes.PUSHER):
        ServingDirectory(root.serving / config.name).check_writable()
    with _room(root, request), hold(root, request.wait), _signals() as stop:
        digest = uptodate.inputs_digest(config)
        if request.whole and not request.force and (same := uptodate.same_inputs(root, config, digest)):
            return _nothing_to_do(request, *same)
        died = recovery.end_open_executions(root, "FAILED")
        recorded = unrecorded_pushes.record_missing(root)
        damaged = recovery.set_aside_damaged(root)
        run = begin(request, config, root, digest)
        folder = root.run(run.run_id)
        with (
            temporary_files.temporary_folder(root, run.run_id),
            display.quiet(folder / record.LOG_FILE, stderr=request.json) as console,
        ):
            if died:
                console.print(f"[yellow]An earlier run died in {', '.join(died)}; what it had completed is reused.[/]")
            for sentence in recorded:
                console.print(f"[yellow]{output.plain(sentence)}[/]", soft_wrap=True)
            for damage in damaged:
                console.print(
                    f"[yellow]{output.plain(damage.uri)} is {damage.what}; what wrote it runs again.[/]", soft_wrap=True
                )
            console.print(f"[dim]run {run.run_id}, log {output.plain(folder / record.LOG_FILE)}[/]", soft_wrap=True)
            run = _with_report(root, _run(request, config, root, run, console, stop))
            console.print(summary.at_the_end(run))
        if request.json:
            output.print_json(run.model_dump(mode="json"))
        _leave(run)  # before the lock goes: what still runs may not write beside the next run
    return run.exit_code if run.exit_code is not None else EXIT_FAILED


def _nothing_to_do(request: Request, live: Version, run: RunRecord) -> int:
    """The live version comes from the same inputs already."""
    if request.json:
        output.print_json(run.model_dump(mode="json"))
        return EXIT_LIVE
    console = output.console()
    console.print(f"[bold green]Live already: {run.model} version {live.number}[/] is from the same inputs.")
    console.print(
        f"Data, configuration and code are those of run {run.run_id}; --force runs all the same.\n"
        f"{output.plain(live.path)}"
    )
    return EXIT_LIVE


def _run(
    request: Request, config: configuration.Config, root: Root, run: RunRecord, console: Any, stop: _Stop
) -> RunRecord:
    """Runs it; every way in which it can end is in the record that comes back."""
    folder = root.run(run.run_id)
    os.environ[progress.ENVIRONMENT_VARIABLE] = str(folder / record.PROGRESS_FILE)
    shown = display.make_display(console)
    recorder = Recorder(run, root, shown, stop.check)
    try:
        with recorder, display.Follower(folder / record.PROGRESS_FILE, shown.message):
            _launch(request, config, root, recorder)
    except Interrupted as error:
        recorder.interrupted(error.exit_code, request.resume())
    except Exception as error:
        if type(error) is UsageError and not recorder.record.nodes:
            discard(root, run)  # what was typed is wrong: no run has begun
            raise
        traceback.print_exc()  # into the log
        if stop.error:  # a library has wrapped it in an error of its own, as Beam does
            recorder.interrupted(stop.error.exit_code, request.resume())
            return recorder.record
        error = _of_a_full_disk(error, root, request) or error
        error = unrecorded_pushes.explain_error(error, root, config.name, run.run_id)
        try:
            recorder.failed(error, request.resume())
        except OSError:  # not even the summary can be written: the caller says it
            raise error from None
    finally:
        shown.close()
        del os.environ[progress.ENVIRONMENT_VARIABLE]
    return recorder.record


def _with_report(root: Root, run: RunRecord) -> RunRecord:
    """Writes the run's page. Whatever becomes of it does not change how the run ended; the log has the traceback."""
    if run.state == "interrupted":
        return run  # whoever interrupts does not want to wait
    from pipeline import report

    try:
        run = run.model_copy(update={"report": str(report.write(root, run.run_id))})
    except Exception as error:
        traceback.print_exc()
        run = run.model_copy(update={"report": f"not written: {paragraph(error)}"})
    record.write(run, root.run(run.run_id))
    return run


def _launch(request: Request, config: configuration.Config, root: Root, recorder: Recorder) -> None:
    recorder.display.started(IMPORTING)
    recorder.display.message(IMPORTING, "starting", None)
    make_importable(config)
    from pipeline import runners  # the import of TFX: seconds
    from pipeline.dag import NEVER_CACHED, create_pipeline
    from pipeline.fingerprint import node_fingerprints

    run_id = recorder.record.run_id
    pipeline = create_pipeline(config, root, run_id=run_id, cache=request.cache, force=request.force)
    ir = runners.compile_pipeline(pipeline, run_id, never_cached=NEVER_CACHED)
    functions = [dotted for dotted in (config.preprocessing.function, config.model.function) if dotted]
    folder = config.source.parent if config.source else None
    runners.add_to_cache_keys(ir, node_fingerprints(runners.executors(ir), functions, folder))
    part = runners.PartialRun(request.from_node, request.to_node)
    if request.from_node or request.to_node:
        part = runners.mark_part(ir, part, Store(root.metadata) if recovery.has_store(root) else None)
    recorder.planned(runners.node_ids(ir), runners.left_out(ir), part.base_run)
    runners.run(ir, recorder, request.orchestrator)
    recorder.ended()


def make_importable(config: configuration.Config) -> None:
    """The user's own modules lie beside the configuration. Ours come first: a user's `data.py` must not hide `data`."""
    if config.source is None:
        return
    folder = str(config.source.parent)
    if folder not in sys.path:
        sys.path.append(folder)
    inherited = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if folder not in inherited:
        os.environ["PYTHONPATH"] = os.pathsep.join([*inherited, folder])


def prepare_root(root: Root) -> Root:
    """Makes the root's folders.

    Raises:
        UsageError: It cannot be written, or TensorFlow could not read a model back from there.
        StoreError: Its `metadata.db` is damaged or of another program.
    """
    odd = [character for character in patterns.UNREADABLE if character in str(root.path)]
    if odd:
        raise UsageError(
            f"The path of the root {root.path} holds {' and '.join(odd)}, which TensorFlow takes for a pattern: "
            "neither it nor TensorFlow Serving could load a model from there.",
            "Give another folder with --root.",
        )
    try:
        for folder in (root.path, root.runs, root.artifacts):
            folder.mkdir(parents=True, exist_ok=True)
        probe = root.path / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"The root {root.path} cannot be written: {error.strerror or error}.", "Give another folder with --root."
        ) from error
    if recovery.has_store(root):
        check_file(root.metadata, whole=True)
    else:
        check_not_lost(root)
    return root


@contextlib.contextmanager
def _room(root: Root, request: Request) -> Iterator[None]:
    """On a full disk not even the summary of the failed run can be written: what is raised then says why."""
    try:
        yield
    except Exception as error:
        full = _of_a_full_disk(error, root, request)
        if full is None:
            raise
        raise full from error


def _of_a_full_disk(error: Exception, root: Root, request: Request) -> TaxiwayError | None:
    """The error in its own words, where the disk under the root is full; None where it is not, or that was said."""
    free = shutil.disk_usage(root.path).free
    if free >= LITTLE_BYTES or isinstance(error, (FullDiskError, unrecorded_pushes.NotRecordedError)):
        return None
    return FullDiskError(
        f"The disk that holds the root {root.path} is full ({free:,} bytes are free): {paragraph(error)}",
        f"Free some space (`taxiway gc` removes what no run needs), then: {request.resume()}",
    )


def begin(request: Request, config: configuration.Config, root: Root, digest: str = "") -> RunRecord:
    """Makes the run's folder with its configuration and its first summary."""
    started = time.time()
    folder = _new_folder(root, datetime.datetime.fromtimestamp(started).strftime("%Y%m%d-%H%M%S"))
    content = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    (folder / record.CONFIG_FILE).write_text(content, encoding="utf-8")
    run = RunRecord(
        run_id=folder.name,
        state="running",
        model=config.name,
        main_metric=config.evaluation.main(config.label.task),
        orchestrator=request.orchestrator,
        started=started,
        inputs=digest,
        process=(os.getpid(), psutil.Process().create_time()),
        command=tuple(request.arguments()),
        log=str(folder / record.LOG_FILE),
    )
    record.write(run, folder)
    run_order.append_run(root, run.run_id)
    return run


def discard(root: Root, run: RunRecord) -> None:
    """Takes back `begin`."""
    shutil.rmtree(root.run(run.run_id), ignore_errors=True)
    run_order.remove_last(root, run.run_id)


def _new_folder(root: Root, name: str) -> Path:
    """Two runs of one second get two names."""
    for attempt in range(1, 1000):
        folder = root.run(name if attempt == 1 else f"{name}-{attempt}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise TaxiwayError(f"{root.runs} holds a thousand runs of the same second.", "Is the clock right?")


class _Stop:
    """SIGINT and SIGTERM become `Interrupted`, raised where the main thread is.

    Where a library swallows that (a callback whose exceptions are ignored), the run must still end: the next node does
    not start. A second signal right after the first one counts nothing, so that cleaning up is not interrupted.
    """

    PATIENCE_SECONDS = 5.0

    def __init__(self) -> None:
        self.error: Interrupted | None = None
        """What was asked for; None while nothing was."""
        self._raised = 0.0

    def asked(self, number: int, _: object) -> None:
        """The signal handler."""
        if self.error and time.monotonic() - self._raised < self.PATIENCE_SECONDS:
            return
        self.error = self.error or Interrupted(number)
        self._raised = time.monotonic()
        raise self.error

    def check(self) -> None:
        """Raises again what a library has swallowed."""
        if self.error:
            raise self.error


@contextlib.contextmanager
def _signals() -> Iterator[_Stop]:
    """While this block runs, SIGINT and SIGTERM go to the `_Stop`."""
    stop = _Stop()
    before = {number: signal.signal(number, stop.asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(run: RunRecord) -> None:
    """After an interruption Beam's threads may still hold the process: everything is written, so it ends here."""
    if run.state == "interrupted":
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(run.exit_code or EXIT_INTERRUPTED)
