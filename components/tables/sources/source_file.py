"""One file of rows, and the columns that its folders give."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from taxiway.components.tables.config import SPAN_PLACEHOLDER, TableConfig
from taxiway.components.text.lists import join_first


@dataclass(frozen=True)
class SourceFile:
    """One file of rows.

    Attributes:
        path: The path: local, or a URL that TensorFlow's file system knows (`gs://`).
        format: csv, parquet, jsonl or tfrecord.
        compression: "", gzip or zip.
        span: The number that stood for `{SPAN}`; 0 where the path has none.
        member: The file inside a zip archive.
        start, end: What of the file is read (`file_ranges`): bytes of csv, row groups of Parquet; an `end` of 0 is the
            file's.
    """

    path: str
    format: str
    compression: str = ""
    span: int = 0
    member: str = ""
    start: int = 0
    end: int = 0

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"{self.path}:{self.member}" if self.member else self.path


NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""What Hive and Spark call the folder of the rows that have no value."""


def parse_folder_columns(file: SourceFile, data: TableConfig) -> dict[str, str | None]:
    """Columns that the folders just above a file give, `year=2024/region=north/`, as Hive and Spark write them.

    The number of a span, as in `day={SPAN}`, is no column: it would be another one in every run.
    """
    columns: dict[str, str | None] = {}
    for folder in reversed(file.path.split("/")[:-1]):
        name, equals, value = folder.partition("=")
        if not (name and equals):
            break
        if f"{name}={SPAN_PLACEHOLDER}" not in data.path:
            columns[unquote(name)] = None if value == NO_VALUE else unquote(value)
    return dict(reversed(list(columns.items())))


def join_file_names(files: Iterable[SourceFile]) -> str:
    """The first few files, for a message."""
    return join_first(list(dict.fromkeys(file.name for file in files)), 3)
