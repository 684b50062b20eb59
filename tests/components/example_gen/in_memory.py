"""Splits tables that are held in memory, as the stages of `ingest` do with files."""

import numpy as np
import pyarrow as pa

from taxiway.components.example_gen.config import SplitConfig
from taxiway.components.example_gen.splits.counting import (
    FileCounter,
    FileSplitter,
    Workspace,
    compare_rows,
    count_ranges,
    count_rows_like_train,
)
from taxiway.components.example_gen.splits.split import assign_by_place, hash_rows_and_features

BATCH = 1000


def as_columns(table):
    """numpy columns as the Arrow columns that readers give, with the label `y`."""
    return {name: pa.array(values) for name, values in table.items()}


def split_tables(folder, tables, config=None, classes=2, ranges=None):
    """The split of each row of each table (a part of the data), what was counted, and rows of both splits."""
    config = config or SplitConfig(train=0.8, eval=0.2)
    workspace = Workspace(str(folder))
    rows = sum(len(table["y"]) for table in tables)
    saved = [_count(workspace, part, table, config, ranges or count_ranges(rows)) for part, table in enumerate(tables)]
    counted = compare_rows(
        workspace, saved, [list(range(classes))] * len(tables), config, [str(i) for i in range(classes)]
    )
    cuts = np.asarray(counted.cuts, np.uint64)
    split = [_split(workspace, part, table, cuts) for part, table in enumerate(tables)]
    return split, counted, count_rows_like_train(workspace, len(tables))


def _count(workspace, part, table, config, ranges):
    counter = FileCounter()
    for batch in _batches(table):
        rows, features = hash_rows_and_features(as_columns(batch), len(batch["y"]), "y", config.salt)
        counter.add_batch(rows, features, batch["y"])
    return counter.save_hashes(workspace, part, ranges)


def _split(workspace, part, table, cuts):
    splitter, parts = FileSplitter(workspace, part), [np.empty(0, np.int8)]
    for batch in _batches(table):
        parts.append(assign_by_place(splitter.place_rows(len(batch["y"])), batch["y"], cuts))
        splitter.record_splits(parts[-1])
    splitter.save_counts()
    return np.concatenate(parts)


def _batches(table):
    for start in range(0, len(table["y"]), BATCH):
        yield {name: values[start : start + BATCH] for name, values in table.items()}
