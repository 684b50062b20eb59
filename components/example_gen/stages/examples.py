"""The last stage: rows converted, labelled, split, encoded and written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from taxiway.components.example_gen.config import DataConfig, LabelConfig
from taxiway.components.example_gen.labels.label import (
    drop_unlabelled_rows,
    materialize_labels,
)
from taxiway.components.example_gen.splits.counting import (
    FileSplitter,
    Workspace,
)
from taxiway.components.example_gen.splits.split import (
    LEFT_OUT,
    TRAIN,
    assign_by_column,
    assign_by_place,
    find_file_split,
)
from taxiway.components.example_gen.stages.jobs import Job, count_rows, parse_job
from taxiway.components.example_gen.writing import (
    ParallelExampleWriter,
    SplitWriter,
    make_example_batch,
)
from taxiway.components.tables.columns.times import make_calendar_columns
from taxiway.components.tables.readers.bad_rows import BadRows
from taxiway.components.tables.readers.typed_rows import read_typed_batches
from taxiway.components.tables.seen_words import WordCounts
from taxiway.components.tables.sources.source_file import SourceFile


def write_file_examples(job: Job) -> dict[str, Any]:
    """Writes the examples of one file and counts them."""
    data, label, file = parse_job(job)
    bad, words = BadRows(), WordCounts()
    splits = job["splits"]
    rows = dict.fromkeys(("read", "bad", "without_label", "left_out", *splits), 0)
    class_rows = np.zeros((len(splits), len(job["cuts"])), np.int64)
    shard_bytes = data.shard_mib << 20
    splitter = FileSplitter(Workspace(job["counting"]), job["part"])
    sizes = (shard_bytes, job["shard_rows"])
    writers = [SplitWriter(f"{job['folder']}/Split-{s}", job["part"], *sizes) for s in splits]
    with ParallelExampleWriter(writers) as output:
        for columns in read_typed_batches(file, data, job["kinds"], bad, None):
            length = count_rows(columns)
            columns, values = _label_rows(columns, label, job, file)
            classes = np.zeros(len(values), np.int64) if label.task == "regression" else np.asarray(values, np.int64)
            split = _assign_splits(columns, classes, data, job, splitter)
            np.add.at(class_rows, (split[split != LEFT_OUT], classes[split != LEFT_OUT]), 1)
            rows["read"] += length
            rows["without_label"] += length - len(values)
            rows["left_out"] += int((split == LEFT_OUT).sum())
            batch, split = _prepare_batch(columns, values, split, data, label)
            words.add_batch(batch, split == TRAIN)
            output.put_batch(batch, split)
    splitter.save_counts()
    for writer in writers:
        writer.close(even_if_empty=job["part"] == 0)  # a reader of the split's folder must find a file
    rows.update({s: w.count for s, w in zip(splits, writers, strict=True)}, bad=bad.count)
    rows["read"] += bad.count
    by_split = dict(zip(splits, class_rows.tolist(), strict=True))
    shards = {s: writer.shards for s, writer in zip(splits, writers, strict=True)}
    return {"rows": rows, "class_rows": by_split, "shards": shards, "words": words.to_json()}


def _label_rows(
    columns: dict[str, pa.Array], label: LabelConfig, job: Job, file: SourceFile
) -> tuple[dict[str, pa.Array], pa.Array]:
    """The columns and the label of the rows that have one."""
    return drop_unlabelled_rows(label, columns, materialize_labels(label, columns, job["classes"]), file.name)


def _assign_splits(
    columns: Mapping[str, pa.Array], classes: np.ndarray, data: DataConfig, job: Job, splitter: FileSplitter
) -> np.ndarray:
    """The split of each row, int8 `[rows]`."""
    places = splitter.place_rows(len(classes))
    if data.split.by == "file":
        split = np.full(len(classes), find_file_split(data.split, job["file"]["path"]), np.int8)
    elif data.split.by == "hash":
        split = assign_by_place(places, classes, np.asarray(job["cuts"], np.uint64))
    else:
        split = assign_by_column(data.split, columns, len(classes), job["cutoffs"])
    splitter.record_splits(split)
    return split


def _prepare_batch(
    columns: Mapping[str, pa.Array], values: pa.Array, split: np.ndarray, data: DataConfig, label: LabelConfig
) -> tuple[pa.RecordBatch, np.ndarray]:
    """The batch to encode, and the split of each of its rows; rows that no split takes are gone."""
    calendar = make_calendar_columns(columns, data.calendar)
    batch = make_example_batch({**columns, **calendar, label.column: values})
    used = split != LEFT_OUT
    if not used.all():
        batch, split = pa.Table.from_batches([batch]).filter(pa.array(used)).combine_chunks(), split[used]
        batch = batch.to_batches()[0] if batch.num_rows else make_example_batch({})
    return batch, split
