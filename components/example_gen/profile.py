"""What a table looks like: enough to propose a configuration. No tfx, no TensorFlow for text and Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.contract import Task
from components.errors import DataError, UsageError
from components.example_gen import label as labels
from components.example_gen.config import DataConfig, LabelConfig
from components.example_gen.ingest import merged_kinds, survey
from components.example_gen.oddities import study
from components.example_gen.times import DATE_NUMBERS, TIME_FORMATS, TIME_NAME
from components.example_gen.words import Finding, Words, is_bytes
from components.measures.areas import area_under_roc, count_by_score
from components.tables.bad_rows import BadRows, check_table
from components.tables.columns import UnsupportedColumnError, is_text, kind_of_type, parse_time
from components.tables.files import SourceFile, list_files
from components.tables.reading import read
from components.tables.typed_rows import typed_batches

MAX_ROWS = 400_000
"""Rows that are held to be looked at closer; types are inferred from all."""
MAX_BAD_SHARE = 0.02
"""With a larger share of unreadable rows the file is read wrongly, or is no table."""
MIN_DATES = 20
"""So many different numbers that are dates as 20240131 is, and no other one, are dates."""
_SCORED_ROWS = 100_000
_BINS = 64


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name, kind: As ExampleGen reads it.
        rows, missing, distinct: Counts; `distinct` of values that are there.
        least, greatest: Of numbers and times.
        text_length: Mean number of bytes of a text.
        time_formats: The ways in which all values can be read as times: of a text `TIME_FORMATS`, of numbers
            `DATE_NUMBERS`.
        parts: For a time, and for seconds since 1970 that are called a time: how many months, weekdays, hours occur.
        alone: How well this column alone predicts the label on rows it was not fitted on: AUC (binary), accuracy
            (multiclass), R2 (regression).
        examples: Some values, as text.
    """

    name: str
    kind: str
    rows: int
    missing: int
    distinct: int
    least: float | None = None
    greatest: float | None = None
    text_length: float = 0.0
    time_formats: tuple[str, ...] = ()
    parts: tuple[tuple[str, int], ...] = ()
    alone: float = 0.0
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Label:
    """The label.

    Attributes:
        config: As it is configured.
        missing: Rows without one.
        shares, counts: Of the classes, in the order of `classes`.
        mean, deviation: Of a regression.
        why_positive: For two classes, why the last one is the positive one.
    """

    config: LabelConfig
    missing: int
    shares: tuple[float, ...] = ()
    mean: float = 0.0
    deviation: float = 0.0
    counts: tuple[int, ...] = ()
    why_positive: str = ""


@dataclass(frozen=True)
class Profile:
    """A table.

    Attributes:
        rows: In all.
        looked_at: Rows that the columns' figures come from.
        columns: By name, without the label.
        label: The label.
        bad: Rows that cannot be read.
        unsupported: Columns that cannot be used, each with the reason.
        empty: Columns without a value in any row.
        data: How the table is read, with the settings that were found.
        findings: What looked odd.
    """

    rows: int
    looked_at: int
    columns: Mapping[str, Column]
    label: Label
    bad: BadRows
    unsupported: Mapping[str, str]
    empty: tuple[str, ...]
    data: DataConfig
    findings: tuple[Finding, ...] = ()


def look(data: DataConfig, wanted: str, task: Task | None) -> Profile:
    """Profiles a table.

    Args:
        data: Where it is and how it is written.
        wanted: The label's column, or an expression over columns.
        task: None to infer it from the label's values.

    Raises:
        DataError: the data cannot be read, or there is no such label.
    """
    files = list_files(data)
    data, unsupported = _usable(data, files)
    studied = study(data, files, wanted, task == "regression")
    data, surveys = studied.data, [survey(_job(studied.data, file)) for file in files]
    bad = BadRows.sum(BadRows.from_json(s["bad"]) for s in surveys)
    rows = sum(s["rows"] for s in surveys)
    kinds = merged_kinds(s["kinds"] for s in surveys)
    if not rows:
        check_table(bad, 0, MAX_BAD_SHARE)
        raise DataError(f"{files[0].name}: there are no rows.", "Give data with rows below its header.")
    if files[0].format != "csv":  # where a csv file holds bytes, it is damaged
        unsupported |= {n: _why_bytes(w) for n, w in studied.words.items() if is_bytes(w)}
    data = data.model_copy(update={"leave_out": tuple(dict.fromkeys([*data.leave_out, *unsupported]))})
    empty = tuple(name for name, kind in kinds.items() if kind == "null")
    kinds |= {name: kind for name, kind in data.types.items() if name in kinds}
    kinds = {name: kind for name, kind in kinds.items() if kind != "null" and name not in unsupported}
    config = label_config(wanted, (*kinds, *empty))
    _check_label_usable(config, unsupported, data)
    labels.check_columns(config, kinds)
    table, unread = _sample(files, data, kinds, rows)
    bad = max(bad, unread, key=lambda each: each.count)  # the sample's are those of all rows, unless there are many
    if not len(next(iter(table.values()), ())):
        check_table(bad, 0, MAX_BAD_SHARE)
    label, target = _label(config, table, task)
    columns = {
        name: _column(name, kinds[name], array, target, label.config.task)
        for name, array in table.items()
        if name != label.config.column
    }
    looked_at = len(next(iter(table.values())))
    return Profile(rows, looked_at, columns, label, bad, unsupported, empty, data, studied.findings)


def label_config(wanted: str, names: tuple[str, ...]) -> LabelConfig:
    """A column's name, or an expression over columns."""
    if wanted in names or wanted.isidentifier():
        return LabelConfig(column=wanted)
    try:
        config = LabelConfig(column="label", expression=wanted)
    except ValueError:
        return LabelConfig(column=wanted)  # the check names the columns that are there
    return config if "label" not in names else config.model_copy(update={"column": "the_label"})


def _usable(data: DataConfig, files: list[SourceFile]) -> tuple[DataConfig, dict[str, str]]:
    """The data without the columns whose type is not one value a row, and why they are left out."""
    unsupported: dict[str, str] = {}
    if files[0].format == "csv":
        return data, unsupported
    for file in files:
        while True:
            try:
                _check_types(data, file)
                break
            except UnsupportedColumnError as error:
                unsupported[error.column] = error.reason
                data = data.model_copy(update={"leave_out": (*data.leave_out, error.column)})
    return data, unsupported


def _check_types(data: DataConfig, file: SourceFile) -> None:
    """Raises UnsupportedColumnError for the first column without single values; Parquet's first rows show its types."""
    if file.format != "parquet":
        survey(_job(data, file))
        return
    for batch in read(file, data, None, BadRows()):
        for name, array in zip(batch.schema.names, batch.columns, strict=True):
            kind_of_type(array.type, name, file.name)
        return


def _job(data: DataConfig, file: SourceFile) -> dict[str, Any]:
    return {"data": data.model_dump(mode="json"), "file": asdict(file)}


def _why_bytes(words: Words) -> str:
    return f"holds bytes, no text, in {words.garbled:,} of {words.garbled + words.values:,} values"


def _check_label_usable(config: LabelConfig, unsupported: Mapping[str, str], data: DataConfig) -> None:
    for name in labels.columns_read(config):
        if name in unsupported:
            raise DataError(f"The label's column {name!r} {unsupported[name]}.", "Choose another label.")
        if name in data.leave_out:
            raise UsageError(f"--leave-out names {name!r}, which the label needs.", "Take it out of --leave-out.")


def _sample(
    files: list[SourceFile], data: DataConfig, kinds: Mapping[str, str], rows: int
) -> tuple[dict[str, pa.Array], BadRows]:
    """Whole columns of small data; of large data the first rows of every file. And what in them cannot be read."""
    bad = BadRows()
    quota = MAX_ROWS if rows <= MAX_ROWS else MAX_ROWS // len(files)
    parts: dict[str, list[pa.Array]] = {name: [] for name in kinds}
    for file in files:
        taken = 0
        for columns in typed_batches(file, data, kinds, bad, None):
            for name in kinds:
                parts[name].append(columns[name])
            taken += len(columns[name])
            if taken >= quota:
                break
    return {name: pa.concat_arrays(arrays) for name, arrays in parts.items() if arrays}, bad


def _label(config: LabelConfig, table: dict[str, pa.Array], task: Task | None) -> tuple[Label, np.ndarray]:
    """The label's facts, and the target: float64 `[rows]` of values or class indices, NaN where missing."""
    raw = labels.raw_label(config, table)
    spellings = labels.alike(_counts(raw)) if task != "regression" and is_text(raw.type) else {}
    if spellings:
        config = config.model_copy(update={"spellings": spellings})
        raw = labels.raw_label(config, table)
    task = task or infer_task(raw)
    config = config.model_copy(update={"task": task})
    classes: tuple[str, ...] = ()
    why = ""
    if task != "regression":
        classes = labels.class_order(config, labels.distinct(raw))
        if task == "binary":
            classes, why = labels.positive_last(classes, _counts(raw))
        config = config.model_copy(update={"classes": classes})
    values = labels.materialize(config, table, classes)
    target = values.cast(pa.float64()).fill_null(float("nan")).to_numpy(zero_copy_only=False)
    there = target[~np.isnan(target)]
    if not len(there):
        raise DataError(f"The label {config.column!r} has no value in any row.", "Choose another label.")
    counts = np.bincount(there.astype(np.int64), minlength=len(classes)) if task != "regression" else np.array([])
    shares = tuple(float(s) for s in counts / len(there))
    mean, deviation = (float(there.mean()), float(there.std())) if task == "regression" else (0.0, 0.0)
    return Label(config, values.null_count, shares, mean, deviation, tuple(map(int, counts)), why), target


def _counts(raw: pa.Array) -> dict[str, int]:
    """How many rows have which label, as text."""
    counted = pc.value_counts(raw.drop_null())
    texts = labels.texts_of(counted.field("values"))
    return {str(text): count for text, count in zip(texts, counted.field("counts").to_pylist(), strict=True)}


def infer_task(raw: pa.Array) -> Task:
    """Two values: binary; text or a few whole numbers: multiclass; else regression."""
    unique = pc.unique(raw).drop_null()
    if len(unique) <= 2 or pa.types.is_boolean(raw.type):
        return "binary"
    if is_text(raw.type):
        return "multiclass"
    numbers = unique.cast(pa.float64()).to_numpy(zero_copy_only=False)
    few = len(numbers) <= min(20, max(3, len(raw) // 20))
    return "multiclass" if few and bool((numbers == np.floor(numbers)).all()) else "regression"


def _column(name: str, kind: str, array: pa.Array, target: np.ndarray, task: Task) -> Column:
    there = array.drop_null()
    unique = pc.unique(there)
    numeric = not is_text(array.type) and not pa.types.is_boolean(array.type) and len(there)
    bounds = pc.min_max(there).as_py() if numeric else {"min": None, "max": None}
    formats = _time_formats(there) if kind == "string" and len(there) else ()
    if kind == "int" and _are_dates(name, unique, bounds["min"], bounds["max"]):
        formats, there = (DATE_NUMBERS,), there.cast(pa.large_string())
    is_time = kind.startswith("time") or _is_epoch(name, bounds["min"], bounds["max"], kind)
    seconds = parse_time(there, formats[0]) if formats else there if is_time else None
    return Column(
        name=name,
        kind=kind.partition(":")[0],
        rows=len(array),
        missing=array.null_count,
        distinct=len(unique),
        least=bounds["min"],
        greatest=bounds["max"],
        text_length=float(pc.mean(pc.binary_length(there)).as_py() or 0) if is_text(array.type) else 0.0,
        time_formats=formats,
        parts=time_parts(seconds) if seconds is not None else (),
        alone=alone(array, target, task),
        examples=tuple(str(text) for text in labels.texts_of(unique[:3])),
    )


def _is_epoch(name: str, least: float | None, greatest: float | None, kind: str) -> bool:
    """Whether whole numbers are seconds since 1970: between 1980 and 2050, and called a time."""
    if kind != "int" or least is None or greatest is None or not TIME_NAME.search(name):
        return False
    return least > 315_532_800 and greatest < 2_524_608_000


def _are_dates(name: str, unique: pa.Array, least: float | None, greatest: float | None) -> bool:
    """Whether whole numbers are dates such as 20240131: other numbers of eight digits are hardly ever all of them."""
    if least is None or greatest is None or least < 19_000_101 or greatest > 21_001_231:
        return False
    telling = len(unique) >= MIN_DATES or (len(unique) > 1 and bool(TIME_NAME.search(name)))
    return telling and parse_time(unique.cast(pa.large_string()), DATE_NUMBERS) is not None


def time_parts(seconds: pa.Array) -> tuple[tuple[str, int], ...]:
    """How many different months, weekdays and hours these times have."""
    stamps = seconds.cast(pa.timestamp("s"))
    parts = {"month": pc.month, "weekday": pc.day_of_week, "hour": pc.hour}
    return tuple((name, len(pc.unique(function(stamps)))) for name, function in parts.items())


def _time_formats(there: pa.Array) -> tuple[str, ...]:
    """The formats that fit every value; nearly every text fails on its first ones."""
    first = there[:200]
    likely = [pattern for pattern in TIME_FORMATS if parse_time(first, pattern) is not None]
    return tuple(pattern for pattern in likely if parse_time(there, pattern) is not None)


# What one column alone tells of the label


def alone(array: pa.Array, target: np.ndarray, task: Task, seed: int = 7) -> float:
    """How well this column alone predicts the label on rows that it was not fitted on.

    The column is cut into bins (its values, or quantiles of a number, and one for missing); each bin predicts what the
    label was in the other half of the rows. So an identifier predicts nothing, and a copy of the label everything.

    Returns:
        AUC (binary), accuracy (multiclass), R2 (regression).
    """
    chosen = np.flatnonzero(~np.isnan(target))
    order = np.random.default_rng(seed).permutation(chosen)[:_SCORED_ROWS]
    bins, y = _bins(array.take(pa.array(order))), target[order]
    half = len(order) // 2
    if half < 2:
        return 0.0
    halves = (slice(None, half), slice(half, None))
    count = int(y.max()) + 1 if task == "multiclass" else 0
    guesses = [_guess(bins[fit], y[fit], bins[other], count) for fit, other in (halves, halves[::-1])]
    return _score(np.concatenate(guesses), np.concatenate([y[halves[1]], y[halves[0]]]), task)


def _bins(array: pa.Array) -> np.ndarray:
    """int64 `[rows]`; 0 is missing."""
    encoded = array.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) + 1
    if is_text(array.type) or len(encoded.dictionary) <= _BINS:
        return codes
    values = array.cast(pa.float64(), safe=False).fill_null(0).to_numpy(zero_copy_only=False)
    edges = np.unique(np.quantile(values[codes > 0], np.linspace(0, 1, _BINS + 1)[1:-1]))
    return np.where(codes > 0, np.searchsorted(edges, values, side="right") + 1, 0)


def _guess(bins: np.ndarray, y: np.ndarray, asked: np.ndarray, classes: int) -> np.ndarray:
    """The likeliest class, or the mean, of the bins asked for; bins that were not seen say what all rows say."""
    size = int(max(bins.max(), asked.max())) + 1
    if not classes:
        total, number = np.bincount(bins, y, minlength=size), np.bincount(bins, minlength=size)
        return ((total + y.mean()) / (number + 1.0))[asked]
    flat = np.bincount(bins * classes + y.astype(np.int64), minlength=size * classes)
    table = flat.reshape(size, classes) + np.bincount(y.astype(np.int64), minlength=classes) / (len(y) + 1.0)
    return table.argmax(axis=1)[asked]


def _score(guess: np.ndarray, y: np.ndarray, task: Task) -> float:
    if task == "multiclass":
        return float((guess == y).mean())
    if task == "binary":
        area = float(area_under_roc(*count_by_score(y == 1, guess)))
        return 0.5 if np.isnan(area) else area  # one class alone: nothing to tell apart
    spread = float(((y - y.mean()) ** 2).sum())
    return 1 - float(((y - guess) ** 2).sum()) / spread if spread else 0.0
