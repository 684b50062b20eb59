"""Reads rows for a trained model as its training read rows: from files or from Python, to the model's own columns.

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

from taxiway.components.errors import DataError, suggest_matches
from taxiway.components.tables.column_names import match_trained_names
from taxiway.components.tables.columns.conversion import cast_for_examples
from taxiway.components.tables.columns.texts import is_text, mask_null_words, trim_texts
from taxiway.components.tables.columns.times import make_calendar_columns
from taxiway.components.tables.config import TableConfig
from taxiway.components.tables.prediction import spellings
from taxiway.components.tables.prediction.row_notes import RowNotes, suggest_names
from taxiway.components.tables.prediction.row_source import RowSource, check_file_exists
from taxiway.components.tables.readers.bad_rows import BadRows, format_samples
from taxiway.components.tables.readers.csv_files import read_csv_columns
from taxiway.components.tables.readers.json_rows import convert_rows, list_row_keys
from taxiway.components.tables.readers.record_batches import read_record_batches
from taxiway.components.tables.readers.typed_rows import convert_batch
from taxiway.components.tables.reading_rules import ReadingRules, make_default_rules
from taxiway.components.tables.sources.files import select_source_files
from taxiway.components.tables.sources.source_file import SourceFile

BATCH_ROWS = 4096
GIVEN = SourceFile("the rows", "jsonl")
_DTYPES = {"int64": pa.int64(), "float32": pa.float32()}


@dataclass(frozen=True)
class RawBatch:
    """Some rows as they are written.

    Attributes:
        rows: The columns under their names in the file.
        file: The file of the rows.
        before: The number of rows of the file before them.
    """

    rows: pa.RecordBatch
    file: SourceFile
    before: int = 0


class TrainedReader:
    """Reads rows for one model."""

    def __init__(self, rules: ReadingRules | None, dtypes: Mapping[str, str]) -> None:
        """Args:
        rules: The reading rules that the version carries; None: it carries none.
        dtypes: The type of each column that the model takes: string, int64 or float32.
        """
        self.carried = rules is not None
        self.rules = rules or make_default_rules(dtypes)
        self.dtypes = dict(dtypes)
        self.notes = RowNotes()
        table = self.rules.make_table_config("-")
        self._nulls = table.csv.null_values if self.rules.format in ("csv", "") else ("",)
        self._trims = table.csv.trim and self.rules.format == "csv"
        self._nulls_of: Mapping[str, Sequence[str]] = table.null_values
        self._calendar = {
            source: tuple(part for part in parts if f"{source}_{part}" in dtypes)
            for source, parts in table.calendar.items()
        }
        self._made_of = {f"{source}_{part}": source for source, parts in self._calendar.items() for part in parts}
        direct = {name: self.rules.kinds.get(name, kind) for name, kind in make_default_rules(dtypes).kinds.items()}
        sources = {source: self.rules.kinds[source] for source, parts in self._calendar.items() if parts}
        self._kinds = {**direct, **sources}
        self.known = {**self.rules.kinds, **self._kinds}

    # ---- reading ----

    def read_batches(self, source: RowSource) -> Iterator[RawBatch]:
        """The rows of a source as they are written, in its order, a few thousand at a time.

        Raises:
            DataError: A file cannot be read, or a row of it.
        """
        left = source.limit
        for batch in self._read_all_batches(source):
            rows = batch.rows if left is None else batch.rows.slice(0, left)
            left = None if left is None else left - rows.num_rows
            if rows.num_rows:
                yield RawBatch(rows, batch.file, batch.before)
            if left == 0:
                return

    def _read_all_batches(self, source: RowSource) -> Iterator[RawBatch]:
        if source.path:
            for file in self.list_source_files(source):
                yield from self.read_file(file, source.shown)
            return
        for start in range(0, len(source.given), BATCH_ROWS):
            part = source.given[start : start + BATCH_ROWS]
            self._check_rows(part, start)
            yield RawBatch(convert_rows(part, list_row_keys(part)), GIVEN, start)

    def list_source_files(self, source: RowSource) -> list[SourceFile]:
        """The files that a source means.

        Raises:
            DataError: There are none, or they are of no known format.
        """
        path = source.path
        check_file_exists(source)
        configured = self.rules.table.get("format", "auto")
        try:
            return select_source_files(self.rules.make_table_config(path, source.file_format))
        except DataError:
            # Training was told what a name does not tell.
            if source.file_format != "auto" or configured == "auto" or Path(path).suffix:
                raise
            return select_source_files(self.rules.make_table_config(path, configured))

    def read_file(self, file: SourceFile, shown: str = "") -> Iterator[RawBatch]:
        """The rows of one file.

        Raises:
            DataError: It cannot be read, or a row of it.
        """
        before, bad = 0, BadRows()
        with self._rewrite_remedies(file, shown):
            for batch in read_record_batches(file, self._choose_table_config(file), None, bad):
                _refuse_bad_rows(bad)
                for start in range(0, batch.num_rows, BATCH_ROWS):
                    part = batch.slice(start, BATCH_ROWS)
                    yield RawBatch(part, file, before + start)
                before += batch.num_rows
            _refuse_bad_rows(bad)
        if bad.footers:
            self.notes.counts["footers", ", ".join(map(repr, self.rules.make_table_config("-").csv.footer))] += (
                bad.footers
            )

    def _choose_table_config(self, file: SourceFile) -> TableConfig:
        """How the file is read. Where no header tells it, a column less than in training is the label's."""
        table, label = self.rules.make_table_config(file.path), self.rules.label
        if file.format != "csv" or label not in table.csv.names or _has_matching_header(file, table):
            return table
        names = tuple(name for name in table.csv.names if name != label)
        shorter = table.model_copy(update={"csv": table.csv.model_copy(update={"names": names})})
        if not _has_matching_header(file, shorter):
            return table
        self.notes.counts["without_label", label] += 1
        return shorter

    @contextlib.contextmanager
    def _rewrite_remedies(self, file: SourceFile, shown: str) -> Iterator[None]:
        """The remedies of reading name keys of a configuration, which a version has no more."""
        try:
            yield
        except DataError as error:
            problem = error.problem.replace(file.path, shown) if shown else error.problem
            remedy = error.remedy
            if "data." in remedy:
                remedy = (
                    f"Rows for this model are read as its training read them: "
                    f"{self.rules.csv_description}. Mend the rows."
                )
            raise DataError(problem, remedy) from error

    def _check_rows(self, rows: Sequence[Mapping[str, Any]], before: int) -> None:
        trained = self.map_trained_names({name for row in rows for name in row})
        for number, row in enumerate(rows, before):
            if not any(trained.get(name, name) in self._kinds for name in row):
                self._refuse_table(f"Row {number}", row)

    def _refuse_table(self, where: str, names: Any) -> None:
        has = ", ".join(map(repr, sorted(names))) or "nothing"
        near = next((suggest_matches(name, self.dtypes) for name in sorted(names)), "")
        offer = near or f"The model takes {', '.join(map(repr, sorted(self.dtypes)))}."
        raise DataError(f"{where} has none of the model's columns; it has {has}.", offer)

    # ---- converting ----

    def convert_columns(self, batch: RawBatch) -> dict[str, pa.Array]:
        """The model's columns, `[rows]` each: int64, float32 or binary, null where missing.

        Raises:
            DataError: A value is not of its column's kind, or no column is the model's.
        """
        raw = self.rename_columns(batch)
        if not set(self._kinds) & set(raw):
            self._refuse_table(batch.file.name, raw)
        wanted = {name: self._prepare_values(raw[name], name, batch.file.format) for name in self._kinds if name in raw}
        bad = BadRows()
        prepared = pa.RecordBatch.from_arrays(list(wanted.values()), names=list(wanted))
        typed = convert_batch(prepared, batch.file, self._kinds, bad, batch.before)
        _refuse_bad_rows(bad)
        typed.update(self._make_calendar_parts(typed))
        columns = {name: _cast_to_dtype(typed[name], dtype) for name, dtype in self.dtypes.items()}
        self._count_values(columns, batch.rows.num_rows)
        return columns

    def rename_columns(self, batch: RawBatch) -> dict[str, pa.Array]:
        """The columns under their names in training."""
        names = batch.rows.schema.names
        trained = self.map_trained_names(names)
        for name, new in trained.items():
            if name.startswith("unnamed_"):
                self.notes.counts["unnamed", f"{new}\t{name}"] += 1
        for name in names:
            # Without rules the label and the columns left out are not known.
            if trained.get(name, name) not in self.known and (self.carried or suggest_names(name, self.known)):
                self.notes.counts["unknown", name] += 1
        return {trained.get(n, n): array for n, array in zip(names, batch.rows.columns, strict=True)}

    def map_trained_names(self, names: Iterable[str]) -> dict[str, str]:
        """The names in training of those columns that have another one in the rows."""
        return match_trained_names(names, self.known)

    def _prepare_values(self, array: pa.Array, name: str, file_format: str) -> pa.Array:
        """Values as the reader of csv gives them: trimmed, null words missing, texts as training spelled them."""
        kind = self._kinds[name]
        if pa.types.is_dictionary(array.type):
            array = array.cast(array.type.value_type)
        if is_text(array.type) and file_format != "csv":
            texts = trim_texts(array) if self._trims else array
            array = mask_null_words(texts, self._nulls_of.get(name, self._nulls))
        if kind == "string":
            from_json = file_format == "jsonl" and self.rules.format == "csv"
            return spellings.respell_as_trained(array, self.rules.words.get(name), from_json)
        return spellings.restore_whole_numbers(array, kind) if kind.startswith("int") else array

    def _make_calendar_parts(self, typed: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
        """Parts of the times; where a row has no time, the part that it may name itself, as a request does."""
        parts = make_calendar_columns(typed, self._calendar)
        return {name: pc.coalesce(array, typed[name].cast(pa.int64())) for name, array in parts.items()}

    # ---- notes ----

    def _count_values(self, columns: Mapping[str, pa.Array], rows: int) -> None:
        counts = self.notes.counts
        counts["rows", ""] += rows
        for name, array in columns.items():
            counts["present", name] += len(array) - array.null_count
            known_words = self.rules.words.get(name)
            if known_words is not None and is_text(array.type):
                self._count_words(name, pc.value_counts(array.drop_null()).to_pylist())

    def _count_words(self, name: str, counted: list[dict[str, Any]]) -> None:
        known_words = self.rules.words[name]
        unseen = [entry for entry in counted if not known_words.seen_in_training(entry["values"])]
        self.notes.counts["words", name] += sum(entry["counts"] for entry in counted)
        if unseen:
            self.notes.counts["unseen", name] += sum(entry["counts"] for entry in unseen)
            self.notes.add_unseen(name, (entry["values"] for entry in unseen))

    def describe_rows(self, without_rules: str = "") -> list[str]:
        """The notes on the rows read so far, as sentences.

        Args:
            without_rules: The reason why there are no rules, where none were given.
        """
        made_of = {name: self._made_of.get(name, name) for name in self.dtypes}
        said = self.notes.make_sentences(made_of, self.rules.words, self.known)
        return said if self.carried else [f"{without_rules}: the default rules read these.", *said]

    def list_ignored(self, names: Iterable[str]) -> list[str]:
        """The columns of the rows that the model does not take, such as the label."""
        trained = self.map_trained_names(names)
        return sorted(name for name in names if trained.get(name, name) not in self._kinds)


def _has_matching_header(file: SourceFile, table: TableConfig) -> bool:
    try:
        return bool(read_csv_columns(file, table))
    except DataError:
        return False


def _refuse_bad_rows(bad: BadRows) -> None:
    if not bad.count:
        return
    count = "One row is" if bad.count == 1 else f"{bad.count} rows are"
    raise DataError(f"{count} not what the model takes:\n{format_samples(bad)}", "Mend them, or leave them out.")


def _cast_to_dtype(array: pa.Array, dtype: str) -> pa.Array:
    """As the model's input takes it: the schema may call whole numbers a float."""
    values = cast_for_examples(array)
    return values.cast(_DTYPES[dtype], safe=False) if dtype in _DTYPES and not is_text(array.type) else values
