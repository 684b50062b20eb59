"""From files of rows to files of examples, in stages that map a plain function over the files.

survey   the kinds of all columns, the number of rows, the rows that cannot be read
observe  what only typed columns show: the labels that occur, the times (skipped when nobody asks)
write    convert, label, split, encode, write

Every stage is `run(function, jobs) -> results` with JSON in and out: `map` in this process, or Beam's workers (the
executor's). Results do not depend on the order of files or on who ran them.
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
from components.example_gen import label as labels
from components.example_gen import split as splits
from components.example_gen.config import DataConfig, LabelConfig
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
    cutoff: float | None = None
    bad: BadRows = field(default_factory=BadRows)

    def to_json(self) -> dict[str, Any]:
        return {"version": 1, **asdict(self)}


def run_here(stage: Stage, jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Runs a stage in this process."""
    return [stage(job) for job in jobs]


def ingest(data: DataConfig, label: LabelConfig, folder: str, run: Run = run_here) -> Ingested:
    """Reads, labels, splits and writes all rows.

    Args:
        data: Where the rows are.
        label: What is predicted.
        folder: Gets `Split-train/`, `Split-eval/`, `ingest.json`, `reading_rules.json` and, if rows are bad,
            `bad_rows.jsonl`.
        run: Runs a stage on every file.

    Raises:
        ConfigError, DataError: in one paragraph, with the file, column or key.
    """
    files = files_module.list_files(data)
    base = {"data": data.model_dump(mode="json"), "label": label.model_dump(mode="json")}
    jobs = [{**base, "file": asdict(file), "part": part} for part, file in enumerate(files)]
    progress.report("ExampleGen", f"reading {len(files)} file{'s' * (len(files) > 1)}")
    kinds, _ = surveyed(data, label, files, run(survey, jobs))
    classes, cutoff = _observed(data, label, [{**job, "kinds": kinds} for job in jobs], run)
    plan = {"kinds": kinds, "classes": list(classes), "cutoff": cutoff, "folder": folder}
    progress.report("ExampleGen", "writing examples")
    results = run(write, [{**job, **plan} for job in jobs])
    done = Ingested(
        columns=kinds,
        label_column=label.column,
        classes=classes,
        rows={key: sum(r["rows"][key] for r in results) for key in results[0]["rows"]},
        files=tuple(file.name for file in files),
        span=max(file.span for file in files),
        cutoff=cutoff,
        bad=BadRows.sum(BadRows.from_json(r["bad"]) for r in results),
    )
    check_allowed(done.bad, data.max_bad_rows)
    _record(done, folder)
    rules = rules_of(data, files[0].format, kinds, label.column, known_words(r["words"] for r in results))
    _write_text(f"{folder}/{RULES_FILE}", rules.model_dump_json(indent=1))
    return done


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


def surveyed(
    data: DataConfig, label: LabelConfig, files: Sequence[SourceFile], surveys: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, str], int]:
    """The kinds of all columns and the number of rows, checked against the configuration.

    Raises:
        ConfigError, DataError: columns that are missing, empty or unknown; no rows; too many bad ones.
    """
    check_allowed(BadRows.sum(BadRows.from_json(s["bad"]) for s in surveys), data.max_bad_rows)
    rows = sum(s["rows"] for s in surveys)
    if not rows:
        raise DataError(f"{files_module.names(files)}: there are no rows.", "Give data with rows below its header.")
    if files[0].format in ("csv", "parquet"):
        _check_same_columns([s for s in surveys if s["rows"]])
    kinds = merged_kinds(s["kinds"] for s in surveys)
    _check_known(data, kinds)
    kinds.update(data.types)
    _check_calendar(data, kinds)
    labels.check_columns(label, kinds)
    check_kinds(kinds, files_module.names(files))
    return kinds, rows


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


def _observed(
    data: DataConfig, label: LabelConfig, jobs: Sequence[Job], run: Run
) -> tuple[tuple[str, ...], float | None]:
    """The order of classes and the split's cutoff; looks into the data only where the configuration leaves it open."""
    cutoff = splits.parse_cutoff(data.split.cutoff) if data.split.cutoff else None
    wants_classes = label.task != "regression" and not label.classes
    wants_cutoff = data.split.by == "time" and cutoff is None
    classes = () if label.task == "regression" else label.classes
    if not (wants_classes or wants_cutoff):
        return labels.class_order(label, classes) if classes else (), cutoff
    seen = run(observe, [{**job, "times": wants_cutoff, "labels": wants_classes} for job in jobs])
    if wants_cutoff:
        sketches = [(s["rows"], s["times"]) for s in seen if s["rows"]]
        cutoff = splits.quantile_cutoff(sketches, data.split.train)
    if label.task != "regression":
        classes = labels.class_order(label, classes or {text for s in seen for text in s["labels"]})
    return classes, cutoff


def observe(job: Job) -> dict[str, Any]:
    """The labels and a sketch of the times of one file."""
    data, label, file = _parsed(job)
    found: set[str] = set()
    times: list[np.ndarray] = []
    wanted = {data.split.column: None} if job["times"] else {}
    if job["labels"]:
        wanted |= dict.fromkeys(labels.columns_read(label))
    rows = 0
    for columns in typed_batches(file, data, job["kinds"], BadRows(), tuple(wanted)):
        rows += _length(columns)
        if job["labels"] and len(found) <= labels.MAX_CLASSES:
            found |= set(labels.distinct(labels.raw_label(label, columns)))
        if job["times"]:
            times.append(splits.times(columns[data.split.column], data.split.column))
    sketch = splits.sketch(np.concatenate(times)) if times else []
    return {"rows": rows, "labels": sorted(found)[: labels.MAX_CLASSES + 1], "times": sketch}


def write(job: Job) -> dict[str, Any]:
    """Writes the examples of one file and counts them."""
    data, label, file = _parsed(job)
    bad, words = BadRows(), WordCounts()
    rows = dict.fromkeys(("read", "bad", "without_label", "left_out", *splits.SPLITS), 0)
    shard_bytes = data.shard_mib << 20
    writers = [SplitWriter(f"{job['folder']}/Split-{s}", job["part"], shard_bytes) for s in splits.SPLITS]
    with EncodeAndWrite(writers) as output:
        for columns in typed_batches(file, data, job["kinds"], bad, None):
            batch, split = _labelled_and_split(columns, data, label, job, file, rows)
            words.add(batch, split == splits.SPLITS.index("train"))
            output.put(batch, split)
    for writer in writers:
        writer.close(even_if_empty=job["part"] == 0)  # a reader of the split's folder must find a file
    rows.update({s: w.count for s, w in zip(splits.SPLITS, writers, strict=True)}, bad=bad.count)
    rows["read"] += bad.count
    return {"rows": rows, "bad": bad.to_json(), "words": words.to_json()}


def _labelled_and_split(
    columns: dict[str, pa.Array], data: DataConfig, label: LabelConfig, job: Job, file: SourceFile, rows: dict[str, int]
) -> tuple[pa.RecordBatch, np.ndarray]:
    """The batch to encode, and the split of each of its rows; rows that no split takes are gone."""
    length = _length(columns)
    values = labels.materialize(label, columns, job["classes"])
    kept = labels.labelled(label, values, file.name)
    if kept is not None:
        columns = {name: array.filter(pa.array(kept)) for name, array in columns.items()}
        values = values.filter(pa.array(kept))
    split = splits.assign(data.split, columns, len(values), job["cutoff"])
    calendar = calendar_columns(columns, data.calendar)
    batch = example_batch({**columns, **calendar, label.column: values})
    used = split != splits.LEFT_OUT
    rows["read"] += length
    rows["without_label"] += length - len(values)
    rows["left_out"] += int((~used).sum())
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
