"""Equal rows spread as independent rows do, over any files, and classes keep their shares."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxiway.components.errors import DataError
from taxiway.components.example_gen.config import SplitConfig
from taxiway.components.example_gen.splits import counting
from taxiway.components.example_gen.splits.counting import FileSplitter, Workspace
from taxiway.components.example_gen.splits.split import EVAL, LEFT_OUT, TEST, TRAIN
from taxiway.components.metrics.curve_areas import compute_roc_auc, count_by_score
from tests.components.example_gen.in_memory import split_tables


def rows_by_split(tables, split):
    """The multiset of rows of each split."""
    counts = Counter()
    for table, assigned in zip(tables, split, strict=True):
        counts.update(zip(assigned.tolist(), *(values.tolist() for values in table.values()), strict=True))
    return counts


def cut_up(table, order, borders):
    """The rows in another order, as several files."""
    moved = {name: values[order] for name, values in table.items()}
    pieces = zip([0, *borders], [*borders, len(order)], strict=True)
    return [{name: values[a:b] for name, values in moved.items()} for a, b in pieces]


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(2, 400), st.sampled_from([1, 2, 8]))
@settings(max_examples=40, deadline=None)
def test_the_same_rows_in_any_order_and_files_give_the_same_splits(tmp_path_factory, seed, levels, rows, ranges):
    random = np.random.default_rng(seed)
    table = {"a": random.integers(0, levels, rows), "b": random.integers(0, 3, rows), "y": random.integers(0, 2, rows)}
    files = cut_up(table, random.permutation(rows), sorted(random.integers(0, rows + 1, 2).tolist()))
    folder = tmp_path_factory.mktemp("counting")
    config = SplitConfig(train=0.6, eval=0.2, test=0.1)
    whole, counted, both = split_tables(folder / "one", [table], config)
    several, recounted, both_of_several = split_tables(folder / "several", files, config, ranges=ranges)
    assert rows_by_split([table], whole) == rows_by_split(files, several)
    assert counted == recounted and both == both_of_several
    exact = Counter(zip(table["a"].tolist(), table["b"].tolist(), table["y"].tolist(), strict=True))
    assert counted.rows == rows and counted.equal_rows == rows - len(exact)
    trains = {row[1:3] for row in rows_by_split([table], whole) if row[0] == TRAIN}
    evaluated = rows_by_split([table], whole)
    assert both == tuple(
        sum(n for row, n in evaluated.items() if row[0] == split and row[1:3] in trains) for split in (EVAL, TEST)
    )


@pytest.mark.parametrize("rows, eval_rows", [((2991, 9), (598, 2)), ((9, 2991), (2, 598)), ((5, 5, 5), (1, 1, 1))])
def test_every_class_has_its_share(tmp_path, rows, eval_rows):
    y = np.repeat(np.arange(len(rows)), rows)
    table = {"x": np.arange(len(y)), "y": y}
    [split], _, _ = split_tables(tmp_path, [table], classes=len(rows))
    assert tuple(np.bincount(y[split == EVAL], minlength=len(rows)).tolist()) == eval_rows
    assert (split != LEFT_OUT).all()


def test_hashes_are_read_in_pieces(tmp_path, monkeypatch):
    table = {"x": np.arange(5000) % 700, "y": np.arange(5000) % 2}
    [whole], counted, both = split_tables(tmp_path / "one", [table])
    monkeypatch.setattr(counting, "PIECE_ROWS", 333)
    [pieces], recounted, both_of_pieces = split_tables(tmp_path / "pieces", [table])
    assert (whole == pieces).all() and counted == recounted and both == both_of_pieces


def test_an_appended_file_moves_few_rows(tmp_path):
    random = np.random.default_rng(3)
    first = {"x": random.integers(0, 500, 4000), "y": random.integers(0, 2, 4000)}
    later = {"x": random.integers(0, 500, 1000), "y": random.integers(0, 2, 1000)}
    [before], _, _ = split_tables(tmp_path / "before", [first])
    [after, _], _, _ = split_tables(tmp_path / "after", [first, later])
    assert (before != after).mean() < 0.02  # the cuts move by a quantile's error, sqrt(.16 / 4000) = .006


def test_another_salt_is_another_split(tmp_path):
    table = {"x": np.zeros(1000, np.int64), "y": np.arange(1000) % 2}
    [one], counted, both = split_tables(tmp_path / "a", [table])
    [other], _, _ = split_tables(tmp_path / "b", [table], SplitConfig(train=0.8, eval=0.2, salt="another"))
    assert (one != other).any()
    assert counted.equal_rows == 998 and both == (200, 0)


def test_a_file_that_changed_while_it_was_read_is_refused(tmp_path):
    table = {"x": np.arange(10), "y": np.arange(10) % 2}
    split_tables(tmp_path, [table])
    splitter = FileSplitter(Workspace(str(tmp_path)), 0)
    assert len(splitter.place_rows(9)) == 9
    with pytest.raises(DataError, match="changed while it was read: there are fewer rows"):
        splitter.save_counts()
    with pytest.raises(DataError, match="changed while it was read: there are more rows"):
        splitter.place_rows(2)


# The simulation: what a model of the true law scores on the evaluation split, against fresh rows.


def few_cells(random, rows):
    """Three columns of four levels: 64 cells, some 80 rows each."""
    return {f"x{i}": random.integers(0, 4, rows) for i in range(3)}


def many_cells(random, rows):
    """Four columns of eight levels: a row seldom repeats."""
    return {f"x{i}": random.integers(0, 8, rows) for i in range(4)}


def skewed_cells(random, rows):
    """A cell that holds half of the rows, and a long tail."""
    return {"x0": np.minimum(random.geometric(0.5, rows), 12), "x1": np.minimum(random.geometric(0.3, rows), 12)}


def one_column(random, rows):
    """Two cells."""
    return {"x0": random.integers(0, 2, rows)}


LAWS = [
    (few_cells, 2.0, 0.0),
    (many_cells, 2.0, 0.0),
    (skewed_cells, 1.5, 0.0),
    (one_column, 1.0, 0.0),
    (few_cells, 2.0, -3.0),
]


def draw(random, cells, weights, slope, level, rows):
    """A table, and the true probability of `y` = 1 of each row."""
    table = cells(random, rows)
    signal = sum(weights[name][values % 16] for name, values in table.items())
    truth = 1 / (1 + np.exp(-(level + slope * signal)))
    return {**table, "y": (random.random(rows) < truth).astype(np.int64)}, truth


def learned(table, trains):
    """The share of `y` = 1 among the training rows of a row's cell, towards 1/2: what a model can learn here."""
    cells = np.zeros(len(trains), np.int64)
    for name in table:
        if name != "y":
            cells = cells * 16 + table[name]
    seen, index = np.unique(cells, return_inverse=True)
    rows = np.bincount(index[trains], minlength=len(seen))
    positive = np.bincount(index[trains], table["y"][trains], minlength=len(seen))
    return ((positive + 0.5) / (rows + 1))[index]


def area_under_curve(scores, y):
    return float(compute_roc_auc(*count_by_score(y == 1, scores)))


@pytest.mark.parametrize("law", range(len(LAWS)))
def test_the_evaluation_split_is_as_good_as_fresh_rows(tmp_path, law):
    cells, slope, level = LAWS[law]
    differences, of_learned = [], []
    for seed in range(30):
        random = np.random.default_rng([law, seed])
        weights = {f"x{i}": random.normal(size=16) for i in range(4)}
        table, truth = draw(random, cells, weights, slope, level, 2000)
        fresh, fresh_truth = draw(random, cells, weights, slope, level, 20_000)
        [split], _, _ = split_tables(tmp_path / str(seed), [table])
        evaluates, trains = split == EVAL, split == TRAIN
        best = area_under_curve(fresh_truth, fresh["y"])
        differences.append(area_under_curve(truth[evaluates], table["y"][evaluates]) - best)
        both = {name: np.concatenate([table[name], fresh[name]]) for name in table}
        scores = learned(both, np.concatenate([trains, np.zeros(20_000, bool)]))
        on_fresh = area_under_curve(scores[2000:], fresh["y"])
        of_learned.append(area_under_curve(scores[:2000][evaluates], table["y"][evaluates]) - on_fresh)
    for found in (differences, of_learned):
        error = np.std(found, ddof=1) / np.sqrt(len(found))
        assert abs(np.mean(found)) < 4 * error, (np.mean(found), error)
        assert abs(np.mean(found)) < 0.02
