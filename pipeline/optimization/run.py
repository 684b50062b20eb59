"""Runs the optimizer on a SavedModel: checks the program, works in a child process, leaves the result in one folder."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from taxiway.components.contract import serving_model_dir
from taxiway.components.errors import OptimizationError, ServingError, UsageError
from taxiway.components.optimizer.job import SEARCH, OptimizerJob, compute_time_limit
from taxiway.components.optimizer.outputs import REPOSITORY
from taxiway.components.optimizer.report import OptimizerReport, read_report
from taxiway.components.optimizer.techniques import REFERENCE
from taxiway.components.processes import subprocesses
from taxiway.components.saved_models import manifest
from taxiway.components.serving.config import ServingConfig
from taxiway.components.serving.safety import allowed_ops
from taxiway.components.serving.versions import provenance, push, staging
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.components.serving.versions.push_result import PushResult
from taxiway.components.text.lists import join_first
from taxiway.pipeline.exit_codes import EXIT_BLOCKED, EXIT_LIVE
from taxiway.pipeline.optimization.request import (
    LOG_FILE,
    OptimizeRequest,
    build_job,
    check_outside,
    check_request,
    find_signature,
    link_original,
)

PAGE_FILE, MODEL_FOLDER = "report.html", "model"
_SHOWN = 5


@dataclass(frozen=True)
class OptimizeResult:
    """What came out.

    Attributes:
        report: The optimizer's report.
        model: Folder of the chosen SavedModel; None where no variant of the runtime may be chosen.
        page: The report page.
        push: What the push did; None where none was asked for.
    """

    report: OptimizerReport
    model: Path | None
    page: Path
    push: PushResult | None = None

    @property
    def exit_code(self) -> int:
        """0 where there is a model that may be served and, where a push was asked for, it is live; else 3."""
        return EXIT_LIVE if self.model and (self.push is None or self.push.is_live) else EXIT_BLOCKED


def optimize_saved_model(
    request: OptimizeRequest,
    ask: Callable[[list[str]], str] | None = None,
    push_to: Path | None = None,
    *,
    force: bool = False,
) -> OptimizeResult:
    """Optimizes a SavedModel.

    Args:
        request: What is asked.
        ask: Function that asks the user for one of several signatures; None where nobody can be asked.
        push_to: Serving directory to push the chosen model to.
        force: Whether a model that is live already, or that a rollback took back, is pushed too.

    Raises:
        UsageError: The request, or the rows, do not fit the model.
        ServingError: The model holds what may not run, or cannot be pushed.
        OptimizationError: The model cannot be run or measured.
    """
    check_request(request)
    if push_to:
        check_outside(request.model, push_to, "--push")
        ServingDirectory(push_to).check_writable()
    check_program(request.model, request.allowed_ops)
    job = build_job(request, find_signature(request, ask))
    with _leave_nothing_half(request.out, job):
        link_original(request, job)
        report = _run_search(job)
        model = _place_model(request, job, report)
        page = _write_page(request, report)  # before the push, which may fail
    pushed = _push_model(model, request, report, push_to, force) if model and push_to else None
    return OptimizeResult(report, model, page, pushed)


@contextlib.contextmanager
def _leave_nothing_half(out: Path, job: OptimizerJob) -> Iterator[None]:
    """Takes the folder of the results for this run alone; where the work fails or is interrupted, takes away what this
    run wrote there, all but the log that an error names.

    Args:
        out: Folder of the results; one that was there, empty, stays.
        job: The job, whose folders lie below it.

    Raises:
        UsageError: Another run has the folder, or has left its result there.
    """
    was_there = out.exists()
    with _explain_full_disk(out):
        _take_folder(out, Path(job.report_uri))
    try:
        with _explain_full_disk(out):
            yield
    except BaseException as error:
        kept = [LOG_FILE] if isinstance(error, OptimizationError) else []
        for path in _list_own_paths(out, job):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in kept:
                path.unlink(missing_ok=True)
        if not was_there:
            with contextlib.suppress(OSError):  # something of others is there
                out.rmdir()
        raise


def _take_folder(out: Path, report: Path) -> None:
    """Makes the report's folder, which only one of several runs can: they may have found an empty folder together."""
    try:
        report.mkdir(parents=True)
    except FileExistsError:
        raise UsageError(
            f"{out} is there already and not empty: another taxiway optimize writes there, or has.",
            "Name another folder with -o.",
        ) from None


def _list_own_paths(out: Path, job: OptimizerJob) -> list[Path]:
    """All that a run may write in the folder of the results; the report's folder last, by which others are kept out."""
    ours = [out / name for name in (MODEL_FOLDER, REPOSITORY, PAGE_FILE, LOG_FILE)]
    return [*ours, Path(job.chosen_uri), Path(job.exports_uri), Path(job.report_uri)]


@contextlib.contextmanager
def _explain_full_disk(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in staging.SIGNS_OF_A_FULL_DISK:
            raise
        raise OptimizationError(*_describe_full_disk(out)) from error


def _describe_full_disk(out: Path) -> tuple[str, str]:
    return (
        f"The disk of {out} or of {tempfile.gettempdir()} is full: there is no result.",
        "Free some space, or name other folders: -o for the results, TMPDIR for what is temporary.",
    )


def check_program(model: Path, allowed: Sequence[str], remedy: str = "") -> None:
    """Refuses a model with ops that are not allowed. Nothing of it is loaded.

    Args:
        model: Folder of the SavedModel.
        allowed: Ops that it may hold beside our list.
        remedy: Sentence that is said before the others.

    Raises:
        ServingError: It holds such ops, or is no SavedModel.
    """
    problems = allowed_ops.check_saved_model(model, allowed)
    if problems:
        raise ServingError(
            f"{model} is not loaded: {join_first(problems, _SHOWN, separator='; ')}.",
            f"{remedy}A SavedModel is a program. An op that you trust is allowed by --allow-op OP; ops that touch "
            "files, Python or other machines never are.",
        )


def _run_search(job: OptimizerJob) -> OptimizerReport:
    limit, out = compute_time_limit(job.config), Path(job.report_uri).parent
    log = out / LOG_FILE
    log.unlink(missing_ok=True)  # of a run that failed
    outcome = subprocesses.run_module(SEARCH, job.model_dump(mode="json"), log, timeout_seconds=limit)
    if outcome.returncode is None:
        raise OptimizationError(
            f"The optimizer did not end within {limit:g} s and was killed. Its log: {log}",
            "Give it more time (--budget), or fewer rows (--rows).",
        )
    if not outcome.ok and os.strerror(errno.ENOSPC) in outcome.error:
        raise OptimizationError(*_describe_full_disk(out))
    subprocesses.raise_child_error(outcome, OptimizationError)
    log.replace(Path(job.report_uri, LOG_FILE))
    return read_report(job.report_uri)


def _place_model(request: OptimizeRequest, job: OptimizerJob, report: OptimizerReport) -> Path | None:
    """The chosen model as `model/` with a manifest, and a model repository beside it, where there is one."""
    chosen, model = Path(job.chosen_uri), request.out / MODEL_FOLDER
    found = report.decision.chosen != REFERENCE or job.config.keep_reference
    if found:
        record = _build_provenance(request, report)
        with staging.explain_os_errors(request.out):
            staging.stage_model(Path(serving_model_dir(str(chosen))), model, record, {})
        for folder in chosen.iterdir():
            if folder.name != Path(serving_model_dir("")).name:
                shutil.move(str(folder), request.out / folder.name)
    shutil.rmtree(chosen)
    return model if found else None


def _build_provenance(request: OptimizeRequest, report: OptimizerReport) -> dict[str, object]:
    return provenance.build_provenance(
        model_name=report.job.given.name if report.job.given else "",
        run_id="",
        code_fingerprint="",
        model_artifact={"uri": str(request.model.resolve()), "digest": manifest.digest_folder(request.model)},
        report=report.model_dump(mode="json"),
        metrics={},
        data={"rows": report.rows},
    )


def _push_model(model: Path, request: OptimizeRequest, report: OptimizerReport, base: Path, force: bool) -> PushResult:
    config = ServingConfig(allowed_ops=request.allowed_ops)
    record = _build_provenance(request, report)
    digest = manifest.digest_folder(model)
    name = report.job.given.name if report.job.given else model.name
    try:
        return push.push_model(model, base, name, record, config, expected_digest=digest, force=force)
    except (ServingError, OSError) as error:
        told = error if isinstance(error, ServingError) else ServingError(f"{base} was not pushed to: {error}.")
        raise ServingError(told.problem, f"{told.remedy} The model and its report are in {request.out}.") from error


def _write_page(request: OptimizeRequest, report: OptimizerReport) -> Path:
    from taxiway.pipeline.report.model_page import write_model_page

    return write_model_page(report, request.out / PAGE_FILE)
