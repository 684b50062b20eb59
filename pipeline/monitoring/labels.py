"""Labels that came later, joined to the rows of a window by the values of columns.

Two ids are equal where both are the same text, or the same number. A text is not a number: `0012` is not 12. A column
that training knew is read as training read it (its kind, its times); of any other column a csv cell or a text is the
number that it spells only where the log has numbers and it is spelled as a number is: without leading zeros.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from taxiway.components.errors import DataError, UsageError, suggest_matches
from taxiway.components.monitoring.window import RequestWindow
from taxiway.components.saved_models.training_reference import ReferenceScores
from taxiway.components.tables.prediction.row_source import RowSource
from taxiway.components.tables.prediction.trained_rows import RawBatch, TrainedReader
from taxiway.components.tables.reading_rules import ReadingRules
from taxiway.pipeline.monitoring.label_values import LabelParser, format_key, spell_logged, spell_read

Key = tuple[Any, ...]
FEW_SHARE, SHOWN = 0.5, 2
"""Where fewer of the labels find their row, or of the rows their label, whichever are fewer, it is said, with so many
ids of each side."""


@dataclass(frozen=True)
class JoinedLabels:
    """The rows of a window that have a label.

    Attributes:
        rows: Their indices in the window, `[joined]`.
        labels: Class indices or values, float64 `[joined]`.
        counts: `labels` in the file, `rows` of the window, `joined`, and what was left out: `repeated` (again with the
            same label), `contradicted` ids (of different labels), `without key`, `without label`, `asked again` (logged
            rows that share an id), `rows without key`, `not logged`.
        notes: Sentences about what a person must know of the join.
    """

    rows: np.ndarray
    labels: np.ndarray
    counts: dict[str, int]
    notes: tuple[str, ...] = ()


@dataclass
class _FileLabels:
    """The labels of a file by id."""

    labels: dict[Key, float] = field(default_factory=dict)
    contradicted: dict[Key, tuple[float, float]] = field(default_factory=dict)

    def add_label(self, key: Key, label: float, counts: Counter[str]) -> None:
        known = self.labels.get(key)
        if key in self.contradicted:
            return
        if known is None:
            self.labels[key] = label
        elif known == label:
            counts["repeated"] += 1
        else:
            self.contradicted[key] = (known, label)
            del self.labels[key]


def join_labels(
    file: Path, id_columns: Sequence[str], rules: ReadingRules | None, scores: ReferenceScores, window: RequestWindow
) -> JoinedLabels:
    """Reads labels and joins them to logged rows.

    Args:
        file: Rows with the id columns and the label, in a format that trains.
        id_columns: Columns that together name a row; logged with it.
        rules: How training read its rows; None: the version does not say.
        scores: Label, task and classes of the version.
        window: The logged rows.

    Raises:
        DataError: The file cannot be read, or lacks a column, or holds a label that is none.
        UsageError: An id column is not in the log.
    """
    for name in id_columns:
        _check_logged(name, window)
    counts: Counter[str] = Counter(rows=window.rows)
    logged = _index_rows(window, id_columns, counts)
    read = _read_file(file, id_columns, rules, scores, window, counts)
    counts["contradicted"] = len(read.contradicted)
    counts["not logged"] = sum(key not in logged for key in read.labels)
    pairs = sorted((logged[key], label) for key, label in read.labels.items() if key in logged)
    counts["joined"] = len(pairs)
    indices, labels = (np.array([pair[side] for pair in pairs]) for side in (0, 1))
    notes = (*_tell_contradictions(read, scores), *_tell_few(counts, read, logged))
    return JoinedLabels(indices.astype(np.int64), labels.astype(np.float64), dict(counts), notes)


# ---- the log ----


def _check_logged(column: str, window: RequestWindow) -> None:
    if column not in window.columns:
        why = f": {window.unreadable[column]}" if column in window.unreadable else ""
        raise UsageError(
            f"The log has no column {column!r}, by which labels should be joined{why}.",
            f"It has: {', '.join(sorted(window.columns))}. A column that the model does not take can be sent in the "
            "examples of serving_default. Name columns with --id.",
        )


def _index_rows(window: RequestWindow, id_columns: Sequence[str], counts: Counter[str]) -> dict[Key, int]:
    """Row by key; a key of several rows names none of them."""
    columns = [list(map(spell_logged, window.list_first_values(name))) for name in id_columns]
    keys = list(zip(*columns, strict=True))
    times = Counter(keys)
    counts["asked again"] = sum(number for key, number in times.items() if number > 1 and None not in key)
    counts["rows without key"] = sum(number for key, number in times.items() if None in key)
    return {key: row for row, key in enumerate(keys) if times[key] == 1 and None not in key}


# ---- the file ----


def _read_file(
    file: Path,
    id_columns: Sequence[str],
    rules: ReadingRules | None,
    scores: ReferenceScores,
    window: RequestWindow,
    counts: Counter[str],
) -> _FileLabels:
    read, parser = _FileLabels(), LabelParser(scores, file)
    for key, label in _read_labels(file, id_columns, rules, scores.label, window):
        counts["labels"] += 1
        if None in key:
            counts["without key"] += 1
        elif (value := parser.parse_label(label)) is None:
            counts["without label"] += 1
        else:
            read.add_label(key, value, counts)
    return read


def _read_labels(
    file: Path, id_columns: Sequence[str], rules: ReadingRules | None, label: str, window: RequestWindow
) -> Iterator[tuple[Key, Any]]:
    """Key and label of each row."""
    kinds = {name: window.columns[name].type.value_type for name in id_columns}
    known = {name: _name_dtype(kind) for name, kind in kinds.items() if rules is not None and name in rules.kinds}
    reader = TrainedReader(rules, known)
    for batch in reader.read_batches(RowSource(path=str(file))):
        raw = reader.rename_columns(batch)
        lacking = [name for name in (*id_columns, label) if name not in raw]
        if lacking:
            raise DataError(
                f"{file} has no column {lacking[0]!r}.",
                suggest_matches(lacking[0], raw) or f"It has: {', '.join(raw)}.",
            )
        columns = [_spell_column(batch, reader, raw, name, kinds[name]) for name in id_columns]
        yield from zip(zip(*columns, strict=True), raw[label].to_pylist(), strict=True)


def _name_dtype(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "int64"
    return "float32" if pa.types.is_floating(kind) else "string"


def _spell_column(
    batch: RawBatch, reader: TrainedReader, raw: dict[str, pa.Array], name: str, kind: pa.DataType
) -> Iterable[Any]:
    if name in reader.dtypes:
        return map(spell_logged, reader.convert_columns(batch)[name].to_pylist())
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return (spell_read(value, is_number) for value in raw[name].to_pylist())


# ---- what is said ----


def _tell_contradictions(read: _FileLabels, scores: ReferenceScores) -> Iterator[str]:
    if read.contradicted:
        some = [
            f"{format_key(key)}: {' and '.join(_name_label(label, scores) for label in labels)}"
            for key, labels in list(read.contradicted.items())[:SHOWN]
        ]
        yield (
            f"{len(read.contradicted):,} ids of the file have different labels ({'; '.join(some)}): none of their rows "
            "is joined"
        )


def _name_label(label: float, scores: ReferenceScores) -> str:
    if scores.task != "regression" and int(label) < len(scores.classes):
        return scores.classes[int(label)]
    return f"{label:g}"


def _tell_few(counts: Counter[str], read: _FileLabels, logged: dict[Key, int]) -> Iterator[str]:
    if counts["joined"] >= FEW_SHARE * max(min(counts["labels"], counts["rows"]), 1):
        return
    here = [format_key(key) for key in read.labels if key not in logged][:SHOWN]
    there = [format_key(key) for key in logged if key not in read.labels][:SHOWN]
    sides = [f"ids of the file without a row: {', '.join(here)}"] if here else []
    sides += [f"ids of the log without a label: {', '.join(there)}"] if there else []
    sides += [f"{counts['asked again']:,} logged rows share their id with others"] if counts["asked again"] else []
    shown = f" ({'; '.join(sides)})" if sides else ""
    yield f"{counts['joined']:,} of {counts['labels']:,} labels were joined to {counts['rows']:,} logged rows{shown}"
