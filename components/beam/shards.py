"""Files of records, spread evenly over the workers of an engine.

`beam.io.ReadFromTFRecord` is one source: on Flink one subtask reads all of its files (beam#21222). Here each file is an
element of its own, and engines deal elements out in turn after a `Reshuffle`, which `beam.Create` ends with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems

from taxiway.components.errors import DataError
from taxiway.components.files.tfrecord_files import read_records

_RECORDS_AT_ONCE = 1024


class SpreadFiles(beam.PTransform):
    """The paths that match, one element a file, spread over the workers.

    Put a function that reads a whole file behind it: it runs where the file's path went. One shuffle, not two: a
    second one could undo the even spread of the first.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        """Takes the places of the files.

        Args:
            patterns: Paths or patterns of Beam's file systems, matched when the pipeline is built.
        """
        super().__init__()
        self._patterns = tuple(patterns)

    def expand(self, pipeline: beam.pvalue.PBegin) -> beam.PCollection:
        """Returns a collection of `str`; raises `DataError` where a pattern matches no file."""
        return pipeline | "Files" >> beam.Create(list_files(self._patterns))


class ReadRecords(beam.PTransform):
    """The records of TFRecord files, `bytes` each, gzip or not."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Takes the places of the files; see `SpreadFiles`."""
        super().__init__()
        self._patterns = tuple(patterns)

    def expand(self, pipeline: beam.pvalue.PBegin) -> beam.PCollection:
        """Returns a collection of `bytes`; raises `DataError` where a pattern matches no file."""
        files = pipeline | "SpreadFiles" >> SpreadFiles(self._patterns)
        return files | "ReadFile" >> beam.FlatMap(_read_file).with_output_types(bytes)


def list_files(patterns: Sequence[str]) -> list[str]:
    """The files of all patterns, in the order of their names.

    Raises:
        DataError: A pattern matches no file.
    """
    files: list[str] = []
    for pattern, match in zip(patterns, FileSystems.match(list(patterns)), strict=True):
        if not match.metadata_list:
            raise DataError(f"No file matches {pattern!r}.", "Run the step again that writes these files.")
        files.extend(found.path for found in match.metadata_list)
    return sorted(files)


def _read_file(path: str) -> Iterator[bytes]:
    for records in read_records(path, _RECORDS_AT_ONCE):
        yield from records
