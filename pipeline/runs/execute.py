"""One run, from the configuration to the summary. TFX is imported only once the display is up."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from typing import Any

from taxiway.components.beam.stock_reading import spread_stock_reads
from taxiway.components.errors import UsageError
from taxiway.components.processes import phases
from taxiway.components.processes.progress import ENVIRONMENT_VARIABLE
from taxiway.components.serving.versions.directory import ServingDirectory, Version
from taxiway.pipeline import nodes
from taxiway.pipeline.config import PipelineConfig, load_config
from taxiway.pipeline.console import printing, progress, summary
from taxiway.pipeline.exit_codes import EXIT_FAILED, EXIT_LIVE
from taxiway.pipeline.root import Root
from taxiway.pipeline.runs import interruption, profiling, up_to_date
from taxiway.pipeline.runs.interruption import RunInterrupted, StopSignal
from taxiway.pipeline.runs.launching import early_scores, engine, warm_children
from taxiway.pipeline.runs.on_disk import full_disk, run_folder, temporary_files
from taxiway.pipeline.runs.on_disk.root_lock import hold_lock, prepare_root
from taxiway.pipeline.runs.recorder import RunRecorder, describe_error
from taxiway.pipeline.runs.request import RunRequest
from taxiway.pipeline.tracking import kept_scores, recovery, run_record, unrecorded_pushes
from taxiway.pipeline.tracking.run_record import RunRecord
from taxiway.pipeline.tracking.store.metadata_store import RunStore
from taxiway.pipeline.tracking.store.store_file import has_store_file
from taxiway.pipeline.user_modules import list_user_functions, make_importable


def run_pipeline(request: RunRequest) -> int:
    """Runs the pipeline as the command line does: shows it, and ends this process if the run was interrupted.

    Returns:
        The exit code: 0 done and live, 1 or 2 failed, 3 blocked by a gate, 130 or 143 interrupted.

    Raises:
        TaxiwayError: No run has begun: the configuration, the root or the chosen part is wrong.
    """

    def end_command(run: RunRecord) -> None:
        if request.json:
            printing.print_json(run.model_dump(mode="json"))
        interruption.exit_if_interrupted(run)

    run = execute_run(request, end_command)
    return run.exit_code if run.exit_code is not None else EXIT_FAILED


def execute_run(request: RunRequest, before_release: Callable[[RunRecord], None] = lambda _: None) -> RunRecord:
    """Runs the pipeline.

    Args:
        request: Configuration, nodes and output of the run.
        before_release: Function that is called with the run's record before the next run may begin on this root.

    Returns:
        The run's record; if nothing has changed, the record of the run that pushed the live version.

    Raises:
        TaxiwayError: No run has begun: the configuration, the root or the chosen part is wrong.
    """
    called = time.time()
    config = request.settings or load_config(request.config, request.overrides)
    if not config.pipeline:  # the nodes of another pipeline are known when it is made
        nodes.check_node_range(request.from_node, request.to_node, _list_left_out(config))
    make_importable(config)
    root = prepare_root(Root.at(request.root))
    if request.to_node in (None, unrecorded_pushes.PUSHER, nodes.EXPLAINER):
        ServingDirectory(root.serving / config.name).check_writable()
    with (
        full_disk.explain_full_disk(root, request),
        hold_lock(root, request.wait),
        interruption.catch_signals() as stop,
    ):
        digest = up_to_date.digest_inputs(config)
        if request.is_full_run and not request.force and (same := up_to_date.find_same_inputs(root, config, digest)):
            return _report_up_to_date(request, *same, before_release)
        notes = _repair_root(root)
        run = run_folder.begin_run(request, config, root, digest)
        folder = root.run_folder(run.run_id)
        with profiling.record_profile(
            folder, called, enabled=request.profile, whole_process=request.whole_process
        ) as profile:
            run = _run_and_show(request, config, root, run, notes, stop, profile)
        before_release(run)  # what an interrupted run has left running may not write beside the next run
    return run


def _list_left_out(config: PipelineConfig) -> list[str]:
    """The nodes that the configuration does not ask for."""
    asked_for = {"Tuner": config.tuning.enabled, nodes.EXPLAINER: config.explanation.enabled}
    return [node for node in nodes.OPTIONAL_NODES if not asked_for[node]]


def _report_up_to_date(
    request: RunRequest, live: Version, run: RunRecord, before_release: Callable[[RunRecord], None]
) -> RunRecord:
    """Says that the live version comes from the same inputs."""
    run = run.model_copy(update={"state": "live", "exit_code": EXIT_LIVE})  # however the run ended after its push
    before_release(run)
    if request.json or request.quiet:
        return run
    console = printing.make_console()
    console.print(f"[bold green]Live already: {run.model} version {live.number}[/] is from the same inputs.")
    console.print(
        f"Data, configuration and code are those of run {run.run_id}; --force runs all the same.\n"
        f"{printing.escape_markup(live.path)}"
    )
    return run


def _repair_root(root: Root) -> list[str]:
    """Ends, records and sets aside what earlier runs left half done.

    Returns:
        A sentence on each repair.
    """
    died = recovery.end_open_executions(root, "FAILED")
    recorded = unrecorded_pushes.record_missing_pushes(root)
    damaged = recovery.set_aside_damaged(root)
    return [
        *([f"An earlier run died in {', '.join(died)}; what it had completed is reused."] if died else []),
        *recorded,
        *(f"{damage.uri} is {damage.what}; what wrote it runs again." for damage in damaged),
    ]


def _run_and_show(
    request: RunRequest,
    config: PipelineConfig,
    root: Root,
    run: RunRecord,
    notes: list[str],
    stop: StopSignal,
    profile: profiling.Profile,
) -> RunRecord:
    """Runs the nodes with all output in the log, and prints notes, nodes and summary to the console."""
    log = root.run_folder(run.run_id) / run_record.LOG_FILE
    with (
        temporary_files.use_temporary_folder(root, run.run_id),
        progress.redirect_output(log, stderr=request.json) as console,
    ):
        console.quiet = request.quiet
        for note in notes:
            console.print(f"[yellow]{printing.escape_markup(note)}[/]", soft_wrap=True)
        console.print(f"[dim]run {run.run_id}, log {printing.escape_markup(log)}[/]", soft_wrap=True)
        with warm_children.use_warm_children(config, request, log):
            scores = early_scores.EarlyScores(root, run.run_id)
            run = _run_and_record(request, config, root, run, console, stop, scores)
            run = _write_report(root, run, scores.find_delay() if run.state == "live" else "")
        console.print(summary.render_end(run, kept_scores.read_main_intervals(root, run)))
        if said := profile.describe_end():
            console.print(f"[dim]{printing.escape_markup(said)}[/]", soft_wrap=True)
    return run


def _run_and_record(
    request: RunRequest,
    config: PipelineConfig,
    root: Root,
    run: RunRecord,
    console: Any,
    stop: StopSignal,
    scores: early_scores.EarlyScores,
) -> RunRecord:
    """Runs the nodes. The record that comes back says how the run ended, whichever way."""
    progress_file = root.run_folder(run.run_id) / run_record.PROGRESS_FILE
    os.environ[ENVIRONMENT_VARIABLE] = str(progress_file)
    display = progress.make_display(console)
    at_a_time = warm_children.count_concurrent_nodes(config)
    after_node = scores.note_end if at_a_time > 1 else lambda *_: None
    recorder = RunRecorder(run, root, display, stop.check_stopped, after_node)
    try:
        with recorder, progress.ProgressFollower(progress_file, display.show_message):
            _launch_nodes(request, config, root, recorder)
    except RunInterrupted as error:
        recorder.record_interruption(error.exit_code, request.make_resume_command())
    except Exception as error:
        if type(error) is UsageError and not recorder.record.nodes:
            run_folder.discard_run(root, run)  # what was typed is wrong: no run has begun
            raise
        traceback.print_exc()  # into the log
        if stop.error:  # a library has wrapped it in an error of its own, as Beam does
            recorder.record_interruption(stop.error.exit_code, request.make_resume_command())
        else:
            _record_failure(request, root, recorder, error)
    finally:
        display.close()
        del os.environ[ENVIRONMENT_VARIABLE]
    return recorder.record


def _record_failure(request: RunRequest, root: Root, recorder: RunRecorder, error: Exception) -> None:
    """Records the error; where not even the summary can be written, raises it."""
    run = recorder.record
    error = full_disk.make_full_disk_error(error, root, request) or error
    error = unrecorded_pushes.explain_error(error, root, run.model, run.run_id)
    try:
        recorder.record_failure(error, request.make_resume_command())
    except OSError:
        raise error from None


def _launch_nodes(request: RunRequest, config: PipelineConfig, root: Root, recorder: RunRecorder) -> None:
    recorder.display.start_node(progress.BEFORE_NODES)
    recorder.display.show_message(progress.BEFORE_NODES, "starting", None)
    from taxiway.pipeline.runs.launching import runners  # the import of TFX: seconds

    with phases.record_phase("execute", "plan the nodes"):
        ir = _plan_nodes(request, config, root, recorder)
    if engine.needs_check(config):
        recorder.display.start_node(engine.WORKERS)
        recorder.display.show_message(engine.WORKERS, "a first element goes to the engine and back", None)
        engine.check_engine(config, root)
        spread_stock_reads()
    for step in (progress.BEFORE_NODES, engine.WORKERS):
        recorder.display.end_step(step)
    runners.run_compiled(ir, recorder, request.orchestrator, warm_children.count_concurrent_nodes(config))
    recorder.record_end()


def _plan_nodes(request: RunRequest, config: PipelineConfig, root: Root, recorder: RunRecorder) -> Any:
    """The compiled pipeline, marked with what runs of it."""
    from taxiway.pipeline.code_fingerprint import fingerprint_nodes
    from taxiway.pipeline.dag import NEVER_CACHED
    from taxiway.pipeline.own_pipeline import build_pipeline
    from taxiway.pipeline.runs.launching import runners

    run_id = recorder.record.run_id
    pipeline = build_pipeline(config, root, cache=request.cache, force=request.force)
    ir = runners.compile_pipeline(pipeline, run_id, never_cached=NEVER_CACHED)
    functions = list_user_functions(config)
    folder = config.source.parent if config.source else None
    runners.add_to_cache_keys(ir, fingerprint_nodes(runners.list_executors(ir), functions, folder))
    part = runners.PartialRun(request.from_node, request.to_node)
    if request.from_node or request.to_node:
        part = runners.mark_partial_run(ir, part, RunStore(root.metadata) if has_store_file(root) else None)
    recorder.record_plan(runners.list_node_ids(ir), runners.find_left_out(ir), part.base_run)
    return ir


def _write_report(root: Root, run: RunRecord, without_scores: str) -> RunRecord:
    """Writes the run's page. A failure here does not change how the run ended; the log has the traceback."""
    if run.state == "interrupted":
        return run  # an interrupted user does not want to wait
    try:
        from taxiway.pipeline import report

        with phases.record_phase("write", "the report", "Report"):
            run = run.model_copy(
                update={"report": str(report.write_report(root, run.run_id, without_scores=without_scores))}
            )
    except Exception as error:
        traceback.print_exc()
        run = run.model_copy(update={"report": f"not written: {describe_error(error)}"})
    run_record.write_summary(run, root.run_folder(run.run_id))
    return run
