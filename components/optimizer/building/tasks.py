"""The tasks that start TensorFlow, each called in a fork of its own (see `fork`)."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from taxiway.components.errors import OptimizationError
from taxiway.components.optimizer import variants
from taxiway.components.optimizer.building import given
from taxiway.components.optimizer.candidate import CandidateModel, TechniqueContext
from taxiway.components.optimizer.config import OptimizationConfig
from taxiway.components.optimizer.graphs import unused_variables
from taxiway.components.optimizer.graphs.freezing import FreezingError
from taxiway.components.optimizer.job import OptimizerJob
from taxiway.components.optimizer.measurement import evaluation_rows, latency, quality, runtimes, score_values
from taxiway.components.optimizer.measurement.batches import Features, draw_batches, score_in_batches, take_rows
from taxiway.components.optimizer.measurement.race import Race
from taxiway.components.optimizer.report import Check
from taxiway.components.optimizer.techniques import REFERENCE
from taxiway.components.optimizer.variants.shared.pre_checks import refuse_untrainable
from taxiway.components.refusal import Refusal
from taxiway.components.saved_models import tensorflow_private
from taxiway.components.saved_models.decision_rule import read_threshold
from taxiway.components.training.model import autograph

LOG = logging.getLogger(__name__)

FEATURES_FILE = "features.npz"
Paths = list[tuple[str, dict[str, Any], Any]]
"""Name of the path, models by variant, rows."""
SCALE_FILE = "score_scale.txt"
_LOADING = 1.6
"""Memory at its most while a model is loaded, by what it takes afterwards."""
_BATCHES = 64
"""Number of different batches, over which the timed calls go round."""


def preload_modules(techniques: Iterable[str]) -> None:
    """Imports, in the process that forks, what every fork would import by itself. None of it starts TensorFlow."""
    autograph.keep_keras_unconverted()
    importlib.import_module("taxiway.components.optimizer.variants.shared.finetuning")
    for name in techniques:
        _import_technique(name)


def _import_technique(technique: str) -> None:
    try:
        variants.load_technique(technique)
    except (ImportError, OSError) as error:  # the fork that needs it says so, as its variant's failure
        LOG.warning("%s could not be imported: %s", technique, error)


def prepare_rows(job: OptimizerJob, folder: str) -> dict[str, Any]:
    """Writes the evaluation rows, raw and transformed. Returns their number, the GPUs and TensorFlow's version."""
    import tensorflow as tf

    drawn = given.write_rows(job, folder) if job.given else _write_evaluation_rows(job, folder)
    devices = tf.config.list_physical_devices("GPU")
    gpus = [tf.config.experimental.get_device_details(d).get("device_name", d.name) for d in devices]
    return {**drawn, "gpus": gpus, "tensorflow": tf.__version__}


def _write_evaluation_rows(job: OptimizerJob, folder: str) -> dict[str, Any]:
    is_trainable = not find_core_refusal(job, folder)
    # Our Trainer's label is the raw column; what else trained the model may have taken one of the transform's making.
    drawn = evaluation_rows.write_rows(job, "" if is_trainable else job.transform_graph, folder)
    if is_trainable:
        np.savez(
            Path(folder, FEATURES_FILE),
            **evaluation_rows.transform_rows(evaluation_rows.load_rows(folder), job.transform_graph),
        )
    return drawn


def prepare_reference(job: OptimizerJob, folder: str, reference: CandidateModel) -> None:
    """Makes the trained model a candidate, with its core where it is known, and a copy without unused variables."""
    for path in (p for p in Path(job.model).iterdir() if p.name != "core"):
        Path(reference.uri, path.name).symlink_to(path.absolute())
    if job.given:
        given.link_numeric_core(job.given, reference)
    elif not find_core_refusal(job, folder):
        from taxiway.components.optimizer.variants.shared import finetuning

        trained = finetuning.load_model(TechniqueContext.from_job(job, folder), reference)
        finetuning.save_core(trained.keras_model, trained.job, reference.core)
    stripped = str(Path(reference.uri, unused_variables.FOLDER))
    unused_variables.strip_unused_variables(CandidateModel(job.model).servable, stripped)


def find_core_refusal(job: OptimizerJob, folder: str) -> Refusal | None:
    """Why the core of the trained model is not known."""
    if not job.transform_graph:
        return Refusal("there is no transform graph")
    return refuse_untrainable(TechniqueContext.from_job(job, folder), CandidateModel(job.model))


class MemoryRoom:
    """Room for one more model beside those that are loaded: what the largest of them took, and a part of it more.

    Attributes:
        refused: Names for which there was none.
    """

    def __init__(self, limit_bytes: float | None) -> None:
        self.refused: list[str] = []
        self._limit_bytes = limit_bytes
        self._used, self._largest = self._read_bytes(), 0

    def has_room(self, name: str) -> bool:
        """Whether a model may be loaded; the first one always."""
        used = self._read_bytes()
        self._largest, self._used = max(self._largest, used - self._used), used
        if self._limit_bytes is None or used + _LOADING * self._largest <= self._limit_bytes:
            return True
        self.refused.append(name)
        return False

    @staticmethod
    def _read_bytes() -> int:
        return int(psutil.Process().memory_info().rss)


def load_features(folder: str) -> Features:
    """The evaluation rows as transformed features, in the order of the raw rows."""
    with np.load(Path(folder, FEATURES_FILE)) as file:
        return {name: file[name] for name in file.files}


def apply_technique(
    context: TechniqueContext, name: str, source: CandidateModel, target: CandidateModel
) -> dict[str, Any]:
    """Applies one technique: pre-check, transform, post-check.

    Returns:
        `refused`: the reason of the pre-check or, where it has found nothing to do or a variable that cannot become a
        constant, of the transform, empty where it went on; `checks`: of the post-check; `seconds` it took.
    """
    method = variants.load_technique(name)
    refusal = _find_refusal(method.pre_check, context, source)
    if refusal:
        return {"refused": refusal.reason, "checks": [], "seconds": 0.0}
    started = time.monotonic()
    Path(target.uri).mkdir(parents=True)
    refusal = _find_refusal(method.transform, context, source, target)
    seconds = time.monotonic() - started
    if refusal:
        return {"refused": refusal.reason, "checks": [], "seconds": seconds}
    checks: list[Check] = method.post_check(context, source, target)
    return {"refused": "", "checks": [check.model_dump() for check in checks], "seconds": seconds}


def _find_refusal(step: Callable[..., Refusal | None], *given: Any) -> Refusal | None:
    """What a technique's step refuses; a graph that cannot be frozen is no failure of the technique either."""
    try:
        return step(*given)
    except FreezingError as error:
        return Refusal(error.problem)


def score_candidate(candidate: CandidateModel, job: OptimizerJob, folder: str, name: str) -> dict[str, Any]:
    """Scores the evaluation rows, loaded afresh, and judges the scores: through `serving_default` with XLA disabled
    unless the server has it enabled, or, where a variant is a core only, in its own runtime.

    Returns:
        `memory_mb` that loading and answering took, resident; `quality` and `output_error` as in the report.
    """
    if not job.config.xla:
        tensorflow_private.disable_xla()
    if job.given:
        return given.score_candidate(candidate, job, job.given, folder, name)
    rows: Any = evaluation_rows.load_rows(folder) if candidate.is_whole else load_features(folder)
    resident = psutil.Process().memory_info().rss
    call = _open_candidate(candidate, job)
    call(take_rows(rows, slice(1)))
    memory = (psutil.Process().memory_info().rss - resident) / 1e6
    answers = np.asarray(score_in_batches(call, rows), np.float64)
    _check_finite(answers)
    scores = score_values.convert_scores(answers, job.task, _agree_on_scale(answers, job, folder, name))
    np.save(Path(folder, f"{name}.npy"), scores)
    return {"memory_mb": memory, **_judge_scores(job, folder, scores)}


def _agree_on_scale(answers: Any, job: OptimizerJob, folder: str, name: str) -> score_values.Scale:
    """What the scores are, as seen on the reference's, which are the first."""
    file = Path(folder, SCALE_FILE)
    if name == REFERENCE:
        file.write_text(score_values.find_scale(answers, job.task))
    scale: score_values.Scale = file.read_text()  # type: ignore[assignment]
    return scale


def _judge_scores(job: OptimizerJob, folder: str, scores: Any) -> dict[str, Any]:
    labels, columns = evaluation_rows.load_columns(folder)
    score_values.check_classes(scores, labels, job.task)
    slices = list(quality.iterate_slices(columns, job.slices, job.config.min_slice_rows))
    reference = np.load(Path(folder, f"{REFERENCE}.npy"))
    threshold = read_threshold(CandidateModel(job.model).servable)  # variants keep the trained model's rule
    error = quality.measure_output_error(job.task, scores, reference, threshold)
    kept = list(job.config.constraints.list_allowed_drops(job.task, job.metric))
    measured = quality.measure_quality(
        kept, labels, scores, reference, slices, job.config, same=error.same, threshold=threshold
    )
    return {"quality": measured.model_dump(), "output_error": error.model_dump()}


def _open_candidate(candidate: CandidateModel, job: OptimizerJob) -> Callable[..., Any]:
    if candidate.is_whole:
        return runtimes.open_whole(candidate, job.output)
    return runtimes.open_core(candidate, job.task, 1)


def _check_finite(scores: Any) -> None:
    if not np.isfinite(scores).all():
        bad = int((~np.isfinite(scores)).any(axis=-1).sum())
        raise OptimizationError(f"{bad} of {len(scores)} evaluation rows get a score that is not a finite number.")


def measure_latency(
    candidates: dict[str, CandidateModel],
    job: OptimizerJob,
    folder: str,
    seconds: float,
    contenders: frozenset[str],
) -> dict[str, Any]:
    """Times variants side by side, in a process pinned to as many cores as threads: the whole path, then the core.

    Of a given model there is the whole path alone, whatever the runtime.

    Args:
        candidates: Models by variant, the reference among them.
        job: Job with the output that holds the scores, the batch sizes and how to measure.
        folder: Folder with the evaluation rows.
        seconds: Wall time of the whole measurement, shared by all paths and batch sizes. The reference is measured
            whatever it takes; a variant for whose loading no time is left is left out.
        contenders: Variants that may be chosen, as far as is known before.

    Returns:
        `records`, one a variant, path and batch size: `name`, `path`, `batch_size`, and what
        `latency.summarize_samples` gives;
        `starts`: by variant, `load_ms` and `first_ms`;
        `without_room`: variants of a given model that were not loaded, since the others fill the memory.
    """
    deadline, task, config = time.monotonic() + seconds, job.task, job.config
    latency.pin_cores(config.measuring.threads)
    if not config.xla:
        tensorflow_private.disable_xla()
    threads = config.measuring.threads
    if job.given:
        fewest = job.given.fixed_rows or 1
        inputs = given.load_rows(folder)
        open_given = partial(given.open_timed, given=job.given, threads=threads)
        open_given(candidates[REFERENCE])(take_rows(inputs, slice(fewest)))
        room = MemoryRoom(job.memory_bytes)
        first = {n: candidates[n] for n in sorted(candidates, key=lambda n: (n != REFERENCE, n not in contenders))}
        models, begun = _load_models(first, open_given, inputs, deadline, fewest, room)
        records = _time_paths([("whole", models, inputs)], contenders, config, deadline)
        return {"records": records, "starts": begun, "without_room": room.refused}
    rows = evaluation_rows.load_rows(folder)
    runtimes.open_whole(candidates[REFERENCE], job.output, threads)(rows[:1])  # what only a first model costs
    wholes = {n: p for n, p in candidates.items() if p.is_whole}
    whole, starts = _load_models(
        wholes, partial(runtimes.open_whole, output=job.output, threads=threads), rows, deadline
    )
    cores = {n: p for n, p in candidates.items() if (p.has_core or p.runtime_file) and (n in whole or n not in wholes)}
    features = load_features(folder) if cores else {}
    core, core_starts = _load_models(cores, partial(runtimes.open_core, task=task, threads=threads), features, deadline)
    paths = [("whole", whole, rows), ("core", core, features)]
    return {"records": _time_paths(paths, contenders, config, deadline), "starts": {**core_starts, **starts}}


def _time_paths(
    paths: Paths, contenders: frozenset[str], config: OptimizationConfig, deadline: float
) -> list[dict[str, Any]]:
    share = (deadline - time.monotonic()) / (len(paths) * len(config.batch_sizes))
    records, whole = [], paths[0][1]
    for path, models, inputs in paths:
        for batch_size in config.batch_sizes if models else ():
            race = _plan_race(
                contenders & (models.keys() - (whole.keys() if path == "core" else ())), batch_size, config
            )
            records += _time_models(path, models, inputs, batch_size, config, share, race)
    return records


def _plan_race(contenders: frozenset[str], batch_size: int, config: OptimizationConfig) -> Race:
    """The race among those that this measurement can choose; where it decides nothing, of each with the reference."""
    decides = config.objective != "size" and batch_size == config.deciding_batch_size
    return Race(contenders, config.min_gain) if decides else Race()


def _load_models(
    candidates: dict[str, CandidateModel],
    open_candidate: Callable[..., Any],
    rows: Any,
    deadline: float,
    first_rows: int = 1,
    room: MemoryRoom | None = None,
) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """The loaded models, and the milliseconds that each took to load and to answer its first request.

    Past the deadline, of `time.monotonic()`, nothing but the reference is loaded. A variant of a model of 1,500 columns
    takes as long as the reference did, so one that would surely end after the deadline is not begun.
    """
    models: dict[str, Any] = {}
    starts: dict[str, dict[str, float]] = {}
    took = 0.0
    for name, candidate in candidates.items():
        if name != REFERENCE and time.monotonic() + took > deadline:
            continue
        if room and not room.has_room(name):
            continue
        began = time.perf_counter()
        models[name] = open_candidate(candidate)
        loaded = time.perf_counter()
        models[name](take_rows(rows, slice(first_rows)))
        ended = time.perf_counter()
        starts[name], took = {"load_ms": (loaded - began) * 1e3, "first_ms": (ended - loaded) * 1e3}, ended - began
    return models, starts


def _time_models(
    path: str,
    models: dict[str, Any],
    rows: Any,
    batch_size: int,
    config: OptimizationConfig,
    share: float,
    race: Race,
) -> list[dict[str, Any]]:
    batches = list(draw_batches(rows, batch_size, _BATCHES, config.seed))
    deadline = time.monotonic() + min(share, config.measuring.seconds * len(models))
    samples = latency.measure_interleaved(models, batches, config.measuring, config.seed, deadline, race)
    return [
        {
            "name": name,
            "path": path,
            "batch_size": batch_size,
            **latency.summarize_samples(samples, name, batch_size, config.bootstrap_samples, config.seed),
        }
        for name in models
    ]
