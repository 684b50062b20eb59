"""From files of rows to files of examples, in stages that map a plain function over the files.

survey   the kinds of all columns, the number of rows, the rows that cannot be read
observe  what only typed columns show: the labels that occur, the hashes of all rows, the times where they are asked for
write    convert, label, split, encode, write

Every stage is `run(function, jobs) -> results` with JSON in and out: `map` in this process, or Beam's workers (the
executor's). Hashes of rows go through a workspace. Results do not depend on the order of files or on who ran them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from components import progress
from components.errors import ConfigError, DataError, close_matches
from components.example_gen import known_kinds
from components.example_gen import label as labels
from components.example_gen import split as splits
from components.example_gen.config import DataConfig, LabelConfig
from components.example_gen.counting import (
    Counted,
    FileCounter,
    FileSplitter,
    Workspace,
    compare,
    range_count,
    rows_of_both,
    workspace_in,
)
from components.example_gen.notes import Note, footer_notes, split_notes
from components.example_gen.writing import EncodeAndWrite, SplitWriter, example_batch, writable
from components.tables import files as files_module
from components.tables.bad_rows import BAD_ROWS_FILE, BadRows, check_allowed
from components.tables.columns import Kind, calendar_columns, check_kinds, infer_kind, merge_kinds
from components.tables.files import SourceFile
from components.tables.reading import read
from components.tables.rules import RULES_FILE, rules_of
from components.tables.typed_rows import typed_batches
from components.tables.words import WordCounts, known_words

INGEST_FILE = "ingest.json"
"""Beside the splits: what was read, what the columns are, the order of the label's classes."""

Job = dict[str, Any]
Stage = Callable[[Job], dict[str, Any]]
Run = Callable[[Stage, Sequence[Job]], list[dict[str, Any]]]


@dataclass(frozen=True)
class Ingested:
    """What became of the rows.

    Attributes:
        columns: Kind of every column that was read.
        label_column: Column of the label in the examples.
        classes: Labels in the order of their indices; empty for a regression.
        rows: Counts: `read`, `bad`, `without_label`, `left_out`, `train`, `eval`.
        class_rows: By split, the rows of each class; one number for a regression.
        equal_rows: Rows with a label that repeat an earlier one in every column, the label's included.
        eval_rows_like_train: Evaluation rows whose columns but the label are those of a training row.
        notes: What a person should know of these rows before believing a number.
        files: Names of the files, in order.
        span: Highest span read; 0 without spans.
        cutoff: For a split by time, the first time that evaluates.
        bad: The first rows that could not be read.
    """

    columns: dict[str, str]
    label_column: str
    classes: tuple[str, ...]
    rows: dict[str, int]
    files: tuple[str, ...]
    span: int
    class_rows: dict[str, list[int]] = field(default_factory=dict)
    equal_rows: int = 0
    eval_rows_like_train: int = 0
    notes: tuple[Note, ...] = ()
    cutoff: float | None = None
    bad: BadRows = field(default_factory=BadRows)

    def to_json(self) -> dict[str, Any]:
        return {"version": 1, **asdict(self)}


def run_here(stage: Stage, jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Runs a stage in this process."""
    return [stage(job) for job in jobs]


def ingest(
    data: DataConfig, label: LabelConfig, folder: str, run: Run = run_here, known: Mapping[str, str] | None = None
) -> Ingested:
    """Reads, labels, splits and writes all rows.

    Args:
        data: Where the rows are.
        label: What is predicted.
        folder: Gets `Split-train/`, `Split-eval/`, `ingest.json`, `reading_rules.json` and, if rows are bad,
            `bad_rows.jsonl`.
        run: Runs a stage on every file.
        known: Kinds of columns that the curated schema says; what is inferred must not contradict them.

    Raises:
        ConfigError, DataError: in one paragraph, with the file, column or key.
    """
    files = files_module.list_files(data)
    base = {"data": data.model_dump(mode="json"), "label": label.model_dump(mode="json")}
    jobs = [{**base, "file": asdict(file), "part": part} for part, file in enumerate(files)]
    progress.report("ExampleGen", f"reading {len(files)} file{'s' * (len(files) > 1)}")
    found = surveyed(data, label, files, run(survey, jobs), known or {})
    kinds = found.kinds
    with workspace_in(folder) as counting:
        shared = {"kinds": kinds, "counting": counting}
        jobs = [{**job, **shared, "ranges": range_count(found.rows)} for job in jobs]
        seen = _observed(data, label, jobs, run, found)
        plan = {"classes": list(seen.classes), "cutoff": seen.cutoff, "cuts": seen.counted.cuts, "folder": folder}
        progress.report("ExampleGen", "writing examples")
        results = run(write, [{**job, **plan} for job in jobs])
        like_train = rows_of_both(Workspace(counting), len(jobs))
    class_rows = {split: _sums(r["class_rows"][split] for r in results) for split in splits.SPLITS}
    done = Ingested(
        columns=kinds,
        label_column=label.column,
        classes=seen.classes,
        rows={key: sum(r["rows"][key] for r in results) for key in results[0]["rows"]},
        files=tuple(file.name for file in files),
        span=max(file.span for file in files),
        class_rows=class_rows,
        equal_rows=seen.counted.equal_rows,
        eval_rows_like_train=like_train,
        notes=(*found.notes, *split_notes(data.split, seen.classes, class_rows, seen.counted.equal_rows, like_train)),
        cutoff=seen.cutoff,
        bad=seen.bad,
    )
    _record(done, folder)
    rules = rules_of(data, files[0].format, kinds, label.column, known_words(r["words"] for r in results))
    _write_text(f"{folder}/{RULES_FILE}", rules.model_dump_json(indent=1))
    return done


def _sums(counts: Iterable[Sequence[int]]) -> list[int]:
    return [sum(column) for column in zip(*counts, strict=True)]


def survey(job: Job) -> dict[str, Any]:
    """Kinds of one file's columns, its rows, its bad rows."""
    data, file, bad = DataConfig(**job["data"]), SourceFile(**job["file"]), BadRows()
    kinds: dict[str, Kind] = {}
    rows = 0
    for batch in read(file, data, None, bad):
        rows += batch.num_rows
        for name, array in zip(batch.schema.names, batch.columns, strict=True):
            kinds[name] = infer_kind(array, kinds.get(name, "null"), name, file.name)
    return {"file": file.name, "kinds": kinds, "rows": rows, "bad": bad.to_json()}


@dataclass(frozen=True)
class Surveyed:
    """What the first stage says of all files: kinds of the columns, rows, and where the schema decided otherwise."""

    kinds: dict[str, str]
    rows: int
    notes: tuple[Note, ...] = ()
    text_read_as_known: tuple[str, ...] = ()


def surveyed(
    data: DataConfig,
    label: LabelConfig,
    files: Sequence[SourceFile],
    surveys: Sequence[Mapping[str, Any]],
    known: Mapping[str, str],
) -> Surveyed:
    """The kinds of all columns and the number of rows, checked against configuration and schema.

    Raises:
        ConfigError, DataError: columns that are missing, empty or unknown; no rows; too many bad ones.
    """
    bad = BadRows.sum(BadRows.from_json(s["bad"]) for s in surveys)
    check_allowed(bad, data.max_bad_rows)
    rows = sum(s["rows"] for s in surveys)
    if not rows:
        raise DataError(f"{files_module.names(files)}: there are no rows.", "Give data with rows below its header.")
    if files[0].format in ("csv", "parquet"):
        _check_same_columns([s for s in surveys if s["rows"]])
    inferred = merged_kinds(s["kinds"] for s in surveys)
    _check_known(data, inferred)
    needed = {*data.types, *data.calendar, data.split.column, *labels.columns_read(label)}
    kinds, notes, text_read = known_kinds.apply_known({**inferred, **data.types}, {**known, **data.types}, needed)
    _check_calendar(data, kinds)
    labels.check_columns(label, kinds)
    check_kinds(kinds, files_module.names(files))
    return Surveyed(kinds, rows, (*footer_notes(bad.footers, data.csv.footer), *notes), text_read)


def merged_kinds(parts: Iterable[Mapping[str, Kind]]) -> dict[str, str]:
    merged: dict[str, Kind] = {}
    for part in parts:
        for name, kind in part.items():
            merged[name] = merge_kinds(merged.get(name, "null"), kind)
    return dict(merged)


def _check_same_columns(surveys: Sequence[Mapping[str, Any]]) -> None:
    first = surveys[0]
    for other in surveys[1:]:
        lacking = sorted(set(first["kinds"]) ^ set(other["kinds"]))
        if lacking:
            has, lacks = (first, other) if lacking[0] in first["kinds"] else (other, first)
            raise DataError(
                f"{lacks['file']} has no column {lacking[0]!r}, but {has['file']} has.",
                f"Give files with the same columns, or leave it out (data.leave_out: [{lacking[0]}]).",
            )


def _check_known(data: DataConfig, kinds: Mapping[str, str]) -> None:
    named: dict[str, Iterable[str]] = {
        "data.types": data.types,
        "data.calendar": data.calendar,
        "data.split.column": [data.split.column] if data.split.column else [],
    }
    for key, names in named.items():
        for name in names:
            if name not in kinds:
                raise ConfigError(f"{key} names {name!r}, which is no column of the data.", close_matches(name, kinds))


def _check_calendar(data: DataConfig, kinds: Mapping[str, str]) -> None:
    for column, parts in data.calendar.items():
        if not kinds[column].startswith("time"):
            raise ConfigError(
                f"data.calendar names {column!r}, which is of kind {kinds[column]}, not time.",
                f"Say how its times are written: data.types: {{{column}: time}}, or 'time:%d.%m.%Y'.",
            )
        made = [f"{column}_{part}" for part in parts if f"{column}_{part}" in kinds]
        if made:
            raise ConfigError(
                f"data.calendar would make a column {made[0]!r}, but the data has one of that name.",
                f"Take the part out of data.calendar, or leave the column out (data.leave_out: [{made[0]}]).",
            )


@dataclass(frozen=True)
class _Observed:
    """What the second stage says: the order of classes, the first time that evaluates, equal rows and cuts."""

    classes: tuple[str, ...]
    cutoff: float | None
    counted: Counted
    bad: BadRows


def _observed(data: DataConfig, label: LabelConfig, jobs: Sequence[Job], run: Run, found: Surveyed) -> _Observed:
    cutoff = splits.parse_cutoff(data.split.cutoff) if data.split.cutoff else None
    wants_cutoff = data.split.by == "time" and cutoff is None
    progress.report("ExampleGen", "counting classes and rows that are equal")
    seen = run(observe, [{**job, "times": wants_cutoff} for job in jobs])
    bad = BadRows.sum(BadRows.from_json(s["bad"]) for s in seen)
    with known_kinds.explained(found.text_read_as_known):
        check_allowed(bad, data.max_bad_rows)
    if wants_cutoff:
        sketches = [(s["rows"], s["times"]) for s in seen if s["rows"]]
        cutoff = splits.quantile_cutoff(sketches, data.split.train)
    regression = label.task == "regression"
    classes = () if regression else labels.class_order(label, {text for s in seen for text in s["labels"]})
    names = classes or ("",)
    index = {name: i for i, name in enumerate(names)}
    class_of = [[0] if regression else [index[text] for text in s["labels"]] for s in seen]
    workspace = Workspace(jobs[0]["counting"])
    return _Observed(classes, cutoff, compare(workspace, [s["saved"] for s in seen], class_of, data.split, names), bad)


def observe(job: Job) -> dict[str, Any]:
    """The labels and a sketch of the times of one file; the hashes of its rows go into the workspace."""
    data, label, file = _parsed(job)
    bad, texts = BadRows(), dict[str, int]()
    times: list[np.ndarray] = []
    counter = FileCounter()
    rows = 0
    for columns in typed_batches(file, data, job["kinds"], bad, None):
        rows += _length(columns)
        if job["times"]:
            times.append(splits.times(columns[data.split.column], data.split.column))
        columns, raw = labels.with_label(label, columns, labels.raw_label(label, columns), file.name)
        hashes, features = splits.hashes_with_and_without(columns, len(raw), label.column, data.split.salt)
        counter.add(hashes, features, labels.numbered(label, raw, texts))
    sketch = splits.sketch(np.concatenate(times)) if times else []
    saved = counter.save(Workspace(job["counting"]), job["part"], job["ranges"])
    return {"rows": rows, "bad": bad.to_json(), "labels": list(texts), "times": sketch, "saved": saved}


def write(job: Job) -> dict[str, Any]:
    """Writes the examples of one file and counts them."""
    data, label, file = _parsed(job)
    bad, words = BadRows(), WordCounts()
    rows = dict.fromkeys(("read", "bad", "without_label", "left_out", *splits.SPLITS), 0)
    class_rows = np.zeros((len(splits.SPLITS), len(job["cuts"])), np.int64)
    shard_bytes = data.shard_mib << 20
    splitter = FileSplitter(Workspace(job["counting"]), job["part"])
    writers = [SplitWriter(f"{job['folder']}/Split-{s}", job["part"], shard_bytes) for s in splits.SPLITS]
    with EncodeAndWrite(writers) as output:
        for columns in typed_batches(file, data, job["kinds"], bad, None):
            length = _length(columns)
            columns, values = _labelled(columns, label, job, file)
            classes = np.zeros(len(values), np.int64) if label.task == "regression" else np.asarray(values, np.int64)
            split = _split(columns, classes, data, job, splitter)
            np.add.at(class_rows, (split[split != splits.LEFT_OUT], classes[split != splits.LEFT_OUT]), 1)
            rows["read"] += length
            rows["without_label"] += length - len(values)
            rows["left_out"] += int((split == splits.LEFT_OUT).sum())
            batch, split = _batch_to_encode(columns, values, split, data, label)
            words.add(batch, split == splits.TRAIN)
            output.put(batch, split)
    splitter.save()
    for writer in writers:
        writer.close(even_if_empty=job["part"] == 0)  # a reader of the split's folder must find a file
    rows.update({s: w.count for s, w in zip(splits.SPLITS, writers, strict=True)}, bad=bad.count)
    rows["read"] += bad.count
    by_split = dict(zip(splits.SPLITS, class_rows.tolist(), strict=True))
    return {"rows": rows, "class_rows": by_split, "words": words.to_json()}


def _labelled(
    columns: dict[str, pa.Array], label: LabelConfig, job: Job, file: SourceFile
) -> tuple[dict[str, pa.Array], pa.Array]:
    """The columns and the label of the rows that have one."""
    return labels.with_label(label, columns, labels.materialize(label, columns, job["classes"]), file.name)


def _split(
    columns: Mapping[str, pa.Array], classes: np.ndarray, data: DataConfig, job: Job, splitter: FileSplitter
) -> np.ndarray:
    """The split of each row, int8 `[rows]`."""
    places = splitter.place(len(classes))
    if data.split.by == "hash":
        split = splits.assign_by_place(places, classes, np.asarray(job["cuts"], np.uint64))
    else:
        split = splits.assign(data.split, columns, len(classes), job["cutoff"])
    splitter.note(split)
    return split


def _batch_to_encode(
    columns: Mapping[str, pa.Array], values: pa.Array, split: np.ndarray, data: DataConfig, label: LabelConfig
) -> tuple[pa.RecordBatch, np.ndarray]:
    """The batch to encode, and the split of each of its rows; rows that no split takes are gone."""
    calendar = calendar_columns(columns, data.calendar)
    batch = example_batch({**columns, **calendar, label.column: values})
    used = split != splits.LEFT_OUT
    if not used.all():
        batch, split = pa.Table.from_batches([batch]).filter(pa.array(used)).combine_chunks(), split[used]
        batch = batch.to_batches()[0] if batch.num_rows else example_batch({})
    return batch, split


def _parsed(job: Job) -> tuple[DataConfig, LabelConfig, SourceFile]:
    return DataConfig(**job["data"]), LabelConfig(**job["label"]), SourceFile(**job["file"])


def _length(columns: Mapping[str, pa.Array]) -> int:
    return len(next(iter(columns.values()))) if columns else 0


def _record(done: Ingested, folder: str) -> None:
    _write_text(f"{folder}/{INGEST_FILE}", json.dumps(done.to_json(), indent=1, ensure_ascii=False))
    if done.bad.count:
        lines = (json.dumps(asdict(sample), ensure_ascii=False) for sample in done.bad.samples)
        _write_text(f"{folder}/{BAD_ROWS_FILE}", "".join(f"{line}\n" for line in lines))


def _write_text(path: str, text: str) -> None:
    from tensorflow.io import gfile

    with writable(path), gfile.GFile(path, "w") as out:
        out.write(text)


def read_record(folder: str) -> dict[str, Any]:
    """What `ingest` recorded beside the splits of an `Examples` artifact."""
    with files_module.open_binary(f"{folder}/{INGEST_FILE}") as file:
        return dict(json.loads(file.read()))
