"""The first stage: the kinds of all columns, the number of rows, the rows that cannot be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taxiway.components.errors import ConfigError, DataError, suggest_matches
from taxiway.components.example_gen import known_kinds
from taxiway.components.example_gen.config import DataConfig, LabelConfig
from taxiway.components.example_gen.labels.label import (
    check_label_columns,
    list_label_columns,
)
from taxiway.components.example_gen.notes import DataNote, make_footer_notes
from taxiway.components.example_gen.stages.jobs import Job
from taxiway.components.tables.columns.kinds import Kind, check_kinds, infer_kind, merge_kinds
from taxiway.components.tables.readers.bad_rows import BadRows, check_bad_count
from taxiway.components.tables.readers.record_batches import read_record_batches
from taxiway.components.tables.sources.source_file import SourceFile, join_file_names


def survey_file(job: Job) -> dict[str, Any]:
    """Kinds of one file's columns, its rows, its bad rows."""
    data, file, bad = DataConfig(**job["data"]), SourceFile(**job["file"]), BadRows()
    kinds: dict[str, Kind] = {}
    rows = 0
    for batch in read_record_batches(file, data, None, bad):
        rows += batch.num_rows
        for name, array in zip(batch.schema.names, batch.columns, strict=True):
            kinds[name] = infer_kind(array, kinds.get(name, "null"), name, file.name)
    return {"file": file.name, "kinds": kinds, "rows": rows, "bad": bad.to_json()}


@dataclass(frozen=True)
class SurveyResult:
    """What the first stage says of all files: kinds of the columns, rows, and where the schema decided otherwise."""

    kinds: dict[str, str]
    rows: int
    notes: tuple[DataNote, ...] = ()
    text_read_as_known: tuple[str, ...] = ()


def merge_surveys(
    data: DataConfig,
    label: LabelConfig,
    files: Sequence[SourceFile],
    surveys: Sequence[Mapping[str, Any]],
    schema_kinds: Mapping[str, str],
) -> SurveyResult:
    """The kinds of all columns and the number of rows, checked against configuration and schema.

    Raises:
        ConfigError, DataError: columns that are missing, empty or unknown; no rows; too many bad ones.
    """
    bad = BadRows.merge_parts(BadRows.from_json(s["bad"]) for s in surveys)
    check_bad_count(bad, data.max_bad_rows)
    rows = sum(s["rows"] for s in surveys)
    if not rows:
        raise DataError(f"{join_file_names(files)}: there are no rows.", "Give data with rows below its header.")
    if files[0].format in ("csv", "parquet"):
        _check_same_columns([s for s in surveys if s["rows"]])
    inferred = merge_file_kinds(s["kinds"] for s in surveys)
    _check_configured_columns(data, inferred)
    needed = {*data.types, *data.calendar, data.split.column, *list_label_columns(label)}
    kinds, notes, text_read = known_kinds.apply_known_kinds(
        {**inferred, **data.types}, {**schema_kinds, **data.types}, needed
    )
    _check_calendar_columns(data, kinds)
    check_label_columns(label, kinds)
    check_kinds(kinds, join_file_names(files))
    return SurveyResult(kinds, rows, (*make_footer_notes(bad.footers, data.csv.footer), *notes), text_read)


def merge_file_kinds(parts: Iterable[Mapping[str, Kind]]) -> dict[str, str]:
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


def _check_configured_columns(data: DataConfig, kinds: Mapping[str, str]) -> None:
    named: dict[str, Iterable[str]] = {
        "data.types": data.types,
        "data.calendar": data.calendar,
        "data.split.column": [data.split.column] if data.split.column else [],
    }
    for key, names in named.items():
        for name in names:
            if name not in kinds:
                raise ConfigError(
                    f"{key} names {name!r}, which is no column of the data.", suggest_matches(name, kinds)
                )


def _check_calendar_columns(data: DataConfig, kinds: Mapping[str, str]) -> None:
    for column, parts in data.calendar.items():
        if not kinds[column].startswith("time"):
            raise ConfigError(
                f"data.calendar names {column!r}, which is of kind {kinds[column]}, not time.",
                f"Say how its times are written: data.types: {{{column}: time}}, or 'time:%d.%m.%Y'.",
            )
        taken_names = [f"{column}_{part}" for part in parts if f"{column}_{part}" in kinds]
        if taken_names:
            raise ConfigError(
                f"data.calendar would make a column {taken_names[0]!r}, but the data has one of that name.",
                f"Take the part out of data.calendar, or leave the column out (data.leave_out: [{taken_names[0]}]).",
            )
