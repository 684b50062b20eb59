"""Files as streams of Arrow record batches: one reader a format, one set of errors.

A reader yields batches of at most a few MiB: csv as text (`binary`, missing values already null), the other formats
in their own types. Nothing holds a whole file, but Parquet and text inside an archive that must be sought in.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import itertools
import json
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from components.errors import DataError, close_matches
from components.tables import arrow_files
from components.tables.bad_rows import BadRows
from components.tables.columns import UnsupportedColumnError, is_text
from components.tables.config import CsvConfig, TableConfig
from components.tables.csv_stream import TooManyCellsError, read_batches
from components.tables.files import SourceFile, folder_columns, open_archive, open_binary
from components.tables.json_rows import json_rows

BLOCK_BYTES = 4 << 20
"""Of text read at once; also the longest row."""
BATCH_ROWS = 16_384
_HEADER_BYTES = 1 << 20
_NUL_SHOWN = "\u2400"
_LINE_END = re.compile(r"\r\n|\n|\r")

Reader = Callable[[SourceFile, TableConfig, "tuple[str, ...] | None", BadRows], Iterator[pa.RecordBatch]]


def read(file: SourceFile, data: TableConfig, columns: Iterable[str] | None, bad: BadRows) -> Iterator[pa.RecordBatch]:
    """The rows of a file.

    Args:
        file: What to read.
        data: How it is written.
        columns: Only these, or None for all but `data.leave_out`. A column that the file does not have is an error.
        bad: Takes the rows that cannot be read.

    Raises:
        DataError: the file cannot be read at all.
    """
    wanted = None if columns is None else tuple(columns)
    folders = folder_columns(file, data)
    inside = wanted if wanted is None else tuple(name for name in wanted if name not in folders) or None
    with readable(file):
        for batch in READERS[file.format](file, data, inside, bad):
            yield _with_folders(_without_null_words(batch, data), folders, data, wanted)


def column_names(file: SourceFile, data: TableConfig) -> list[str]:
    """The columns of a file, as far as its first rows show them."""
    if file.format == "csv":
        return [*csv_columns(file, data), *folder_columns(file, data)]
    if file.format == "parquet" and not file.compression:
        with readable(file), open_rows(file) as stream:
            return [*arrow_files.open_parquet(stream, file.name).schema_arrow.names, *folder_columns(file, data)]
    batch = next(read(file, data.model_copy(update={"leave_out": ()}), None, BadRows()), None)
    return [] if batch is None else list(batch.schema.names)


def _with_folders(
    batch: pa.RecordBatch, folders: dict[str, str | None], data: TableConfig, wanted: tuple[str, ...] | None
) -> pa.RecordBatch:
    """The batch with the columns that the names of its folders give; one of the file's own has precedence."""
    if not folders:
        return batch
    arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
    for name, text in folders.items():
        if name not in arrays and name not in (data.leave_out if wanted is None else ()):
            value = None if text is None else text.encode()
            arrays[name] = pa.array([value] * batch.num_rows, pa.binary())
    kept = list(arrays) if wanted is None else [name for name in wanted if name in arrays]
    return pa.RecordBatch.from_arrays([arrays[name] for name in kept], names=kept)


def _without_null_words(batch: pa.RecordBatch, data: TableConfig) -> pa.RecordBatch:
    """The batch with the words of `data.null_values` as missing values, in columns of text."""
    named = [name for name in data.null_values if name in batch.schema.names]
    if not named:
        return batch
    arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
    for name in named:
        arrays[name] = without_words(arrays[name], data.null_values[name])
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def without_words(array: pa.Array, words: Iterable[str]) -> pa.Array:
    """Text with these words as missing values; other arrays as they are."""
    if pa.types.is_dictionary(array.type) and is_text(array.type.value_type):
        array = array.cast(array.type.value_type)
    if not is_text(array.type):
        return array
    binary = array.cast(pa.binary()) if not pa.types.is_large_string(array.type) else array.cast(pa.large_binary())
    listed = pa.array([word.encode() for word in words], binary.type)
    return pc.if_else(pc.is_in(binary, value_set=listed), pa.scalar(None, binary.type), binary)


@contextlib.contextmanager
def readable(file: SourceFile) -> Iterator[None]:
    """What libraries raise for unreadable files, as a DataError with the file's name."""
    try:
        yield
    except TooManyCellsError as error:
        raise DataError(f"{file.name} cannot be read as {file.format}: {error}.", _remedy(file)) from error
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(f"{file.name} cannot be read as {file.format}: {_first_line(error)}", _remedy(file)) from error
    except (UnicodeError, csv.Error, OverflowError) as error:
        raise DataError(f"{file.name}: the text cannot be decoded: {_first_line(error)}", _remedy(file)) from error


_TENSORFLOWS_OWN = re.compile(r"\{\{[^}]*\}\}|\[Op:\w+\]( name:)?")


def _first_line(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0] or type(error).__name__
    text = _TENSORFLOWS_OWN.sub("", text).strip()
    if "straddles two block boundaries" in text:  # Arrow's words, with a remedy that is none here
        text = f"a row is longer than {BLOCK_BYTES >> 20} MiB"
    return text if text.endswith(".") else f"{text}."


def _remedy(file: SourceFile) -> str:
    if file.format == "csv":
        return (
            "Look for a quote that is not closed, a row longer than 4 MiB, or another encoding (data.csv.encoding); "
            "a damaged archive must be made again."
        )
    return f"Is it really {file.format}, whole and not half written? data.format says how it is read."


def open_rows(file: SourceFile) -> IO[bytes]:
    """The file's bytes, decompressed."""
    if file.compression == "zip":
        return open_archive(file.path).open(file.member)
    raw = open_binary(file.path)
    return gzip.open(raw) if file.compression == "gzip" else raw  # type: ignore[return-value]


# csv


def read_csv(
    file: SourceFile, data: TableConfig, columns: tuple[str, ...] | None, bad: BadRows
) -> Iterator[pa.RecordBatch]:
    """Batches of `binary` columns."""
    names = csv_columns(file, data)
    kept = _kept(names, data, columns, file)
    # A footer is known by its first cell. And no column at all would mean every column to Arrow.
    read_too = [names[0]] if names[0] not in kept and (data.csv.footer or not kept) else []

    blank_lines = _blank_lines(file, data)
    above = blank_lines + data.csv.skip_lines + data.csv.header + data.csv.skip_after_header

    def note(row: Any) -> str:
        _note_ragged(row, file, above, bad)
        return "skip"

    with open_rows(file) as stream:
        batches = read_batches(
            stream,
            data.csv.encoding,
            len(names),
            read_options=_read_options(names, data.csv, blank_lines),
            parse_options=pa_csv.ParseOptions(
                delimiter=delimiter(file, data.csv),
                quote_char=data.csv.quote or False,
                newlines_in_values=True,
                invalid_row_handler=note,
            ),
            convert_options=pa_csv.ConvertOptions(
                check_utf8=False,
                column_types={name: pa.binary() for name in names},
                include_columns=[*kept, *read_too],
                null_values=_words_for_all(data),
                strings_can_be_null=True,
            ),
        )
        for batch in batches:
            yield _csv_batch(batch, names[0], kept, data, bad)


def _words_for_all(data: TableConfig) -> list[str]:
    """The null words that Arrow's reader may look for: those of every column, where cells are not trimmed first."""
    if data.csv.trim:
        return [""]
    return [word for word in data.csv.null_values if all(word in own for own in data.null_values.values())]


def _csv_batch(batch: pa.RecordBatch, first: str, kept: list[str], data: TableConfig, bad: BadRows) -> pa.RecordBatch:
    """The batch without footers, which are counted, trimmed, with the null words that Arrow's reader was not told."""
    if not (data.csv.footer or data.csv.trim or data.null_values):
        return batch
    if data.csv.footer:
        cells = pc.ascii_trim_whitespace(batch.column(batch.schema.get_field_index(first)).view(pa.string()))
        is_footer = pc.is_in(cells, value_set=pa.array(data.csv.footer, pa.string()))
        rows = pa.Table.from_batches([batch]).filter(pc.invert(is_footer)).combine_chunks()
        bad.footers += batch.num_rows - rows.num_rows
        batch = _one_batch(rows)
    arrays = [_csv_cells(batch.column(batch.schema.get_field_index(name)), name, data) for name in kept]
    return pa.RecordBatch.from_arrays(arrays, names=kept) if kept else batch


def _csv_cells(array: pa.Array, name: str, data: TableConfig) -> pa.Array:
    if data.csv.trim:
        array = pc.ascii_trim_whitespace(array.view(pa.string())).view(pa.binary())
    return array if name in data.null_values else without_words(array, data.csv.null_values)


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.to_batches()
    if batches:
        return batches[0]
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in table.schema], names=table.schema.names)


def _note_ragged(row: Any, file: SourceFile, lines_above: int, bad: BadRows) -> None:
    text = row.text or ""
    lines = max(1, text.rstrip("\n").count("\n") + 1)  # a quote that is not closed swallows rows: each one is lost
    reason = f"{row.actual_columns} cells, {row.expected_columns} columns"
    if lines > 1:
        reason += f", in {lines} lines: a quote that is not closed?"
    bad.add(file.name, None if row.number is None else row.number - lines_above, reason, text, lines)


def _blank_lines(file: SourceFile, data: TableConfig) -> int:
    """Lines without text above the first row, which Arrow's reader would take for the header."""
    text = after_lines(_decoded_start(file, data), data.csv.skip_lines)
    return len(_LINE_END.findall(text[: len(text) - len(text.lstrip())]))


def _decoded_start(file: SourceFile, data: TableConfig) -> str:
    with readable(file), open_rows(file) as stream:
        return stream.read(_HEADER_BYTES).decode(data.csv.encoding, "replace").removeprefix("\ufeff")


def _read_options(names: list[str], config: CsvConfig, blank_lines: int) -> pa_csv.ReadOptions:
    return pa_csv.ReadOptions(
        # One thread: only so are the numbers of bad rows known, and parsing is the smallest part of the work.
        use_threads=False,
        block_size=BLOCK_BYTES,
        column_names=names,
        skip_rows=config.skip_lines + blank_lines,
        skip_rows_after_names=config.header + config.skip_after_header,
    )


def delimiter(file: SourceFile, config: CsvConfig) -> str:
    """The configured delimiter; a tab for .tsv unless another is configured."""
    name = (file.member or file.path).lower().removesuffix(".gz")
    return "\t" if name.endswith(".tsv") and config.delimiter == "," else config.delimiter


def csv_columns(file: SourceFile, data: TableConfig) -> list[str]:
    """The names in the header, or the configured ones.

    Raises:
        DataError: no header, or names that cannot be told apart.
    """
    start = _decoded_start(file, data)
    if len(start) == _HEADER_BYTES and "\n" not in start and "\r" not in start:
        raise DataError(
            f"{file.name}: the first row is longer than {_HEADER_BYTES >> 20} MiB.",
            "Give a file with one row a line, the first of which names the columns.",
        )
    first = _first_record(start, file, data)
    names = list(data.csv.names) or _named(first)
    if len(names) != len(first):
        raise DataError(
            f"{file.name}: data.csv.names has {len(names)} names, the first row {len(first)} cells.",
            "Name every column, in order.",
        )
    return _check_names(names, file, data)


def _first_record(start: str, file: SourceFile, data: TableConfig) -> list[str]:
    with readable(file):
        text = after_lines(start, data.csv.skip_lines)
        csv.field_size_limit(_HEADER_BYTES)
        options: dict[str, Any] = {"quotechar": data.csv.quote} if data.csv.quote else {"quoting": csv.QUOTE_NONE}
        lines = io.StringIO(text.replace("\0", _NUL_SHOWN), newline="")  # csv refuses NUL without naming the file
        rows = csv.reader(lines, delimiter=delimiter(file, data.csv), **options)
        first = next((row for row in rows if any(cell.strip() for cell in row)), [])
    if not first:
        raise DataError(f"{file.name} is empty.", "Give a file with a header and rows.")
    if any(_NUL_SHOWN in name or "\ufffd" in name for name in first):
        raise DataError(
            f"{file.name}: the first row is not text in {data.csv.encoding}: it holds NUL or other bytes.",
            "Set data.csv.encoding (utf-16, latin-1), or data.format if it is no csv file.",
        )
    return first


def after_lines(text: str, count: int) -> str:
    """The text after so many lines, which end as Arrow's reader ends them."""
    if not count:
        return text
    ends = [match.end() for match in itertools.islice(_LINE_END.finditer(text), count)]
    return text[ends[-1] :] if len(ends) == count else ""


def _named(first: list[str]) -> list[str]:
    """Headers as they are; the empty one that pandas writes over its index gets a name."""
    return [name.strip() or f"unnamed_{i}" for i, name in enumerate(first)]


def _check_names(names: list[str], file: SourceFile, data: TableConfig) -> list[str]:
    doubles = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubles:
        raise DataError(
            f"{file.name}: two columns have the name {doubles[0]!r}.",
            "Rename one. A file without a header needs data.csv.header: false and data.csv.names.",
        )
    others = [c for c in ";\t|," if c != delimiter(file, data.csv) and c in names[0]]
    if len(names) == 1 and others:
        raise DataError(
            f"{file.name}: with the delimiter {delimiter(file, data.csv)!r} it has one column, {names[0][:60]!r}.",
            f"Set data.csv.delimiter, to {others[0]!r} perhaps.",
        )
    return names


def _kept(names: Iterable[str], data: TableConfig, columns: tuple[str, ...] | None, file: SourceFile) -> list[str]:
    """The columns to read, in the file's order."""
    names = list(names)
    for name in columns or ():
        if name not in names:
            raise DataError(f"{file.name} has no column {name!r}.", close_matches(name, names))
    return [n for n in names if (columns is None and n not in data.leave_out) or (columns and n in columns)]


# jsonl


def read_jsonl(
    file: SourceFile, data: TableConfig, columns: tuple[str, ...] | None, bad: BadRows
) -> Iterator[pa.RecordBatch]:
    """One JSON object a line, or one array of objects. A key that a row lacks is a missing value."""
    with open_rows(file) as stream:
        rows = json_rows(stream, file.name, bad)
        while batch := list(itertools.islice(rows, BATCH_ROWS)):
            yield _json_batch(batch, data, columns)


def _json_batch(rows: list[dict[str, Any]], data: TableConfig, columns: tuple[str, ...] | None) -> pa.RecordBatch:
    names = list(dict.fromkeys(name for row in rows for name in row))
    kept = [n for n in names if n not in data.leave_out] if columns is None else list(columns)
    return pa.RecordBatch.from_arrays([_json_array([row.get(n) for row in rows]) for n in kept], names=kept)


def rows_batch(rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """Rows of Python values, as the lines of a JSON lines file become a batch."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    arrays = [_json_array([row.get(name) for row in rows]) for name in names]
    return pa.RecordBatch.from_arrays(arrays, names=names)


def _json_array(values: list[Any]) -> pa.Array:
    """Values of one type, whole numbers and fractions as float, anything mixed as text."""
    types = {type(value) for value in values} - {type(None)}
    with contextlib.suppress(pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        if types <= {int, float}:
            return pa.array(values, pa.float64() if float in types else None)
        if len(types) == 1:
            return pa.array(values)
    texts = [v if isinstance(v, str) or v is None else json.dumps(v) for v in values]
    return pa.array([None if t is None else t.encode("utf-8", "replace") for t in texts], pa.binary())


# parquet


def read_parquet(
    file: SourceFile, data: TableConfig, columns: tuple[str, ...] | None, bad: BadRows
) -> Iterator[pa.RecordBatch]:
    """Batches in the file's own types. A damaged file is an error, never a bad row."""
    del bad
    with open_rows(file) as stream:
        source = io.BytesIO(stream.read()) if file.compression else stream
        parquet = arrow_files.open_parquet(source, file.name)
        names = parquet.schema_arrow.names
        doubles = [name for name, count in Counter(names).items() if count > 1]
        if doubles:
            raise DataError(f"{file.name}: two columns have the name {doubles[0]!r}.", "Rename one.")
        yield from parquet.iter_batches(batch_size=BATCH_ROWS, columns=_kept(names, data, columns, file))


# tfrecord


def read_tfrecord(
    file: SourceFile, data: TableConfig, columns: tuple[str, ...] | None, bad: BadRows
) -> Iterator[pa.RecordBatch]:
    """Serialized `tf.Example`s; a record that is none is a bad row, a damaged file an error."""
    import tensorflow as tf  # slow to import, and needed for this format only
    from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

    decoder = ExamplesToRecordBatchDecoder()
    dataset = tf.data.TFRecordDataset(file.path, compression_type="GZIP" if file.compression == "gzip" else "")
    number = 0
    try:
        for records in dataset.batch(2048).as_numpy_iterator():
            good = _examples(list(records), number, file, bad)
            number += len(records)
            if good:
                yield _flat(decoder.DecodeBatch(good), data, columns, file)
    except tf.errors.OpError as error:
        raise DataError(f"{file.name} is damaged: {_first_line(error)}", _remedy(file)) from error


def _examples(records: list[bytes], before: int, file: SourceFile, bad: BadRows) -> list[bytes]:
    """The records that are examples."""
    good = []
    for number, record in enumerate(records, before + 1):
        reason = _why_no_example(record)
        if reason:
            bad.add(file.name, number, f"no tf.Example ({reason})", record[:100].decode("utf-8", "replace"))
        else:
            good.append(record)
    return good


def _why_no_example(record: bytes) -> str:
    from google.protobuf.message import DecodeError
    from tensorflow.core.example.example_pb2 import Example

    try:
        return "" if Example.FromString(record).features.feature else "it has no features"
    except DecodeError as error:
        return str(error)


def _flat(
    batch: pa.RecordBatch, data: TableConfig, columns: tuple[str, ...] | None, file: SourceFile
) -> pa.RecordBatch:
    """Columns of lists with at most one value as columns of values."""
    kept = [n for n in batch.schema.names if n not in data.leave_out] if columns is None else list(columns)
    return pa.RecordBatch.from_arrays([_single(batch, name, file) for name in kept], names=kept)


def _single(batch: pa.RecordBatch, name: str, file: SourceFile) -> pa.Array:
    index = batch.schema.get_field_index(name)
    column = pa.nulls(batch.num_rows) if index < 0 else batch.column(index)
    if pa.types.is_null(column.type):
        return column
    lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    if lengths.max(initial=0) > 1:
        raise UnsupportedColumnError(
            f"{file.name}: feature {name!r} holds {lengths.max()} values in one example; a column has one.",
            f"Leave it out (data.leave_out: [{name}]), or write one feature a value.",
            name,
            f"holds {lengths.max()} values in one example",
        )
    positions = lengths.cumsum() - 1
    return column.flatten().take(pa.array(positions, pa.int64(), mask=lengths == 0))


READERS: dict[str, Reader] = {
    "csv": read_csv,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
    "tfrecord": read_tfrecord,
}
