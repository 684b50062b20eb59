"""Compares all rows before one is written: which are equal, and where the places of each class are cut.

Each file's hashes are kept in files of a workspace for as long as the ingest runs (34 bytes a row), as they come and
sorted. They are compared in ranges of hashes, so that the memory of the comparison does not grow with the number of
rows; the hashes of one file are the largest thing that is held at once (about 26 bytes a row).
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taxiway.components.errors import DataError
from taxiway.components.example_gen.config import SplitConfig
from taxiway.components.example_gen.splits.occurrences import (
    OccurrenceCounter,
    compute_places,
    find_known,
    mask_run_starts,
    rank_in_runs,
)
from taxiway.components.example_gen.splits.split import EVAL, TEST, TRAIN
from taxiway.components.example_gen.splits.strata import CutFinder, compute_cut_ranks
from taxiway.components.example_gen.writing import explain_write_errors
from taxiway.components.tables.sources.open_files import is_remote, open_binary

RANGE_ROWS = 1 << 21
"""Rows that are compared at once, about."""
PIECE_ROWS = 1 << 18
"""Hashes that are read at once where they are used in the order of the rows."""


class Workspace:
    """Arrays of the stages, by name: what is too much for the JSON that stages exchange."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def save_array(self, name: str, values: np.ndarray) -> None:
        """Writes an array; a Beam worker's second attempt replaces it."""
        with explain_write_errors(self._folder):
            if is_remote(self._folder):
                _save_remote(f"{self._folder}/{name}", values)
            else:
                Path(self._folder).mkdir(parents=True, exist_ok=True)
                # Raw bytes, not .npy: ranges are read by offset, from URLs too.
                values.tofile(Path(self._folder, name))

    def load_array(self, name: str, kind: Any, start: int = 0, stop: int | None = None) -> np.ndarray:
        """The array, or its values from `start` to `stop`."""
        size = np.dtype(kind).itemsize
        with open_binary(f"{self._folder}/{name}") as file:
            file.seek(start * size)
            content = file.read() if stop is None else file.read((stop - start) * size)
        return np.frombuffer(content, kind)

    def delete_folder(self) -> None:
        """Deletes everything."""
        if is_remote(self._folder):
            from tensorflow.io import gfile  # slow to import, and needed for URLs only

            if gfile.exists(self._folder):
                gfile.rmtree(self._folder)
        else:
            shutil.rmtree(self._folder, ignore_errors=True)


def _save_remote(path: str, values: np.ndarray) -> None:
    from tensorflow.io import gfile

    gfile.makedirs(path.rpartition("/")[0])
    with gfile.GFile(path, "wb") as out:
        out.write(values.tobytes())


class FileCounter:
    """The hashes of one file's rows."""

    def __init__(self) -> None:
        self._hashes: list[np.ndarray] = []
        self._features: list[np.ndarray] = []
        self._classes: list[np.ndarray] = []

    def add_batch(self, hashes: np.ndarray, features: np.ndarray, classes: np.ndarray) -> None:
        """Takes a batch: hashes of its rows with and without the label, uint64 `[rows]`, and their classes."""
        self._hashes.append(hashes)
        self._features.append(features)
        self._classes.append(classes.astype(np.uint16))

    def save_hashes(self, workspace: Workspace, part: int, ranges: int) -> dict[str, Any]:
        """Writes the arrays; returns their counts: rows of each class, and in each range of hashes."""
        features = _concatenate_batches(self._features, np.uint64)
        # Kept in both orders: in the rows' order for writing the split, sorted for the comparison by ranges.
        workspace.save_array(f"row_features-{part}", features)
        features.sort()
        workspace.save_array(f"features-{part}", features)
        features_to = _find_range_ends(features, ranges)
        # Freed before the hashes of whole rows, which are as large.
        del features
        hashes = _concatenate_batches(self._hashes, np.uint64)
        workspace.save_array(f"row_hashes-{part}", hashes)
        classes = _concatenate_batches(self._classes, np.uint16)[np.argsort(hashes)]
        hashes.sort()
        workspace.save_array(f"hashes-{part}", hashes)
        workspace.save_array(f"classes-{part}", classes)
        return {
            "classes": np.bincount(classes).tolist(),
            "hashes_to": _find_range_ends(hashes, ranges),
            "features_to": features_to,
        }


def _concatenate_batches(batches: list[np.ndarray], kind: Any) -> np.ndarray:
    joined = np.concatenate(batches) if batches else np.empty(0, kind)
    batches.clear()
    return joined


def _find_range_ends(ordered: np.ndarray, ranges: int) -> list[int]:
    """For each of so many equal ranges of uint64, where it ends in sorted hashes."""
    borders = (np.arange(1, ranges) * (2.0**64 / ranges)).astype(np.uint64)  # exact: ranges is a power of two
    return [*np.searchsorted(ordered, borders).tolist(), len(ordered)]


def count_ranges(rows: int) -> int:
    """Into how many ranges of hashes so many rows are cut: a power of two."""
    return 1 << max(0, (max(rows, 1) - 1) // RANGE_ROWS).bit_length()


@dataclass(frozen=True)
class RowComparison:
    """What is known once the rows of all files were compared.

    Attributes:
        rows: The number of rows with a label.
        equal_rows: The number of those that repeat an earlier one in every column, the label's included.
        cuts: The places at which each class is cut; see `split.assign_by_place`.
    """

    rows: int
    equal_rows: int
    cuts: list[list[int]]


def count_class_rows(saved: Sequence[Mapping[str, Any]], class_of: Sequence[Sequence[int]], classes: int) -> list[int]:
    """The rows of each class: every file numbers its classes by itself, `class_of` translates."""
    rows = np.zeros(classes, np.int64)
    for part, meaning in zip(saved, class_of, strict=True):
        np.add.at(rows, np.asarray(meaning, np.int64)[: len(part["classes"])], part["classes"])
    return [int(count) for count in rows]


def compare_rows(
    workspace: Workspace,
    saved: Sequence[Mapping[str, Any]],
    class_of: Sequence[Sequence[int]],
    config: SplitConfig,
    names: Sequence[str],
) -> RowComparison:
    """Finds equal rows over all files and cuts the places of each class.

    It leaves in the workspace what the writing of each file needs: see `FileSplitter`.

    Args:
        workspace: The workspace in which the counters saved.
        saved: The results of `FileCounter.save_hashes`, of each file in order.
        class_of: The index of the class that each number of a file means, file by file.
        config: The section `data.split`, with a share of `test`.
        names: The names of the classes.
    """
    rows = count_class_rows(saved, class_of, len(names))
    cuts = CutFinder(rows, compute_cut_ranks(config, rows, names))
    repeats = _RepeatedRows(len(saved))
    for hashes, classes, files in _iterate_ranges(workspace, saved, class_of):
        order = np.argsort(hashes, kind="stable")  # within equal rows in the order of the files
        hashes, classes, files = hashes[order], classes[order], files[order]
        numbers = rank_in_runs(hashes)
        cuts.add_places(compute_places(hashes, numbers), classes)
        repeats.add_range(hashes, numbers, files)
    repeats.save_repeats(workspace)
    workspace.save_array("repeated_features", _find_repeated_features(workspace, saved))
    return RowComparison(sum(rows), repeats.equal_rows, cuts.find_cuts())


def _iterate_ranges(
    workspace: Workspace, saved: Sequence[Mapping[str, Any]], class_of: Sequence[Sequence[int]]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Range by range, the hashes, classes and files of the rows: each file's are sorted, together they are not."""
    starts = [0] * len(saved)
    for stops in zip(*(part["hashes_to"] for part in saved), strict=True):
        limits = list(zip(starts, stops, strict=True))
        hashes = [workspace.load_array(f"hashes-{i}", np.uint64, *limit) for i, limit in enumerate(limits)]
        own = [workspace.load_array(f"classes-{i}", np.uint16, *limit) for i, limit in enumerate(limits)]
        classes = [np.asarray(meaning, np.int32)[part] for meaning, part in zip(class_of, own, strict=True)]
        lengths = [stop - start for start, stop in limits]
        yield np.concatenate(hashes), np.concatenate(classes), np.repeat(np.arange(len(saved), dtype=np.int32), lengths)
        starts = list(stops)


class _RepeatedRows:
    """Rows that are there more than once: for each file which of its rows are, and how many files before have."""

    def __init__(self, files: int) -> None:
        self.equal_rows = 0
        self._hashes: list[list[np.ndarray]] = [[] for _ in range(files)]
        self._numbers: list[list[np.ndarray]] = [[] for _ in range(files)]

    def add_range(self, hashes: np.ndarray, numbers: np.ndarray, files: np.ndarray) -> None:
        """Adds a range of rows sorted by hash; `numbers` counts within equal hashes, `files` has each row's file."""
        self.equal_rows += int((numbers > 0).sum())
        # A hash occurs more than once if a row is not the first of its run, or the next row is not.
        several = numbers > 0
        several[:-1] |= numbers[1:] > 0
        hashes, numbers, files = hashes[several], numbers[several], files[several]
        # Within a run rows are in the order of files: one entry for each file in which the hash occurs.
        first = mask_run_starts(files) | (numbers == 0)
        for file in np.unique(files).tolist():
            own = first & (files == file)
            self._hashes[file].append(hashes[own])
            self._numbers[file].append(numbers[own])

    def save_repeats(self, workspace: Workspace) -> None:
        for file, (hashes, numbers) in enumerate(zip(self._hashes, self._numbers, strict=True)):
            workspace.save_array(f"repeated-{file}", _concatenate_batches(hashes, np.uint64))
            workspace.save_array(f"first-{file}", _concatenate_batches(numbers, np.int64))


def _find_repeated_features(workspace: Workspace, saved: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """The sorted hashes of features that more than one row has."""
    repeated, starts = [], [0] * len(saved)
    for stops in zip(*(part["features_to"] for part in saved), strict=True):
        limits = enumerate(zip(starts, stops, strict=True))
        values = np.sort(
            np.concatenate([workspace.load_array(f"features-{i}", np.uint64, *limit) for i, limit in limits])
        )
        repeated.append(np.unique(values[~mask_run_starts(values)]))
        starts = list(stops)
    return np.concatenate(repeated)


class _HashReader:
    """The hashes of a file's rows in order, read in large pieces."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        self._workspace, self._name = workspace, name
        self._read = 0
        self._piece = np.empty(0, np.uint64)

    def read_hashes(self, rows: int) -> np.ndarray:
        """Those of the next rows, uint64 `[rows]`.

        Raises:
            DataError: there are fewer.
        """
        while len(self._piece) < rows:
            more = self._workspace.load_array(self._name, np.uint64, self._read, self._read + PIECE_ROWS)
            if not len(more):
                raise _make_changed_data_error("more")
            self._read += len(more)
            self._piece = np.concatenate([self._piece, more])
        taken, self._piece = self._piece[:rows], self._piece[rows:]
        return taken

    def check_all_read(self) -> None:
        """Raises `DataError` where some were not."""
        if len(self._piece) or len(self._workspace.load_array(self._name, np.uint64, self._read, self._read + 1)):
            raise _make_changed_data_error("fewer")


def _make_changed_data_error(what: str) -> DataError:
    return DataError(
        f"The data was changed while it was read: there are {what} rows than a moment ago.",
        "Run again when no process writes to it.",
    )


class FileSplitter:
    """Places for the rows of one file, in the order in which they were counted; counts features in several splits."""

    def __init__(self, workspace: Workspace, part: int) -> None:
        self._workspace, self._part = workspace, part
        self._occurrences = OccurrenceCounter(
            workspace.load_array(f"repeated-{part}", np.uint64), workspace.load_array(f"first-{part}", np.int64)
        )
        self._repeated_features = workspace.load_array("repeated_features", np.uint64)
        self._splits = np.zeros((3, len(self._repeated_features)), np.int32)
        self._hashes = _HashReader(workspace, f"row_hashes-{part}")
        self._features = _HashReader(workspace, f"row_features-{part}")

    def place_rows(self, rows: int) -> np.ndarray:
        """The places of the next rows, uint64 `[rows]`.

        Raises:
            DataError: the file has other rows than when they were counted.
        """
        hashes = self._hashes.read_hashes(rows)
        return compute_places(hashes, self._occurrences.number_rows(hashes))

    def record_splits(self, split: np.ndarray) -> None:
        """Takes what was decided of the same rows: the split of each, int8 `[rows]`."""
        rows, places = find_known(self._repeated_features, self._features.read_hashes(len(split)))
        for index in (TRAIN, EVAL, TEST):
            np.add.at(self._splits[index], places[split[rows] == index], 1)

    def save_counts(self) -> None:
        """Leaves the counts for `count_rows_like_train`.

        Raises:
            DataError: rows that were counted did not come.
        """
        self._hashes.check_all_read()
        self._workspace.save_array(f"splits-{self._part}", self._splits)


def count_rows_like_train(workspace: Workspace, parts: int) -> tuple[int, int]:
    """How many rows of `eval`, and how many of `test`, have the features of a training row."""
    counts = sum(workspace.load_array(f"splits-{part}", np.int32).astype(np.int64) for part in range(parts))
    trains, evaluates, tests = np.asarray(counts).reshape(3, -1)
    return int(evaluates[trains > 0].sum()), int(tests[trains > 0].sum())


@contextlib.contextmanager
def make_temporary_workspace(folder: str) -> Iterator[str]:
    """A folder for a `Workspace`, gone afterwards."""
    path = f"{folder}/.counting"
    try:
        yield path
    finally:
        Workspace(path).delete_folder()
