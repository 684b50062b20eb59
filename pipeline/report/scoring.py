"""Scores the compared models: curves of the model that would be served, and intervals around every metric.

TFMA keeps neither. A child process, the only one that imports TensorFlow, scores the same evaluation rows with each
model; of a larger split, rows that are drawn from all of it. The answer is kept as `scores.json` in the run's folder,
for the next report of the run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from taxiway.components.contract import SERVING_DEFAULT, Task, score_output
from taxiway.components.files.durable_files import replace_file
from taxiway.components.metrics.intervals import ScorePair
from taxiway.components.processes import subprocesses
from taxiway.components.saved_models.decision_rule import read_threshold
from taxiway.pipeline.report import curves, intervals
from taxiway.pipeline.tracking.kept_scores import VERSION, read_scores
from taxiway.pipeline.tracking.run_record import OVERALL
from taxiway.pipeline.tracking.store.kept_results import SCORES_FILE

MOST_ROWS = 20_000
SEED = 1
"""Of the draw: every report of a run is of the same rows."""
MOST_RUNS = 10
"""Runs whose scores are looked through for the same ones."""
BATCH = 1024
TIMEOUT_SECONDS = 240.0

Condition = tuple[str, str, Any]
"""Column; `bytes_value`, `int64_value` or `float_value`; the value, bytes as text with surrogates."""


@dataclass(frozen=True)
class ScoringJob:
    """Which models are scored on which rows, and for which metrics.

    Attributes:
        served: SavedModel folder of the model whose curves are drawn.
        evaluators: SavedModel folders of candidate and baseline, by the Evaluator's node.
        examples: Folder of the raw examples' judging split.
        label: The label's column.
        task: `binary`, `multiclass` or `regression`.
        classes: Names of the classes in the order of the scores.
        metrics: Metrics that get intervals.
        whole_metrics: Metrics that get intervals over all rows only: those of single classes.
        slices: Conditions that the rows of each slice meet.
    """

    served: str
    examples: str
    label: str
    task: Task
    evaluators: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    whole_metrics: tuple[str, ...] = ()
    slices: Mapping[str, tuple[Condition, ...]] = field(default_factory=dict)


def load_scores(folder: Path, job: ScoringJob) -> dict[str, Any]:
    """The curves and intervals, from the run's folder, from that of a run before it, or from a child process.

    Args:
        folder: Folder of the run among those of the other runs, which keeps `scores.json`.
        job: Models, rows and metrics.

    Returns:
        See `curves.summarize_scores`; under `intervals`, by evaluator, see
        `intervals.compute_slice_intervals`;
        `{"error": ...}` where the child could not do it.
    """
    made_from = json.loads(json.dumps({"version": VERSION, **asdict(job)}))
    file, known = folder / SCORES_FILE, read_scores(folder)
    if known.get("made_from") == made_from:
        return known
    answer = _find_same_scores(folder.parent, made_from) or {"made_from": made_from, **_run_child(made_from)}
    if "error" not in answer:
        folder.mkdir(parents=True, exist_ok=True)  # a run that another machine recorded has none
        replace_file(file, json.dumps(answer))
    return answer


def _find_same_scores(runs: Path, made_from: Mapping[str, Any]) -> dict[str, Any]:
    """What another run has kept of the same models, rows and metrics; empty where none has.

    An artifact's folder keeps its content: what is changed in it is set aside before a run, and made again elsewhere.
    """
    newest = sorted(runs.glob(f"*/{SCORES_FILE}"), reverse=True)[:MOST_RUNS]
    found = (read_scores(file.parent) for file in newest)
    return next((scores for scores in found if scores.get("made_from") == made_from), {})


def _run_child(job: dict[str, Any]) -> dict[str, Any]:
    outcome = subprocesses.run_module(
        "taxiway.pipeline.report.scoring",
        job,
        None,
        timeout_seconds=TIMEOUT_SECONDS,
        environment={"CUDA_VISIBLE_DEVICES": "-1"},
    )
    return {"error": outcome.error[:400]} if outcome.result is None else outcome.result


# ---- in the child ----


def _run_job(content: dict[str, Any]) -> dict[str, Any]:
    content.pop("version")
    return score_models(ScoringJob(**content))


def score_models(job: ScoringJob) -> dict[str, Any]:
    """Scores at most `MOST_ROWS` rows, each label with its share, and draws the curves of the task."""
    from taxiway.components.tables.examples.row_sample import sample_folder

    sample = sample_folder(job.examples, job.label, MOST_ROWS, SEED)
    batches = split_batches(sample.rows)
    labels = _read_labels(batches, job.label, job.task)
    folders = {job.served, *(folder for pair in job.evaluators.values() for folder in pair)}
    said = {folder: predict_scores(folder, batches, job.task) for folder in sorted(folders)}
    thresholds = {folder: read_threshold(folder) for folder in folders}
    masks = {name: _match_conditions(batches, conditions, len(labels)) for name, conditions in job.slices.items()}
    return {
        "task": job.task,
        "rows": len(labels),
        "available": sample.available,
        "classes": list(job.classes),
        **curves.summarize_scores(job.task, labels, said[job.served], thresholds[job.served]),
        "intervals": {
            evaluator: _mark_drawn(
                _compute_intervals(
                    job, masks, labels, (said[mine], said[other]), (thresholds[mine], thresholds[other])
                ),
                are_drawn=len(labels) < sample.available,
            )
            for evaluator, (mine, other) in job.evaluators.items()
        },
    }


def _mark_drawn(found: dict[str, dict[str, Any]], are_drawn: bool) -> dict[str, dict[str, Any]]:
    """The intervals of all slices; where only some rows were drawn, `few` says that it counts those."""
    if not are_drawn:
        return found
    return {
        name: {
            metric: {"few": f"{entry['few']} among those drawn"} if "few" in entry else entry
            for metric, entry in entries.items()
        }
        for name, entries in found.items()
    }


def _compute_intervals(
    job: ScoringJob,
    masks: Mapping[str, np.ndarray],
    labels: np.ndarray,
    scores: tuple[np.ndarray, np.ndarray],
    thresholds: tuple[float, float],
) -> dict[str, dict[str, Any]]:
    pair = ScorePair(labels.astype(np.float64), *scores, job.classes, thresholds=thresholds)
    found = intervals.compute_slice_intervals(masks, pair, job.metrics)
    more = intervals.compute_slice_intervals({OVERALL: np.ones(len(labels), bool)}, pair, job.whole_metrics)
    return {**found, OVERALL: {**found.get(OVERALL, {}), **more.get(OVERALL, {})}}


def predict_scores(model: str, batches: Iterable[Any], task: Task) -> np.ndarray:
    """Scores `[rows, ...]` of the served signature."""
    from taxiway.components.saved_models.session import SavedModelSession

    with SavedModelSession(model) as session:
        score = session.bind_output(SERVING_DEFAULT, score_output(task))
        return np.concatenate([score(records) for records in batches])


def _read_labels(batches: Iterable[Any], label: str, task: Task) -> np.ndarray:
    import tensorflow as tf

    one = {label: tf.io.FixedLenFeature([], tf.float32 if task == "regression" else tf.int64)}
    return np.concatenate([tf.io.parse_example(records, one)[label].numpy() for records in batches])


def _match_conditions(batches: Iterable[Any], conditions: Iterable[Condition], rows: int) -> np.ndarray:
    """bool `[rows]`: the rows that one of whose values in each column is the asked one; all rows without conditions."""
    meets = np.ones(rows, bool)
    for column, kind, value in conditions:
        meets &= np.concatenate([_match_value(records, column, kind, value) for records in batches])
    return meets


def _match_value(records: Any, column: str, kind: str, value: Any) -> np.ndarray:
    import tensorflow as tf

    kinds = {"bytes_value": tf.string, "int64_value": tf.int64, "float_value": tf.float32}
    wanted = value.encode("utf-8", "surrogateescape") if kind == "bytes_value" else value
    ragged = tf.io.parse_example(records, {column: tf.io.RaggedFeature(kinds[kind])})[column]
    found = np.zeros(len(records), bool)
    found[ragged.value_rowids().numpy()[(ragged.values == tf.constant(wanted, kinds[kind])).numpy()]] = True
    return found


def split_batches(rows: np.ndarray) -> list[np.ndarray]:
    """Serialized rows, bytes objects `[rows]`, as batches in their order."""
    return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]


if __name__ == "__main__":
    subprocesses.run_child_main(_run_job)
