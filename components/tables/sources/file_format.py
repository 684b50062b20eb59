"""The format of a file by its first bytes: one that is read, or another one and how to convert it."""

from __future__ import annotations

import re
import zipfile
from typing import IO

_TEXT = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*")

FOREIGN: dict[str, tuple[tuple[bytes, ...], str]] = {
    "an old Excel workbook": ((b"\xd0\xcf\x11\xe0",), "Save its sheet as csv (in Excel: Save As, CSV UTF-8)."),
    "an Arrow or Feather file": (
        (b"ARROW1", b"FEA1"),
        "Write it as Parquet: python -c 'import pyarrow.feather as f, pyarrow.parquet as p; "
        'p.write_table(f.read_table("{path}"), "rows.parquet")\'',
    ),
    "an ORC file": (
        (b"ORC",),
        "Write it as Parquet: python -c 'import pyarrow.orc as o, pyarrow.parquet as p; "
        'p.write_table(o.read_table("{path}"), "rows.parquet")\'',
    ),
    "an Avro file": ((b"Obj\x01",), "Write its rows as Parquet, csv or JSON lines, with Spark for example."),
    "an SQLite database": (
        (b"SQLite format 3\0",),
        "Write a table of it as csv: python -c 'import pandas, sqlite3; "
        'pandas.read_sql("select * from TABLE", sqlite3.connect("{path}")).to_csv("rows.csv", index=False)\'',
    ),
    "a pickle": (
        (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
        "A pickle runs code when it is read, so it is not. Where you trust it: "
        'python -c \'import pandas; pandas.read_pickle("{path}").to_parquet("rows.parquet")\'',
    ),
    "an HDF5 file": ((b"\x89HDF",), "Write its table as Parquet or csv, with pandas.read_hdf for example."),
    "a NumPy array": ((b"\x93NUMPY",), "Write it as csv, with numpy.savetxt for example, with a header."),
    "a PDF": ((b"%PDF",), "Give the table as csv."),
    "a bzip2 file": ((b"BZh",), 'Decompress it (bunzip2 "{path}"), or compress it with gzip.'),
    "an xz file": ((b"\xfd7zXZ",), 'Decompress it (unxz "{path}"), or compress it with gzip.'),
    "a Zstandard file": ((b"\x28\xb5\x2f\xfd",), 'Decompress it (unzstd "{path}"), or compress it with gzip.'),
    "a 7-Zip archive": ((b"7z\xbc\xaf",), "Unpack it first."),
    "a RAR archive": ((b"Rar!",), "Unpack it first."),
    "a Stata file": ((b"<stata_dta>",), "Write it as csv, with pandas.read_stata for example."),
    "an SPSS file": ((b"$FL2",), "Write it as csv."),
}
"""By what a file is: how it begins, and what to do with it."""
_MARKUP = re.compile(rb"(?i)<(?:!doctype html|html|head|body|table|\?xml)")
_ARFF = re.compile(rb"(?i)(?:%[^\n]*\n|\s)*@relation")
_INSIDE_ZIP = {
    "an Excel workbook": ("xl/workbook.xml", "xl/workbook.bin"),
    "an OpenDocument table": ("content.xml",),
    "a NumPy archive": (".npy",),
}


def detect_foreign_file(start: bytes, path: str, is_configured: bool = False) -> tuple[str, str] | None:
    """What a file is that is not read, and what to do with it; None for anything else.

    Args:
        start: Its first bytes, decompressed; a hundred are enough but for comments.
        path: The path, for the commands.
        is_configured: Whether the configuration says the format: then text is taken as that.
    """
    for what, (magics, remedy) in FOREIGN.items():
        if start.startswith(magics):
            return what, remedy.replace("{path}", path)
    if start[257:262] == b"ustar":
        return "a tar archive", "Unpack it first, and give the folder."
    if start.startswith(b"bplist"):
        return "a property list", "Give the table as csv."
    if is_configured:
        return None
    text = start[_TEXT.match(start).end() :]  # type: ignore[union-attr]
    if _MARKUP.match(text):
        what = "an XML file" if text[:5].lower() == b"<?xml" else "an HTML page"
        return what, "Is it an error page instead of the data? Give the table as csv, Parquet or JSON lines."
    if _ARFF.match(text):
        return (
            "an ARFF file",
            f"Its lines below @data are csv: sed '1,/^@data/Id' \"{path}\" > rows.csv. Its columns are then called "
            "column_0, column_1 ...: data.csv.names has better names for them.",
        )
    return None


def detect_foreign_archive(archive: zipfile.ZipFile) -> tuple[str, str] | None:
    """As `detect_foreign_file`, for a zip archive that is a document."""
    names = archive.namelist()
    for what, marks in _INSIDE_ZIP.items():
        if any(name.endswith(marks) for name in names) and (what != "an OpenDocument table" or "mimetype" in names):
            return what, "Save its sheet as csv (in Excel: Save As, CSV UTF-8), or its table as Parquet."
    return None


def detect_format(start: bytes) -> str:
    """The format that the first bytes show; text is csv unless it begins as JSON does. Empty: none that is read."""
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "csv"
    if _is_tfrecord(start):
        return "tfrecord"
    if b"\0" in start:
        return ""
    text = start[_TEXT.match(start).end() :]  # type: ignore[union-attr]
    return "jsonl" if re.match(rb'\{\s*"|\{\s*$|\[\s*[\{\]]', text[:200]) else "csv"


def _is_tfrecord(start: bytes) -> bool:
    """Whether a TFRecord of a `tf.Example` begins here: its length, 4 bytes of checksum, the field `features`."""
    length = int.from_bytes(start[:8], "little")
    return len(start) > 13 and 2 <= length < 1 << 31 and start[12:13] == b"\n"


def read_start(stream: IO[bytes], size: int = 4096) -> bytes:
    """The first bytes of a file, fewer where it is damaged further on."""
    try:
        return stream.read(size)
    except (OSError, EOFError):
        return b""
