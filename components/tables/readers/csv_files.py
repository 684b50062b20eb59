"""Csv files as batches of text."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from taxiway.components.errors import DataError
from taxiway.components.tables.columns.texts import mask_null_words, trim_texts
from taxiway.components.tables.config import CsvConfig, TableConfig
from taxiway.components.tables.readers.bad_rows import BadRows
from taxiway.components.tables.readers.column_choice import select_file_columns
from taxiway.components.tables.readers.csv_stream import read_csv_batches
from taxiway.components.tables.readers.read_errors import BLOCK_BYTES, explain_read_errors
from taxiway.components.tables.sources.open_files import open_decompressed, open_part
from taxiway.components.tables.sources.source_file import SourceFile

_HEADER_BYTES = 1 << 20
_NUL_SHOWN = "\u2400"
_LINE_END = re.compile(r"\r\n|\n|\r")


def read_csv(
    file: SourceFile, data: TableConfig, columns: tuple[str, ...] | None, bad: BadRows
) -> Iterator[pa.RecordBatch]:
    """Batches of `binary` columns."""
    names = read_csv_columns(file, data)
    kept = select_file_columns(names, data, columns, file)
    # A footer is known by its first cell. And no column at all would mean every column to Arrow.
    read_too = [names[0]] if names[0] not in kept and (data.csv.footer or not kept) else []

    blank_lines = 0 if file.start else _count_blank_lines(file, data)
    above = blank_lines + data.csv.skip_lines + data.csv.header + data.csv.skip_after_header

    def skip_ragged_row(row: Any) -> str:
        _record_ragged_row(row, file, above, bad)
        return "skip"

    with open_part(file) as stream:
        batches = read_csv_batches(
            stream,
            data.csv.encoding,
            len(names),
            read_options=_make_read_options(names, data.csv, blank_lines, file),
            parse_options=pa_csv.ParseOptions(
                delimiter=choose_delimiter(file, data.csv),
                quote_char=data.csv.quote or False,
                newlines_in_values=True,
                invalid_row_handler=skip_ragged_row,
            ),
            convert_options=pa_csv.ConvertOptions(
                check_utf8=False,
                column_types={name: pa.binary() for name in names},
                include_columns=[*kept, *read_too],
                null_values=_list_common_null_words(data),
                strings_can_be_null=True,
            ),
        )
        for batch in batches:
            yield _clean_csv_batch(batch, names[0], kept, data, bad)


def _list_common_null_words(data: TableConfig) -> list[str]:
    """The null words that Arrow's reader may look for: those of every column, where cells are not trimmed first."""
    if data.csv.trim:
        return [""]
    return [word for word in data.csv.null_values if all(word in own for own in data.null_values.values())]


def _clean_csv_batch(
    batch: pa.RecordBatch, first: str, kept: list[str], data: TableConfig, bad: BadRows
) -> pa.RecordBatch:
    """The batch without footers, which are counted, trimmed, with the null words that Arrow's reader was not told."""
    if not (data.csv.footer or data.csv.trim or data.null_values):
        return batch
    if data.csv.footer:
        cells = pc.ascii_trim_whitespace(batch.column(batch.schema.get_field_index(first)).view(pa.string()))
        is_footer = pc.is_in(cells, value_set=pa.array(data.csv.footer, pa.string()))
        rows = pa.Table.from_batches([batch]).filter(pc.invert(is_footer)).combine_chunks()
        bad.footers += batch.num_rows - rows.num_rows
        batch = _convert_table(rows)
    arrays = [_clean_csv_cells(batch.column(batch.schema.get_field_index(name)), name, data) for name in kept]
    return pa.RecordBatch.from_arrays(arrays, names=kept) if kept else batch


def _clean_csv_cells(array: pa.Array, name: str, data: TableConfig) -> pa.Array:
    if data.csv.trim:
        array = trim_texts(array)
    return array if name in data.null_values else mask_null_words(array, data.csv.null_values)


def _convert_table(table: pa.Table) -> pa.RecordBatch:
    batches = table.to_batches()
    if batches:
        return batches[0]
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in table.schema], names=table.schema.names)


def _record_ragged_row(row: Any, file: SourceFile, lines_above: int, bad: BadRows) -> None:
    text = row.text or ""
    lines = max(1, text.rstrip("\n").count("\n") + 1)  # a quote that is not closed swallows rows: each one is lost
    reason = f"{row.actual_columns} cells, {row.expected_columns} columns"
    if lines > 1:
        reason += f", in {lines} lines: a quote that is not closed?"
    unknown = row.number is None or file.start > 0  # of a later part of the file
    bad.add_row(file.name, None if unknown else row.number - lines_above, reason, text, lines)


def _count_blank_lines(file: SourceFile, data: TableConfig) -> int:
    """Lines without text above the first row, which Arrow's reader would take for the header."""
    text = drop_lines(_read_decoded_start(file, data), data.csv.skip_lines)
    return len(_LINE_END.findall(text[: len(text) - len(text.lstrip())]))


def _read_decoded_start(file: SourceFile, data: TableConfig) -> str:
    with explain_read_errors(file), open_decompressed(file) as stream:
        return stream.read(_HEADER_BYTES).decode(data.csv.encoding, "replace").removeprefix("\ufeff")


def _make_read_options(names: list[str], config: CsvConfig, blank_lines: int, file: SourceFile) -> pa_csv.ReadOptions:
    above, below = config.skip_lines + blank_lines, config.header + config.skip_after_header
    return pa_csv.ReadOptions(
        # One thread: only so are the numbers of bad rows known, and parsing is the smallest part of the work.
        use_threads=False,
        block_size=BLOCK_BYTES,
        column_names=names,
        skip_rows=0 if file.start else above,
        skip_rows_after_names=0 if file.start else below,
    )


def choose_delimiter(file: SourceFile, config: CsvConfig) -> str:
    """The configured delimiter; a tab for .tsv unless another is configured."""
    name = (file.member or file.path).lower().removesuffix(".gz")
    return "\t" if name.endswith(".tsv") and config.delimiter == "," else config.delimiter


def read_csv_columns(file: SourceFile, data: TableConfig) -> list[str]:
    """The names in the header, or the configured ones.

    Raises:
        DataError: no header, or names that cannot be told apart.
    """
    start = _read_decoded_start(file, data)
    if len(start) == _HEADER_BYTES and "\n" not in start and "\r" not in start:
        raise DataError(
            f"{file.name}: the first row is longer than {_HEADER_BYTES >> 20} MiB.",
            "Give a file with one row a line, the first of which names the columns.",
        )
    first = _read_first_record(start, file, data)
    names = list(data.csv.names) or _name_columns(first)
    if len(names) != len(first):
        raise DataError(
            f"{file.name}: data.csv.names has {len(names)} names, the first row {len(first)} cells.",
            "Name every column, in order.",
        )
    return _check_column_names(names, file, data)


def _read_first_record(start: str, file: SourceFile, data: TableConfig) -> list[str]:
    with explain_read_errors(file):
        text = drop_lines(start, data.csv.skip_lines)
        csv.field_size_limit(_HEADER_BYTES)
        options: dict[str, Any] = {"quotechar": data.csv.quote} if data.csv.quote else {"quoting": csv.QUOTE_NONE}
        lines = io.StringIO(text.replace("\0", _NUL_SHOWN), newline="")  # csv refuses NUL without naming the file
        rows = csv.reader(lines, delimiter=choose_delimiter(file, data.csv), **options)
        first = next((row for row in rows if any(cell.strip() for cell in row)), [])
    if not first:
        raise DataError(f"{file.name} is empty.", "Give a file with a header and rows.")
    if any(_NUL_SHOWN in name or "\ufffd" in name for name in first):
        raise DataError(
            f"{file.name}: the first row is not text in {data.csv.encoding}: it holds NUL or other bytes.",
            "Set data.csv.encoding (utf-16, latin-1), or data.format if it is no csv file.",
        )
    return first


def drop_lines(text: str, count: int) -> str:
    """The text after so many lines, which end as Arrow's reader ends them."""
    if not count:
        return text
    ends = [match.end() for match in itertools.islice(_LINE_END.finditer(text), count)]
    return text[ends[-1] :] if len(ends) == count else ""


def _name_columns(first: list[str]) -> list[str]:
    """Headers as they are; the empty one that pandas writes over its index gets a name."""
    return [name.strip() or f"unnamed_{i}" for i, name in enumerate(first)]


def _check_column_names(names: list[str], file: SourceFile, data: TableConfig) -> list[str]:
    doubles = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubles:
        raise DataError(
            f"{file.name}: two columns have the name {doubles[0]!r}.",
            "Rename one. A file without a header needs data.csv.header: false and data.csv.names.",
        )
    others = [c for c in ";\t|," if c != choose_delimiter(file, data.csv) and c in names[0]]
    if len(names) == 1 and others:
        raise DataError(
            f"{file.name}: with the delimiter {choose_delimiter(file, data.csv)!r} it has one column, "
            f"{names[0][:60]!r}.",
            f"Set data.csv.delimiter, to {others[0]!r} perhaps.",
        )
    return names
