"""What the tasks do otherwise with a given model: rows are tensors by input, and all outputs are compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from taxiway.components.errors import DataError, OptimizationError
from taxiway.components.metrics.weighted import EVEN
from taxiway.components.optimizer.candidate import CandidateModel, link_core
from taxiway.components.optimizer.given_model import rows as given_rows
from taxiway.components.optimizer.given_model.signatures import read_signatures
from taxiway.components.optimizer.given_model.tensor_files import load_tensors, save_tensors
from taxiway.components.optimizer.job import GivenModel, OptimizerJob
from taxiway.components.optimizer.measurement import agreement, quality, runtimes
from taxiway.components.optimizer.measurement.batches import Features, answer_in_batches, take_rows
from taxiway.components.optimizer.measurement.given_scores import convert_scores
from taxiway.components.optimizer.report import OutputError, Quality
from taxiway.components.optimizer.techniques import REFERENCE

load_rows = given_rows.load_rows
_SCORED_ROWS = 32


def write_rows(job: OptimizerJob, folder: str) -> dict[str, Any]:
    """Makes the rows of a given model; see `given_model.rows.write_given_rows`."""
    assert job.given is not None
    return given_rows.write_given_rows(job, job.given, folder)


def link_numeric_core(given: GivenModel, reference: CandidateModel) -> None:
    """Where a signature takes and gives numbers alone, converters to other runtimes can take the whole model."""
    if read_signatures(reference.servable)[given.signature].is_numeric:
        link_core(reference)


def open_timed(candidate: CandidateModel, given: GivenModel, threads: int) -> Callable[[Features], Any]:
    """Opens a candidate to be timed: all outputs of the signature."""
    return runtimes.open_outputs(candidate, given.signature, threads)


def score_candidate(
    candidate: CandidateModel, job: OptimizerJob, given: GivenModel, folder: str, name: str
) -> dict[str, Any]:
    """Answers the rows, loaded afresh, and compares the answers with the original's and with the labels.

    Returns:
        As `tasks.score_candidate`, and `agreement` as in the report.
    """
    rows = given_rows.load_rows(folder)
    batch_rows = given.fixed_rows or _SCORED_ROWS
    resident = psutil.Process().memory_info().rss
    call = runtimes.open_outputs(candidate, given.signature)
    call(take_rows(rows, slice(given.fixed_rows or 1)))
    memory = (psutil.Process().memory_info().rss - resident) / 1e6
    outputs = answer_in_batches(call, rows, batch_rows)
    save_tensors(Path(folder, f"{name}.npz"), outputs)
    reference = load_tensors(Path(folder, f"{REFERENCE}.npz"))
    _check_finite(outputs, reference)
    found = agreement.measure_agreement(outputs, reference)
    error = agreement.build_output_error(outputs, reference, found)
    labels = given_rows.load_labels(folder)
    if labels is None:
        judged = agreement.build_agreement_quality(found, error)
    else:
        judged = _judge_labels(job, given, labels, outputs, reference, error)
    return {
        "memory_mb": memory,
        "quality": judged.model_dump(),
        "output_error": error.model_dump(),
        "agreement": [each.model_dump() for each in found],
    }


def _judge_labels(
    job: OptimizerJob,
    given: GivenModel,
    labels: Any,
    outputs: dict[str, Any],
    reference: dict[str, Any],
    error: OutputError,
) -> Quality:
    scores, original = convert_scores(job.task, outputs[given.output], reference[given.output])
    _check_classes(job, labels, scores)
    metrics = list(job.config.constraints.list_allowed_drops(job.task, job.metric))
    return quality.measure_quality(metrics, labels, scores, original, [], job.config, same=error.same, threshold=EVEN)


def _check_classes(job: OptimizerJob, labels: Any, scores: Any) -> None:
    if job.task == "regression":
        return
    classes = 2 if job.task == "binary" else scores.shape[1]
    odd = sorted({float(label) for label in labels if label not in range(classes)})
    if odd:
        raise DataError(
            f"The label {job.label!r} holds {odd[0]:g}, and the model has {classes} classes, 0 to {classes - 1}.",
            "Give the index of the class, in the order of the model's output.",
        )


def _check_finite(outputs: dict[str, Any], reference: dict[str, Any]) -> None:
    """Refuses numbers that are not finite where the original's are."""
    for name, values in outputs.items():
        if values.dtype.kind == "f":
            bad = np.isfinite(reference[name]) & ~np.isfinite(values)
            if bad.any():
                rows = int(bad.reshape(len(bad), -1).any(axis=1).sum())
                raise OptimizationError(f"{rows} of {len(bad)} rows get a number in {name} that is not finite.")
