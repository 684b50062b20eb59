"""Profiles a table, for the proposal of a configuration. No tfx is imported, and no TensorFlow for text and Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from taxiway.components.contract import Task
from taxiway.components.errors import DataError, UsageError
from taxiway.components.example_gen.config import DataConfig, LabelConfig
from taxiway.components.example_gen.labels.label import check_label_columns, format_labels, list_label_columns
from taxiway.components.example_gen.stages.survey import merge_file_kinds, survey_file
from taxiway.components.tables.columns.kinds import UnsupportedColumnError, find_type_kind
from taxiway.components.tables.columns.texts import is_text
from taxiway.components.tables.columns.times import parse_time
from taxiway.components.tables.readers.bad_rows import BadRows, check_bad_share
from taxiway.components.tables.readers.record_batches import read_record_batches
from taxiway.components.tables.readers.typed_rows import read_typed_batches
from taxiway.components.tables.sources.files import select_source_files
from taxiway.components.tables.sources.source_file import SourceFile
from taxiway.pipeline.scaffold.column_scores import describe_spread, measure_name_gain, score_column
from taxiway.pipeline.scaffold.column_words import ColumnWords, TableFinding, holds_bytes
from taxiway.pipeline.scaffold.label_profile import LabelProfile, make_label_config, profile_label
from taxiway.pipeline.scaffold.oddities import study_table
from taxiway.pipeline.scaffold.time_formats import DATE_NUMBERS, TIME_FORMATS, TIME_NAME

MAX_ROWS = 400_000
"""At most so many rows are held in memory; types are inferred from all rows."""
MAX_BAD_SHARE = 0.02
"""With a larger share of unreadable rows the settings are wrong, or the file is no table."""
MOST_NAMES = 1_000
"""Whole numbers with more values are never taken for names by what they tell of the label."""
MIN_DATES = 20
"""From so many different numbers on a column that holds only numbers like 20240131 is one of dates."""


@dataclass(frozen=True)
class ColumnProfile:
    """Facts about one column.

    Attributes:
        name, kind: Name, and kind as ExampleGen reads it.
        rows, missing, distinct: Counts of rows, of missing and of distinct values.
        once: Number of distinct values that only one row holds.
        least, greatest: Range of numbers and times.
        text_length: Mean number of bytes of a text.
        time_formats: Formats in which all values are times: some of `TIME_FORMATS`, or `DATE_NUMBERS` for numbers.
        parts: Numbers of different months, weekdays and hours of a column of times.
        alone: Score by which this column alone predicts the label on rows it was not fitted on: AUC (binary), accuracy
            (multiclass), R2 (regression).
        name_gain: How surely whole numbers are names; see `column_scores.measure_name_gain`.
        density: Of whole numbers, the different ones over those that as many rows would hold, were every number between
            them as likely; of the middle nine tenths of the rows.
        digit_share: Share of the two commonest last digits among the different whole numbers.
        rises: Whether no row of the file has a lesser number than the row before it.
        examples: Some values, as text.
    """

    name: str
    kind: str
    rows: int
    missing: int
    distinct: int
    once: int = 0
    least: float | None = None
    greatest: float | None = None
    text_length: float = 0.0
    time_formats: tuple[str, ...] = ()
    parts: tuple[tuple[str, int], ...] = ()
    alone: float = 0.0
    name_gain: float = 0.0
    density: float = 1.0
    digit_share: float = 1.0
    rises: bool = False
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableProfile:
    """Facts about a table.

    Attributes:
        rows: Number of all rows.
        looked_at: Number of rows behind the figures of the columns.
        columns: Columns by name, without the label.
        label: Facts about the label.
        bad: Rows that cannot be read.
        unsupported: Columns that cannot be used, each with the reason.
        empty: Columns without a value in any row.
        data: Section `data`, with the settings that were found.
        findings: Findings about what looked odd.
    """

    rows: int
    looked_at: int
    columns: Mapping[str, ColumnProfile]
    label: LabelProfile
    bad: BadRows
    unsupported: Mapping[str, str]
    empty: tuple[str, ...]
    data: DataConfig
    findings: tuple[TableFinding, ...] = ()


def profile_table(data: DataConfig, wanted: str, task: Task | None) -> TableProfile:
    """Profiles a table.

    Args:
        data: Section `data`: where the table is and how it is written.
        wanted: Column of the label, or an expression over columns.
        task: Task; inferred from the label's values where None.

    Raises:
        DataError: The data cannot be read, or there is no such label.
    """
    files = select_source_files(data)
    data, unsupported = _drop_unsupported(data, files)
    study = study_table(data, files, wanted, task == "regression")
    rows, bad, kinds = _survey_files(study.data, files)
    if files[0].format != "csv":  # where a csv file holds bytes, it is damaged
        unsupported |= {n: _explain_bytes(w) for n, w in study.words.items() if holds_bytes(w)}
    left_out = tuple(dict.fromkeys([*study.data.leave_out, *unsupported]))
    data = study.data.model_copy(update={"leave_out": left_out})
    empty = tuple(name for name, kind in kinds.items() if kind == "null")
    kinds = {name: data.types.get(name, kind) for name, kind in kinds.items() if name not in unsupported}
    kinds = {name: kind for name, kind in kinds.items() if kind != "null"}
    config = make_label_config(wanted, (*kinds, *empty))
    _check_label_usable(config, unsupported, data)
    check_label_columns(config, kinds)
    table, unread = _read_sample(files, data, kinds, rows)
    bad = max(bad, unread, key=lambda each: each.count)  # the sample's are those of all rows, unless there are many
    if not len(next(iter(table.values()), ())):
        check_bad_share(bad, 0, MAX_BAD_SHARE)
    label, target = profile_label(config, table, task)
    columns = {
        name: _profile_column(name, kinds[name], array, target, label.config.task)
        for name, array in table.items()
        if name != label.config.column
    }
    looked_at = len(next(iter(table.values())))
    return TableProfile(rows, looked_at, columns, label, bad, unsupported, empty, data, study.findings)


def _survey_files(data: DataConfig, files: Sequence[SourceFile]) -> tuple[int, BadRows, dict[str, str]]:
    """Rows of all files, those that cannot be read, and the kind of each column.

    Raises:
        DataError: There is no row that can be read.
    """
    surveys = [survey_file(_make_job(data, file)) for file in files]
    bad = BadRows.merge_parts(BadRows.from_json(survey["bad"]) for survey in surveys)
    rows = sum(survey["rows"] for survey in surveys)
    if not rows:
        check_bad_share(bad, 0, MAX_BAD_SHARE)
        raise DataError(f"{files[0].name}: there are no rows.", "Give data with rows below its header.")
    return rows, bad, dict(merge_file_kinds(survey["kinds"] for survey in surveys))


def _drop_unsupported(data: DataConfig, files: list[SourceFile]) -> tuple[DataConfig, dict[str, str]]:
    """The section `data` without columns of lists, mappings and the like, and why each is left out."""
    unsupported: dict[str, str] = {}
    if files[0].format == "csv":
        return data, unsupported
    for file in files:
        while True:
            try:
                _check_column_types(data, file)
                break
            except UnsupportedColumnError as error:
                unsupported[error.column] = error.reason
                data = data.model_copy(update={"leave_out": (*data.leave_out, error.column)})
    return data, unsupported


def _check_column_types(data: DataConfig, file: SourceFile) -> None:
    """Raises UnsupportedColumnError for the first column without single values; Parquet's first rows show its types."""
    if file.format != "parquet":
        survey_file(_make_job(data, file))
        return
    for batch in read_record_batches(file, data, None, BadRows()):
        for name, array in zip(batch.schema.names, batch.columns, strict=True):
            find_type_kind(array.type, name, file.name)
        return


def _make_job(data: DataConfig, file: SourceFile) -> dict[str, Any]:
    return {"data": data.model_dump(mode="json"), "file": asdict(file)}


def _explain_bytes(words: ColumnWords) -> str:
    return f"holds bytes, no text, in {words.garbled:,} of {words.garbled + words.values:,} values"


def _check_label_usable(config: LabelConfig, unsupported: Mapping[str, str], data: DataConfig) -> None:
    for name in list_label_columns(config):
        if name in unsupported:
            raise DataError(f"The label's column {name!r} {unsupported[name]}.", "Choose another label.")
        if name in data.leave_out:
            raise UsageError(f"--leave-out names {name!r}, which the label needs.", "Take it out of --leave-out.")


def _read_sample(
    files: list[SourceFile], data: DataConfig, kinds: Mapping[str, str], rows: int
) -> tuple[dict[str, pa.Array], BadRows]:
    """All rows of small data, the first rows of every file of large data; and the rows that cannot be read."""
    bad = BadRows()
    quota = MAX_ROWS if rows <= MAX_ROWS else MAX_ROWS // len(files)
    parts: dict[str, list[pa.Array]] = {name: [] for name in kinds}
    for file in files:
        taken = 0
        for columns in read_typed_batches(file, data, kinds, bad, None):
            for name in kinds:
                parts[name].append(columns[name])
            taken += len(columns[name])
            if taken >= quota:
                break
    return {name: pa.concat_arrays(arrays) for name, arrays in parts.items() if arrays}, bad


def _profile_column(name: str, kind: str, array: pa.Array, target: np.ndarray, task: Task) -> ColumnProfile:
    there = array.drop_null()
    unique, counts = there.value_counts().flatten()
    numeric = not is_text(array.type) and not pa.types.is_boolean(array.type) and len(there)
    bounds = pc.min_max(there).as_py() if numeric else {"min": None, "max": None}
    formats = _find_time_formats(there) if kind == "string" and len(there) else ()
    if kind == "int" and _are_dates(name, unique, bounds["min"], bounds["max"]):
        formats, there = (DATE_NUMBERS,), there.cast(pa.large_string())
    is_time = kind.startswith("time") or _is_epoch(name, bounds["min"], bounds["max"], kind)
    seconds = parse_time(there, formats[0]) if formats else there if is_time else None
    density, digit_share = describe_spread(there) if kind == "int" and len(there) else (1.0, 1.0)
    return ColumnProfile(
        name=name,
        kind=kind.partition(":")[0],
        rows=len(array),
        missing=array.null_count,
        distinct=len(unique),
        once=pc.sum(pc.equal(counts, 1)).as_py() or 0,
        least=bounds["min"],
        greatest=bounds["max"],
        text_length=float(pc.mean(pc.binary_length(there)).as_py() or 0) if is_text(array.type) else 0.0,
        time_formats=formats,
        parts=count_time_parts(seconds) if seconds is not None else (),
        alone=score_column(array, target, task),
        name_gain=measure_name_gain(array, target, task) if kind == "int" and 3 <= len(unique) <= MOST_NAMES else 0.0,
        density=density,
        digit_share=digit_share,
        rises=kind == "int" and len(there) > 1 and pc.all(pc.greater_equal(there[1:], there[:-1])).as_py(),
        examples=tuple(str(text) for text in format_labels(unique[:3])),
    )


def _is_epoch(name: str, least: float | None, greatest: float | None, kind: str) -> bool:
    """Whether whole numbers are seconds since 1970: from 1980 to 2050, in a column with a name of times."""
    if kind != "int" or least is None or greatest is None or not TIME_NAME.search(name):
        return False
    return least > 315_532_800 and greatest < 2_524_608_000


def _are_dates(name: str, unique: pa.Array, least: float | None, greatest: float | None) -> bool:
    """Whether whole numbers are dates such as 20240131: other numbers of eight digits are hardly ever all of them."""
    if least is None or greatest is None or least < 19_000_101 or greatest > 21_001_231:
        return False
    telling = len(unique) >= MIN_DATES or (len(unique) > 1 and bool(TIME_NAME.search(name)))
    return telling and parse_time(unique.cast(pa.large_string()), DATE_NUMBERS) is not None


def count_time_parts(seconds: pa.Array) -> tuple[tuple[str, int], ...]:
    """How many different months, weekdays and hours these times have."""
    stamps = seconds.cast(pa.timestamp("s"))
    parts = {"month": pc.month, "weekday": pc.day_of_week, "hour": pc.hour}
    return tuple((name, len(pc.unique(function(stamps)))) for name, function in parts.items())


def _find_time_formats(there: pa.Array) -> tuple[str, ...]:
    """The formats that fit every value; nearly every text fails on its first ones."""
    first = there[:200]
    likely = [pattern for pattern in TIME_FORMATS if parse_time(first, pattern) is not None]
    return tuple(pattern for pattern in likely if parse_time(there, pattern) is not None)
