"""The search in a process of its own, `python -m taxiway.components.tuner.search`: alone, or over several workers."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from taxiway.components.errors import ConfigError, TrainingError, rebuild_error
from taxiway.components.processes import subprocesses
from taxiway.components.processes.sigterm import SigtermFlag
from taxiway.components.processes.usable_cores import count_usable_cores
from taxiway.components.tuner import results, study
from taxiway.components.tuner.job import ASKED_TO_END, TuningJob
from taxiway.components.tuner.space import build_space, check_ends, choose_first_values

MODULE = "taxiway.components.tuner.search"
CORES_PER_TRIAL, MOST_WORKERS = 2, 8
POLL_SECONDS = 0.2


def run_job(content: dict[str, Any]) -> dict[str, Any]:
    """A worker's trials; or the whole search, and its results."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    job, terminated = TuningJob.model_validate(content), SigtermFlag()
    if job.worker >= 0:
        _run_trials(job, terminated)
        return {}
    return run_search(job, terminated)


def run_search(job: TuningJob, terminated: SigtermFlag) -> dict[str, Any]:
    """Runs what is left of the search, and writes its results.

    Raises:
        ConfigError: The space does not suit the model.
        TrainingError: No trial gave a value, a worker died, or the process was asked to end.
    """
    _require_optuna()
    training_job, tuning = job.training_job, job.tuning
    model, training = training_job.model, training_job.training
    space = build_space(tuning, model, training)
    check_ends(space, model, training)
    found = study.open_study(job.storage, tuning, training.best_metric)
    study.repair_study(found, choose_first_values(space, model, training))
    if tuning.timeout_seconds:
        job = job.model_copy(update={"deadline": time.time() + tuning.timeout_seconds})
    workers = min(tuning.parallel or choose_workers(), tuning.trials)
    if workers == 1:
        _run_trials(job, terminated)
    else:
        _run_workers(job.model_copy(update={"workers": workers}), terminated)
    return results.write_results(found, space, job).model_dump(mode="json")


def _run_trials(job: TuningJob, terminated: SigtermFlag) -> None:
    from taxiway.components.tuner.worker import (
        run_trials,  # not before: the one that starts workers needs no TensorFlow
    )

    run_trials(job, terminated)


def _require_optuna() -> None:
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"The search for settings needs Optuna, which is not installed ({error}).",
            "Install it into this environment: python -m pip install 'optuna>=4.2'.",
        ) from error


def choose_workers() -> int:
    """Trials at once: one for each GPU, else one for two cores."""
    gpus = count_gpus()
    return gpus or max(min(count_usable_cores() // CORES_PER_TRIAL, MOST_WORKERS), 1)


def count_gpus() -> int:
    """NVIDIA GPUs that this process may use, without a start of TensorFlow, which would take their memory."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([number for number in visible.split(",") if number.strip() not in ("", "-1")])
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))


def _run_workers(job: TuningJob, terminated: SigtermFlag) -> None:
    with tempfile.TemporaryDirectory(prefix="taxiway-tuner-") as folder, contextlib.ExitStack() as stack:
        children = [stack.enter_context(_start_worker(job, number, Path(folder))) for number in range(job.workers)]
        while any(child.poll() is None for child in children):
            if terminated() or any(child.poll() not in (None, 0) for child in children):
                break
            time.sleep(POLL_SECONDS)
        # Those that are ended here answer that they were asked to: the reason is with those that ended before.
        ended = [number for number, child in enumerate(children) if child.poll() is not None]
        for child in children:  # all of them are asked before the first one is waited for
            if child.poll() is None:
                child.terminate()
        for child in children:
            subprocesses.end_process(child)
        _check_workers({number: children[number] for number in ended}, Path(folder), terminated())


@contextlib.contextmanager
def _start_worker(job: TuningJob, number: int, folder: Path) -> Iterator[subprocesses.ChildProcess]:
    job_file = folder / f"job-{number}.json"
    job_file.write_text(job.model_copy(update={"worker": number}).model_dump_json(), encoding="utf-8")
    log = Path(job.storage, f"worker-{number}.log")
    answer = folder / f"result-{number}.json"
    child = subprocesses.start_module(MODULE, job_file, answer, log, environment=_make_environment(job, number))
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def _make_environment(job: TuningJob, number: int) -> dict[str, str]:
    """Each worker has its own GPU, or its share of the cores."""
    gpus = count_gpus()
    if gpus:
        visible = [each for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each.strip()]
        return {"CUDA_VISIBLE_DEVICES": visible[number % len(visible)] if visible else str(number % gpus)}
    threads = max(count_usable_cores() // job.workers, 1)
    return {"TF_NUM_INTRAOP_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}


def _check_workers(ended: Mapping[int, subprocesses.ChildProcess], folder: Path, asked: bool) -> None:
    """Raises the error of the first of the workers that ended by themselves, by number, if one failed."""
    if asked:
        raise TrainingError(*ASKED_TO_END)
    for number, child in ended.items():
        if child.returncode == 0:
            continue
        answer = subprocesses.read_answer(folder / f"result-{number}.json")
        ending = f"Worker {number} of the search {subprocesses.describe_exit(child.returncode)}."
        raise rebuild_error(answer) or TrainingError(
            " ".join([ending, *([str(answer["error"])] if "error" in answer else [])]),
            "Run again: the trials that ended are kept. Where memory was short, set tuning.parallel: 1.",
        )


if __name__ == "__main__":
    subprocesses.run_child_main(run_job)
