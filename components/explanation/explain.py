"""Explains a model within a bounded time; runs as a process of its own, which alone starts TensorFlow.

Largest errors come first, because they cost one pass over the rows; then importance, until 75 % of the time is spent;
then partial dependence, of the columns that importance put first.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from taxiway.components.contract import SERVING_DEFAULT, score_output
from taxiway.components.errors import ConfigError, DataError, suggest_matches
from taxiway.components.explanation.config import ExplanationConfig
from taxiway.components.explanation.dependence import measure_dependence
from taxiway.components.explanation.importance import ColumnImportance, group_columns, measure_importance
from taxiway.components.explanation.job import ExplanationJob
from taxiway.components.explanation.largest_errors import list_largest_errors
from taxiway.components.explanation.rows import RawRows, split_rows, to_objects
from taxiway.components.explanation.scored_model import Deadline, ScoredModel
from taxiway.components.files.tfrecord_files import read_records
from taxiway.components.metrics.curve_areas import Floats
from taxiway.components.metrics.intervals import find_interval_refusal
from taxiway.components.processes import subprocesses
from taxiway.components.saved_models.decision_rule import read_threshold
from taxiway.components.saved_models.signature_inputs import read_signature_inputs
from taxiway.components.tables.examples.row_sample import RowSample, StratifiedReservoir

MOST_ROWS_SCORED = 20_000
"""Rows among which the largest errors are looked for, drawn from the whole split."""
_READ_ROWS = 8192
DEPENDENCE_ROWS = 300
READING_SHARE, SCORING_SHARE, IMPORTANCE_SHARE = 0.2, 0.35, 0.75
"""Of the time: when reading stops, though files are left; when looking for the largest errors does; when shuffling
does."""


def explain_model(job: ExplanationJob, model: ScoredModel, deadline: Deadline) -> dict[str, Any]:
    """What `explanation.json` holds; see `docs/explanation.md`.

    Raises:
        DataError: There are no rows, or none with a label.
        ConfigError: A group names a column that the model does not read.
    """
    random = np.random.default_rng(job.config.seed)
    sample, files_read = draw_rows(job.files, random, deadline)
    # In a drawn order, since a slow model may be asked for the first of them alone.
    rows = split_rows(list(random.permutation(sample.rows)))
    labels = read_labels(rows, job.label)
    rows = _keep_read_columns(rows, job)
    scores = model.score_rows(rows.encode(), deadline.limit(SCORING_SHARE))
    rows, labels = rows.take(np.arange(len(scores))), labels[: len(scores)]
    errors = list_largest_errors(job.task, rows, labels, scores, job.classes, job.config.largest_errors)
    shuffled = np.sort(random.permutation(len(rows))[: job.config.rows])
    few = find_interval_refusal(job.metric, labels[shuffled], scores[shuffled], job.classes)
    # Too few rows of a class give no metric whose loss could be told from chance.
    groups = {} if few else group_columns(list(rows.entries), job.calendar, job.config.groups)
    found = measure_importance(
        *(model, rows.take(shuffled), labels[shuffled], groups),
        *(job.config.repeats, job.config.seed, deadline.limit(IMPORTANCE_SHARE)),
    )
    columns = _choose_columns(job, rows, found)
    dependence = measure_dependence(model, rows.take(shuffled[:DEPENDENCE_ROWS]), columns, deadline)
    return {
        "version": 1,
        "split": job.split,
        "task": job.task,
        "metric": job.metric,
        "classes": list(job.classes),
        "rows": {
            "read": sample.available,
            "drawn": len(sample.rows),
            "scored": len(rows),
            "shuffled": len(shuffled),
        },
        "value": _round_number(model.compute_metric(labels[shuffled], scores[shuffled])),
        "few": str(few) if few else "",
        "importance": [_describe_importance(each) for each in found],
        "dependence": [asdict(each) for each in dependence],
        "largest_errors": [asdict(each) for each in errors],
        "cut_short": [
            *_list_what_was_not_read(sample, files_read, len(job.files)),
            *_list_what_is_missing(job.config, found, len(columns) - len(dependence)),
        ],
    }


def draw_rows(files: Sequence[str], random: np.random.Generator, deadline: Deadline) -> tuple[RowSample, int]:
    """At most `MOST_ROWS_SCORED` serialized rows, each of the split's as likely as another, and how many files were
    read to their end. Where the time for reading is over first, they are of the rows so far, files in a drawn order.

    Raises:
        DataError: There are none.
    """
    reservoir = StratifiedReservoir(MOST_ROWS_SCORED, int(random.integers(2**32)))
    files_read = len(files)
    for place, (before, batch) in enumerate(_read_batches([files[i] for i in random.permutation(len(files))])):
        if place and deadline.is_past(READING_SHARE):
            files_read = before
            break
        reservoir.add_rows([None] * len(batch), batch)
    sample = reservoir.draw_sample()
    if not len(sample.rows):
        raise DataError("There are no rows to explain the model on.", "Look at the splits of the examples.")
    return sample, files_read


def _read_batches(files: Sequence[str]) -> Iterator[tuple[int, list[bytes]]]:
    """Rows, with the number of files before theirs."""
    for number, file in enumerate(files):
        for batch in read_records(file, _READ_ROWS):
            yield number, batch


def read_labels(rows: RawRows, label: str) -> Floats:
    """float64 `[rows]`.

    Raises:
        DataError: A row has no label.
    """
    values = rows.decode(label) if label in rows.entries else [None]
    if None in values:
        raise DataError(f"A row has no label in the column {label!r}.", "ExampleGen leaves such rows out.")
    return np.array(values, np.float64)


def _keep_read_columns(rows: RawRows, job: ExplanationJob) -> RawRows:
    """The rows with the columns that the model reads: its exporter says which, else all but the label."""
    inputs = read_signature_inputs(job.model_folder)
    read = {each.column for each in inputs.values()} or set(rows.entries)
    columns = sorted(read - {job.label})
    for name, members in job.config.groups.items():
        for column in members:
            if column not in columns:
                raise ConfigError(
                    f"explanation.groups.{name} names the column {column!r}, which the model does not read.",
                    suggest_matches(column, columns),
                )
    empty = to_objects([b""] * len(rows))  # a column of which no row has a value
    return RawRows({name: rows.entries.get(name, empty) for name in columns})


def _choose_columns(job: ExplanationJob, rows: RawRows, found: Sequence[ColumnImportance]) -> list[str]:
    """The most important columns; where nothing was measured, the first ones."""
    ordered = [column for each in found for column in each.columns] or list(rows.entries)
    return ordered[: job.config.dependence_columns]


def _list_what_was_not_read(sample: RowSample, read: int, files: int) -> list[str]:
    if read == files:
        return []
    whole = f"{read} of {files} files were read to their end"
    return [f"rows were drawn from {sample.available:,}, not from the whole split: {whole}"]


def _list_what_is_missing(
    config: ExplanationConfig, found: Sequence[ColumnImportance], lacking_dependence: int
) -> list[str]:
    """What the time did not suffice for, in words."""
    repeats = min((len(each.losses) for each in found), default=config.repeats)
    said = [f"columns were shuffled {repeats} times or more, not {config.repeats}"] if repeats < config.repeats else []
    return said + ([f"columns without partial dependence: {lacking_dependence}"] if lacking_dependence else [])


def _describe_importance(each: ColumnImportance) -> dict[str, Any]:
    return {
        "name": each.name,
        "columns": list(each.columns),
        "mean": _round_number(each.mean),
        "limits": [_round_number(end) for end in each.limits] if each.limits else None,
        "repeats": len(each.losses),
    }


def _round_number(value: float) -> float | None:
    return round(value, 8) if math.isfinite(value) else None


def _run_job(content: Mapping[str, Any]) -> dict[str, Any]:
    from taxiway.components.saved_models.session import SavedModelSession

    job, started = ExplanationJob.model_validate(content), time.monotonic()
    deadline = Deadline(job.config.timeout_seconds)
    with SavedModelSession(job.model_folder) as session:
        predict = session.bind_output(SERVING_DEFAULT, score_output(job.task))
        threshold = read_threshold(job.model_folder)
        explanation = explain_model(job, ScoredModel(predict, job.task, job.metric, job.classes, threshold), deadline)
    return {**explanation, "seconds": round(time.monotonic() - started, 3)}


if __name__ == "__main__":
    subprocesses.run_child_main(_run_job)
