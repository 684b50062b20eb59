"""What all rows say together before one is written: which are equal, and where the places of each class are cut.

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

from components.errors import DataError
from components.example_gen.config import SplitConfig
from components.example_gen.occurrences import Occurrences, find, is_new, places, rank_in_runs
from components.example_gen.split import EVAL, TRAIN
from components.example_gen.strata import Cuts, ranks
from components.example_gen.writing import writable
from components.tables.files import is_remote, open_binary

RANGE_ROWS = 1 << 21
"""Rows that are compared at once, about."""
PIECE_ROWS = 1 << 18
"""Hashes that are read at once where they are used in the order of the rows."""


class Workspace:
    """Arrays of the stages, by name: what is too much for the JSON that stages exchange."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def save(self, name: str, values: np.ndarray) -> None:
        """Writes an array; a Beam worker's second attempt replaces it."""
        with writable(self._folder):
            if is_remote(self._folder):
                _save_remote(f"{self._folder}/{name}", values)
            else:
                Path(self._folder).mkdir(parents=True, exist_ok=True)
                values.tofile(Path(self._folder, name))

    def load(self, name: str, kind: Any, start: int = 0, stop: int | None = None) -> np.ndarray:
        """The array, or its values from `start` to `stop`."""
        size = np.dtype(kind).itemsize
        with open_binary(f"{self._folder}/{name}") as file:
            file.seek(start * size)
            content = file.read() if stop is None else file.read((stop - start) * size)
        return np.frombuffer(content, kind)

    def remove(self) -> None:
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

    def add(self, hashes: np.ndarray, features: np.ndarray, classes: np.ndarray) -> None:
        """Takes a batch: hashes of its rows with and without the label, uint64 `[rows]`, and their classes."""
        self._hashes.append(hashes)
        self._features.append(features)
        self._classes.append(classes.astype(np.uint16))

    def save(self, workspace: Workspace, part: int, ranges: int) -> dict[str, Any]:
        """Writes the arrays; returns their counts: rows of each class, and in each range of hashes."""
        features = _joined(self._features, np.uint64)
        workspace.save(f"row_features-{part}", features)
        features.sort()
        workspace.save(f"features-{part}", features)
        features_to = _ends(features, ranges)
        del features
        hashes = _joined(self._hashes, np.uint64)
        workspace.save(f"row_hashes-{part}", hashes)
        classes = _joined(self._classes, np.uint16)[np.argsort(hashes)]
        hashes.sort()
        workspace.save(f"hashes-{part}", hashes)
        workspace.save(f"classes-{part}", classes)
        return {
            "classes": np.bincount(classes).tolist(),
            "hashes_to": _ends(hashes, ranges),
            "features_to": features_to,
        }


def _joined(batches: list[np.ndarray], kind: Any) -> np.ndarray:
    joined = np.concatenate(batches) if batches else np.empty(0, kind)
    batches.clear()
    return joined


def _ends(ordered: np.ndarray, ranges: int) -> list[int]:
    """For each of so many equal ranges of uint64, where it ends in sorted hashes."""
    borders = (np.arange(1, ranges) * (2.0**64 / ranges)).astype(np.uint64)  # exact: ranges is a power of two
    return [*np.searchsorted(ordered, borders).tolist(), len(ordered)]


def range_count(rows: int) -> int:
    """Into how many ranges of hashes so many rows are cut: a power of two."""
    return 1 << max(0, (max(rows, 1) - 1) // RANGE_ROWS).bit_length()


@dataclass(frozen=True)
class Counted:
    """What is known once the rows of all files were compared.

    Attributes:
        rows: With a label.
        equal_rows: How many of them repeat an earlier one in every column, the label's included.
        cuts: For each class where its places are cut; see `split.assign_by_place`.
    """

    rows: int
    equal_rows: int
    cuts: list[list[int]]


def compare(
    workspace: Workspace,
    saved: Sequence[Mapping[str, Any]],
    class_of: Sequence[Sequence[int]],
    config: SplitConfig,
    names: Sequence[str],
) -> Counted:
    """Finds equal rows over all files and cuts the places of each class.

    It leaves in the workspace what the writing of each file needs: see `FileSplitter`.

    Args:
        workspace: Where the counters saved.
        saved: What `FileCounter.save` returned, of each file in order.
        class_of: For each file the index of the class that each of its own numbers means.
        config: How to split.
        names: Of the classes.
    """
    rows = np.zeros(len(names), np.int64)
    for part, meaning in zip(saved, class_of, strict=True):
        np.add.at(rows, np.asarray(meaning, np.int64)[: len(part["classes"])], part["classes"])
    cuts = Cuts(rows.tolist(), ranks(config, rows.tolist(), names))
    repeats = _Repeats(len(saved))
    for hashes, classes, files in _ranges_of_rows(workspace, saved, class_of):
        order = np.argsort(hashes, kind="stable")  # within equal rows in the order of the files
        hashes, classes, files = hashes[order], classes[order], files[order]
        numbers = rank_in_runs(hashes)
        cuts.add(places(hashes, numbers), classes)
        repeats.add(hashes, numbers, files)
    repeats.save(workspace)
    workspace.save("repeated_features", _repeated_features(workspace, saved))
    return Counted(int(rows.sum()), repeats.equal_rows, cuts.found())


def _ranges_of_rows(
    workspace: Workspace, saved: Sequence[Mapping[str, Any]], class_of: Sequence[Sequence[int]]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Range by range, the hashes, classes and files of the rows: each file's are sorted, together they are not."""
    starts = [0] * len(saved)
    for stops in zip(*(part["hashes_to"] for part in saved), strict=True):
        limits = list(zip(starts, stops, strict=True))
        hashes = [workspace.load(f"hashes-{i}", np.uint64, *limit) for i, limit in enumerate(limits)]
        own = [workspace.load(f"classes-{i}", np.uint16, *limit) for i, limit in enumerate(limits)]
        classes = [np.asarray(meaning, np.int32)[part] for meaning, part in zip(class_of, own, strict=True)]
        lengths = [stop - start for start, stop in limits]
        yield np.concatenate(hashes), np.concatenate(classes), np.repeat(np.arange(len(saved), dtype=np.int32), lengths)
        starts = list(stops)


class _Repeats:
    """Rows that are there more than once: for each file which of its rows are, and how many files before have."""

    def __init__(self, files: int) -> None:
        self.equal_rows = 0
        self._hashes: list[list[np.ndarray]] = [[] for _ in range(files)]
        self._numbers: list[list[np.ndarray]] = [[] for _ in range(files)]

    def add(self, hashes: np.ndarray, numbers: np.ndarray, files: np.ndarray) -> None:
        """Takes a range of sorted hashes; of equal ones the number and the file."""
        self.equal_rows += int((numbers > 0).sum())
        several = numbers > 0
        several[:-1] |= numbers[1:] > 0
        hashes, numbers, files = hashes[several], numbers[several], files[several]
        first = is_new(files) | (numbers == 0)
        for file in np.unique(files).tolist():
            own = first & (files == file)
            self._hashes[file].append(hashes[own])
            self._numbers[file].append(numbers[own])

    def save(self, workspace: Workspace) -> None:
        for file, (hashes, numbers) in enumerate(zip(self._hashes, self._numbers, strict=True)):
            workspace.save(f"repeated-{file}", _joined(hashes, np.uint64))
            workspace.save(f"first-{file}", _joined(numbers, np.int64))


def _repeated_features(workspace: Workspace, saved: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """The sorted hashes of features that more than one row has."""
    found, starts = [], [0] * len(saved)
    for stops in zip(*(part["features_to"] for part in saved), strict=True):
        limits = enumerate(zip(starts, stops, strict=True))
        values = np.sort(np.concatenate([workspace.load(f"features-{i}", np.uint64, *limit) for i, limit in limits]))
        found.append(np.unique(values[~is_new(values)]))
        starts = list(stops)
    return np.concatenate(found)


class _Rows:
    """The hashes of a file's rows in order, read in large pieces."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        self._workspace, self._name = workspace, name
        self._read = 0
        self._piece = np.empty(0, np.uint64)

    def take(self, rows: int) -> np.ndarray:
        """Those of the next rows, uint64 `[rows]`.

        Raises:
            DataError: there are fewer.
        """
        while len(self._piece) < rows:
            more = self._workspace.load(self._name, np.uint64, self._read, self._read + PIECE_ROWS)
            if not len(more):
                raise _changed("more")
            self._read += len(more)
            self._piece = np.concatenate([self._piece, more])
        taken, self._piece = self._piece[:rows], self._piece[rows:]
        return taken

    def check_all_taken(self) -> None:
        """Raises `DataError` where some were not."""
        if len(self._piece) or len(self._workspace.load(self._name, np.uint64, self._read, self._read + 1)):
            raise _changed("fewer")


def _changed(what: str) -> DataError:
    return DataError(
        f"The data was changed while it was read: there are {what} rows than a moment ago.",
        "Run again once nobody writes to it.",
    )


class FileSplitter:
    """Places for the rows of one file, in the order in which they were counted; counts features in several splits."""

    def __init__(self, workspace: Workspace, part: int) -> None:
        self._workspace, self._part = workspace, part
        self._occurrences = Occurrences(
            workspace.load(f"repeated-{part}", np.uint64), workspace.load(f"first-{part}", np.int64)
        )
        self._repeated_features = workspace.load("repeated_features", np.uint64)
        self._splits = np.zeros((2, len(self._repeated_features)), np.int32)
        self._hashes = _Rows(workspace, f"row_hashes-{part}")
        self._features = _Rows(workspace, f"row_features-{part}")

    def place(self, rows: int) -> np.ndarray:
        """The places of the next rows, uint64 `[rows]`.

        Raises:
            DataError: the file has other rows than when they were counted.
        """
        hashes = self._hashes.take(rows)
        return places(hashes, self._occurrences.number(hashes))

    def note(self, split: np.ndarray) -> None:
        """Takes what was decided of the same rows: the split of each, int8 `[rows]`."""
        rows, known = find(self._repeated_features, self._features.take(len(split)))
        for index in (TRAIN, EVAL):
            np.add.at(self._splits[index], known[split[rows] == index], 1)

    def save(self) -> None:
        """Leaves the counts for `rows_of_both`.

        Raises:
            DataError: rows that were counted did not come.
        """
        self._hashes.check_all_taken()
        self._workspace.save(f"splits-{self._part}", self._splits)


def rows_of_both(workspace: Workspace, parts: int) -> int:
    """How many evaluation rows have the features of a training row."""
    counts = sum(workspace.load(f"splits-{part}", np.int32).astype(np.int64) for part in range(parts))
    trains, evaluates = np.asarray(counts).reshape(2, -1)
    return int(evaluates[trains > 0].sum())


@contextlib.contextmanager
def workspace_in(folder: str) -> Iterator[str]:
    """A folder for a `Workspace`, gone afterwards."""
    path = f"{folder}/.counting"
    try:
        yield path
    finally:
        Workspace(path).remove()
