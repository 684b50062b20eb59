"""Splits tables that are held in memory, as the stages of `ingest` do with files."""

import numpy as np
import pyarrow as pa

from components.example_gen.config import SplitConfig
from components.example_gen.counting import FileCounter, FileSplitter, Workspace, compare, range_count, rows_of_both
from components.example_gen.split import assign_by_place, hashes_with_and_without

BATCH = 1000


def as_columns(table):
    """numpy columns as the Arrow columns that readers give, with the label `y`."""
    return {name: pa.array(values) for name, values in table.items()}


def split_tables(folder, tables, config=None, classes=2, ranges=None):
    """The split of each row of each table (a part of the data), what was counted, and rows of both splits."""
    config = config or SplitConfig()
    workspace = Workspace(str(folder))
    rows = sum(len(table["y"]) for table in tables)
    saved = [_count(workspace, part, table, config, ranges or range_count(rows)) for part, table in enumerate(tables)]
    counted = compare(workspace, saved, [list(range(classes))] * len(tables), config, [str(i) for i in range(classes)])
    cuts = np.asarray(counted.cuts, np.uint64)
    split = [_split(workspace, part, table, cuts) for part, table in enumerate(tables)]
    return split, counted, rows_of_both(workspace, len(tables))


def _count(workspace, part, table, config, ranges):
    counter = FileCounter()
    for batch in _batches(table):
        rows, features = hashes_with_and_without(as_columns(batch), len(batch["y"]), "y", config.salt)
        counter.add(rows, features, batch["y"])
    return counter.save(workspace, part, ranges)


def _split(workspace, part, table, cuts):
    splitter, parts = FileSplitter(workspace, part), [np.empty(0, np.int8)]
    for batch in _batches(table):
        parts.append(assign_by_place(splitter.place(len(batch["y"])), batch["y"], cuts))
        splitter.note(parts[-1])
    splitter.save()
    return np.concatenate(parts)


def _batches(table):
    for start in range(0, len(table["y"]), BATCH):
        yield {name: values[start : start + BATCH] for name, values in table.items()}
