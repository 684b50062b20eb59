"""What TFMA keeps no numbers for: curves of the model that would be served, and intervals around every metric.

The models that were compared are asked for the same evaluation rows in a process of its own. TensorFlow is imported in
that child only, which writes one JSON file beside the run's record; a second report of the run reads that file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from components.contract import Task
from pipeline.record import OVERALL
from pipeline.report import curves, intervals

VERSION = 3
SCORES_FILE = "scores.json"
MOST_ROWS = 20_000
BATCH = 1024
TIMEOUT_SECONDS = 240.0

Condition = tuple[str, str, Any]
"""Column; `bytes_value`, `int64_value` or `float_value`; the value, bytes as text with surrogates."""


@dataclass(frozen=True)
class Job:
    """What is asked of which models.

    Attributes:
        served: The model whose curves are drawn: SavedModel folder.
        evaluators: Evaluator's node to the SavedModels that it compared: candidate and baseline.
        examples: Folder of the raw examples' evaluation split.
        label: The label's column.
        task: `binary`, `multiclass` or `regression`.
        classes: Names of the classes in the order of the scores.
        metrics: Metrics that get intervals.
        whole_metrics: Further ones, over all rows only: those of single classes.
        slices: Slice to the conditions that its rows meet.
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


def scores(folder: Path, job: Job) -> dict[str, Any]:
    """The curves and intervals, from the run's folder or from a child process.

    Args:
        folder: Of the run; keeps `scores.json`.
        job: What is asked.

    Returns:
        See `curves.binary`, `multiclass` and `regression`; under `intervals`, by evaluator, see `intervals.of_slices`;
        `{"error": ...}` where the child could not do it.
    """
    made_from = json.loads(json.dumps({"version": VERSION, **asdict(job)}))
    file = folder / SCORES_FILE
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if known.get("made_from") == made_from:
        return dict(known)
    answer = {"made_from": made_from, **_child(made_from)}
    if "error" not in answer:
        folder.mkdir(parents=True, exist_ok=True)  # a run that another machine recorded has none
        file.write_text(json.dumps(answer), encoding="utf-8")
    return answer


def _child(job: dict[str, Any]) -> dict[str, Any]:
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-m", "pipeline.report.scoring"]
    text = json.dumps(job)
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": f"scoring did not end within {TIMEOUT_SECONDS:g} s"}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["it ended without a word"])[-1][:400]}
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


# ---- in the child ----


def main(job: Job) -> dict[str, Any]:
    """Scores at most `MOST_ROWS` rows and draws the curves of the task."""
    batches = list(_batches(job.examples))
    labels = _labels(batches, job.label, job.task)
    folders = {job.served, *(folder for pair in job.evaluators.values() for folder in pair)}
    said = {folder: ask(folder, batches, job.task) for folder in sorted(folders)}
    masks = {name: _meets(batches, conditions, len(labels)) for name, conditions in job.slices.items()}
    return {
        "task": job.task,
        "rows": len(labels),
        "classes": list(job.classes),
        **curves.DRAWN[job.task](labels, said[job.served]),
        "intervals": {
            evaluator: _intervals(job, masks, labels, said[mine], said[other])
            for evaluator, (mine, other) in job.evaluators.items()
        },
    }


def _intervals(
    job: Job, masks: Mapping[str, np.ndarray], labels: np.ndarray, mine: np.ndarray, other: np.ndarray
) -> Any:
    found = intervals.of_slices(masks, labels, mine, other, job.metrics, job.classes)
    everything = {OVERALL: np.ones(len(labels), bool)}
    more = intervals.of_slices(everything, labels, mine, other, job.whole_metrics, job.classes)
    return {**found, OVERALL: {**found.get(OVERALL, {}), **more.get(OVERALL, {})}}


def ask(model: str, batches: Iterable[Any], task: Task) -> np.ndarray:
    """Scores `[rows, ...]` of the served signature."""
    import tensorflow as tf

    from components.contract import SERVING_DEFAULT, score_output

    call = tf.saved_model.load(model).signatures[SERVING_DEFAULT]
    return np.concatenate([call(tf.constant(records))[score_output(task)].numpy() for records in batches])


def _labels(batches: Iterable[Any], label: str, task: Task) -> np.ndarray:
    import tensorflow as tf

    one = {label: tf.io.FixedLenFeature([], tf.float32 if task == "regression" else tf.int64)}
    return np.concatenate([tf.io.parse_example(records, one)[label].numpy() for records in batches])


def _meets(batches: Iterable[Any], conditions: Iterable[Condition], rows: int) -> np.ndarray:
    """bool `[rows]`: the rows that one of whose values in each column is the asked one; all rows without conditions."""
    meets = np.ones(rows, bool)
    for column, kind, value in conditions:
        meets &= np.concatenate([_has(records, column, kind, value) for records in batches])
    return meets


def _has(records: Any, column: str, kind: str, value: Any) -> np.ndarray:
    import tensorflow as tf

    kinds = {"bytes_value": tf.string, "int64_value": tf.int64, "float_value": tf.float32}
    wanted = value.encode("utf-8", "surrogateescape") if kind == "bytes_value" else value
    ragged = tf.io.parse_example(records, {column: tf.io.RaggedFeature(kinds[kind])})[column]
    found = np.zeros(len(records), bool)
    found[ragged.value_rowids().numpy()[(ragged.values == tf.constant(wanted, kinds[kind])).numpy()]] = True
    return found


def _batches(folder: str) -> list[Any]:
    """Serialized rows, bytes `[rows]` a batch."""
    import tensorflow as tf

    files = sorted(str(path) for path in Path(folder).iterdir() if path.is_file())
    compression = "GZIP" if files and files[0].endswith(".gz") else ""
    rows = tf.data.TFRecordDataset(files, compression_type=compression).take(MOST_ROWS)
    return [batch.numpy() for batch in rows.batch(BATCH)]


if __name__ == "__main__":
    given = json.load(sys.stdin)
    given.pop("version")
    print(json.dumps(main(Job(**given))))
