"""Rows for a trained model, read as its training read rows: from files or from Python, to the model's own columns.

The value that a row has for an input here is the value that its `tf.Example` had in training: same names, same missing
values, same kinds, same calendar parts. No tfx, no TensorFlow.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from components.errors import DataError, close_matches
from components.tables import spellings
from components.tables.bad_rows import BadRows
from components.tables.column_names import trained_names
from components.tables.columns import calendar_columns, encodable, is_text
from components.tables.config import TableConfig
from components.tables.files import SourceFile, list_files
from components.tables.reading import csv_columns, read, rows_batch, without_words
from components.tables.row_notes import RowNotes, near_names
from components.tables.row_source import RowSource, check_present
from components.tables.rules import ReadingRules, default_rules
from components.tables.typed_rows import convert_batch

BATCH_ROWS = 4096
GIVEN = SourceFile("the rows", "jsonl")
_DTYPES = {"int64": pa.int64(), "float32": pa.float32()}


@dataclass(frozen=True)
class RawBatch:
    """Some rows as they are written.

    Attributes:
        rows: Columns under their names in the file.
        file: Where they are.
        before: Rows of the file before them.
    """

    rows: pa.RecordBatch
    file: SourceFile
    before: int = 0


class TrainedReader:
    """Reads rows for one model."""

    def __init__(self, rules: ReadingRules | None, dtypes: Mapping[str, str]) -> None:
        """Args:
        rules: What the version carries; None: it carries none.
        dtypes: By column that the model takes: string, int64 or float32.
        """
        self.carried = rules is not None
        self.rules = rules or default_rules(dtypes)
        self.dtypes = dict(dtypes)
        self.notes = RowNotes()
        table = self.rules.table_of("-")
        self._nulls = table.csv.null_values if self.rules.format in ("csv", "") else ("",)
        self._nulls_of: Mapping[str, Sequence[str]] = table.null_values
        self._calendar = {
            source: tuple(part for part in parts if f"{source}_{part}" in dtypes)
            for source, parts in table.calendar.items()
        }
        self._made_of = {f"{source}_{part}": source for source, parts in self._calendar.items() for part in parts}
        direct = {name: self.rules.kinds.get(name, kind) for name, kind in default_rules(dtypes).kinds.items()}
        sources = {source: self.rules.kinds[source] for source, parts in self._calendar.items() if parts}
        self._kinds = {**direct, **sources}
        self.known = {**self.rules.kinds, **self._kinds}

    # ---- reading ----

    def batches(self, source: RowSource) -> Iterator[RawBatch]:
        """The rows of a source as they are written, in its order, a few thousand at a time.

        Raises:
            DataError: A file cannot be read, or a row of it.
        """
        left = source.limit
        for batch in self._all_batches(source):
            rows = batch.rows if left is None else batch.rows.slice(0, left)
            left = None if left is None else left - rows.num_rows
            if rows.num_rows:
                yield RawBatch(rows, batch.file, batch.before)
            if left == 0:
                return

    def _all_batches(self, source: RowSource) -> Iterator[RawBatch]:
        if source.path:
            for file in self.files(source):
                yield from self.read_file(file, source.shown)
            return
        for start in range(0, len(source.given), BATCH_ROWS):
            part = source.given[start : start + BATCH_ROWS]
            self._check_rows(part, start)
            yield RawBatch(rows_batch(part), GIVEN, start)

    def files(self, source: RowSource) -> list[SourceFile]:
        """The files that a source means.

        Raises:
            DataError: There are none, or they are of no known format.
        """
        path = source.path
        check_present(source)
        configured = self.rules.table.get("format", "auto")
        try:
            return list_files(self.rules.table_of(path, source.file_format))
        except DataError:
            # Training was told what a name does not tell.
            if source.file_format != "auto" or configured == "auto" or Path(path).suffix:
                raise
            return list_files(self.rules.table_of(path, configured))

    def read_file(self, file: SourceFile, shown: str = "") -> Iterator[RawBatch]:
        """The rows of one file.

        Raises:
            DataError: It cannot be read, or a row of it.
        """
        before, bad = 0, BadRows()
        with self._plain_errors(file, shown):
            for batch in read(file, self._table_of(file), None, bad):
                _refuse(bad)
                for start in range(0, batch.num_rows, BATCH_ROWS):
                    part = batch.slice(start, BATCH_ROWS)
                    yield RawBatch(part, file, before + start)
                before += batch.num_rows
            _refuse(bad)
        if bad.footers:
            self.notes.counts["footers", ", ".join(map(repr, self.rules.table_of("-").csv.footer))] += bad.footers

    def _table_of(self, file: SourceFile) -> TableConfig:
        """How the file is read. Where no header tells it, a column less than in training is the label's."""
        table, label = self.rules.table_of(file.path), self.rules.label
        if file.format != "csv" or label not in table.csv.names or _has_columns(file, table):
            return table
        names = tuple(name for name in table.csv.names if name != label)
        shorter = table.model_copy(update={"csv": table.csv.model_copy(update={"names": names})})
        if not _has_columns(file, shorter):
            return table
        self.notes.counts["without_label", label] += 1
        return shorter

    @contextlib.contextmanager
    def _plain_errors(self, file: SourceFile, shown: str) -> Iterator[None]:
        """The remedies of reading name keys of a configuration, which a version has no more."""
        try:
            yield
        except DataError as error:
            problem = error.problem.replace(file.path, shown) if shown else error.problem
            remedy = error.remedy
            if "data." in remedy:
                remedy = f"Rows for this model are read as its training read them: {self.rules.reading}. Mend the rows."
            raise DataError(problem, remedy) from error

    def _check_rows(self, rows: Sequence[Mapping[str, Any]], before: int) -> None:
        trained = self.trained_names({name for row in rows for name in row})
        for number, row in enumerate(rows, before):
            if not any(trained.get(name, name) in self._kinds for name in row):
                self._refuse_table(f"Row {number}", row)

    def _refuse_table(self, where: str, names: Any) -> None:
        has = ", ".join(map(repr, sorted(names))) or "nothing"
        near = next((close_matches(name, self.dtypes) for name in sorted(names)), "")
        offer = near or f"The model takes {', '.join(map(repr, sorted(self.dtypes)))}."
        raise DataError(f"{where} has none of the model's columns; it has {has}.", offer)

    # ---- converting ----

    def columns(self, batch: RawBatch) -> dict[str, pa.Array]:
        """The model's columns, `[rows]` each: int64, float32 or binary, null where missing.

        Raises:
            DataError: A value is not of its column's kind, or no column is the model's.
        """
        raw = self.named(batch)
        if not set(self._kinds) & set(raw):
            self._refuse_table(batch.file.name, raw)
        wanted = {name: self._prepared(raw[name], name, batch.file.format) for name in self._kinds if name in raw}
        bad = BadRows()
        prepared = pa.RecordBatch.from_arrays(list(wanted.values()), names=list(wanted))
        typed = convert_batch(prepared, batch.file, self._kinds, bad, batch.before)
        _refuse(bad)
        typed.update(self._calendar_parts(typed))
        columns = {name: _as_dtype(typed[name], dtype) for name, dtype in self.dtypes.items()}
        self._note(columns, batch.rows.num_rows)
        return columns

    def named(self, batch: RawBatch) -> dict[str, pa.Array]:
        """The columns under their names in training."""
        names = batch.rows.schema.names
        trained = self.trained_names(names)
        for name, new in trained.items():
            if name.startswith("unnamed_"):
                self.notes.counts["unnamed", f"{new}\t{name}"] += 1
        for name in names:
            # Without rules the label and the columns left out are not known.
            if trained.get(name, name) not in self.known and (self.carried or near_names(name, self.known)):
                self.notes.counts["unknown", name] += 1
        return {trained.get(n, n): array for n, array in zip(names, batch.rows.columns, strict=True)}

    def trained_names(self, names: Iterable[str]) -> dict[str, str]:
        """The names in training of those columns that have another one in the rows."""
        return trained_names(names, self.known)

    def _prepared(self, array: pa.Array, name: str, file_format: str) -> pa.Array:
        """Values as csv's reader hands them on: missing words missing, texts as training spelled them."""
        kind = self._kinds[name]
        if pa.types.is_dictionary(array.type):
            array = array.cast(array.type.value_type)
        if is_text(array.type):
            nulls = self._nulls_of.get(name, self._nulls)
            array = without_words(array, nulls) if file_format != "csv" else array
        if kind == "string":
            from_json = file_format == "jsonl" and self.rules.format == "csv"
            return spellings.as_trained(array, self.rules.words.get(name), from_json)
        return spellings.whole_numbers(array, kind) if kind.startswith("int") else array

    def _calendar_parts(self, typed: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
        """Parts of the times; where a row has no time, the part that it may name itself, as a request does."""
        made = calendar_columns(typed, self._calendar)
        return {name: pc.coalesce(array, typed[name].cast(pa.int64())) for name, array in made.items()}

    # ---- telling ----

    def _note(self, columns: Mapping[str, pa.Array], rows: int) -> None:
        counts = self.notes.counts
        counts["rows", ""] += rows
        for name, array in columns.items():
            counts["present", name] += len(array) - array.null_count
            known = self.rules.words.get(name)
            if known is not None and is_text(array.type):
                self._note_words(name, pc.value_counts(array.drop_null()).to_pylist())

    def _note_words(self, name: str, found: list[dict[str, Any]]) -> None:
        known = self.rules.words[name]
        unseen = [entry for entry in found if not known.has(entry["values"])]
        self.notes.counts["words", name] += sum(entry["counts"] for entry in found)
        if unseen:
            self.notes.counts["unseen", name] += sum(entry["counts"] for entry in unseen)
            self.notes.add_unseen(name, (entry["values"] for entry in unseen))

    def sentences(self, without_rules: str = "") -> list[str]:
        """What must be said of the rows read so far.

        Args:
            without_rules: Why there are none, where none were given.
        """
        made_of = {name: self._made_of.get(name, name) for name in self.dtypes}
        said = self.notes.sentences(made_of, self.rules.words, self.known)
        return said if self.carried else [f"{without_rules}: the default rules read these.", *said]

    def ignored(self, names: Iterable[str]) -> list[str]:
        """The columns of the rows that the model does not take, such as the label."""
        trained = self.trained_names(names)
        return sorted(name for name in names if trained.get(name, name) not in self._kinds)


def _has_columns(file: SourceFile, table: TableConfig) -> bool:
    try:
        return bool(csv_columns(file, table))
    except DataError:
        return False


def _refuse(bad: BadRows) -> None:
    if not bad.count:
        return
    shown = "\n".join(f"  {sample}" for sample in bad.samples[:5])
    count = "One row is" if bad.count == 1 else f"{bad.count} rows are"
    raise DataError(f"{count} not what the model takes:\n{shown}", "Mend them, or leave them out.")


def _as_dtype(array: pa.Array, dtype: str) -> pa.Array:
    """As the model's input takes it: the schema may call whole numbers a float."""
    values = encodable(array)
    return values.cast(_DTYPES[dtype], safe=False) if dtype in _DTYPES and not is_text(array.type) else values
