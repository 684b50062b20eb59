"""Shares of classes within one row, and cuts at exact ranks of places that come in pieces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxiway.components.example_gen.config import SplitConfig
from taxiway.components.example_gen.splits.strata import (
    EVERY_PLACE,
    CutFinder,
    apportion_rows,
    compute_cut_ranks,
    find_missing_classes,
    resolve_test_share,
)


@given(st.lists(st.integers(0, 200), min_size=1, max_size=30), st.floats(0.01, 0.99))
def test_each_class_and_all_rows_have_the_share(rows, share):
    given_rows = apportion_rows(rows, share, [str(i) for i in range(len(rows))])
    for count, got in zip(rows, given_rows, strict=True):
        assert abs(got - count * share) < 1 + 1e-6
        assert count == 0 or got < count  # the last row of a class is not taken from training
    assert sum(given_rows) <= sum(rows) * share + 0.5 + 1e-6


@pytest.mark.parametrize("rows, share, expected", [
    ((2991, 9), 0.2, [598, 2]), ((3, 2994), 0.2, [1, 598]), ((2, 2998), 0.2, [1, 599]), ((1, 2999), 0.2, [0, 600]),
    ((2,) * 10, 0.2, None), ((), 0.2, []),
])  # fmt: skip
def test_a_small_class_comes_first(rows, share, expected):
    got = apportion_rows(rows, share, [f"c{i}" for i in range(len(rows))])
    assert got == expected if expected is not None else sum(got) == 4 and max(got) == 1


def test_what_is_left_out():
    assert compute_cut_ranks(SplitConfig(train=0.5, eval=0.2), [100, 10], ["a", "b"]) == [(50, 70, 70), (5, 7, 7)]
    assert compute_cut_ranks(SplitConfig(train=0.5, eval=0.2), [1], ["a"]) == [(1, 1, 1)]
    two = SplitConfig(train=0.8, eval=0.2)
    assert compute_cut_ranks(two, [100, 10, 1], ["a", "b", "c"]) == [(80, 100, 100), (8, 10, 10), (1, 1, 1)]


@given(st.lists(st.integers(0, 200), min_size=1, max_size=30), st.sampled_from([(), (0.5, 0.2, 0.1)]))
def test_three_splits_have_their_shares_of_each_class(rows, shares):
    split = SplitConfig(**dict(zip(("train", "eval", "test"), shares, strict=True))) if shares else SplitConfig()
    for count, (trains, chooses, all_splits) in zip(
        rows, compute_cut_ranks(split, rows, [str(i) for i in range(len(rows))]), strict=True
    ):
        assert (trains > 0 or not count) and trains <= chooses <= all_splits <= count
        assert abs(all_splits - chooses - count * split.test_share) < 2
        assert abs(chooses - trains - count * split.eval) < 2


@pytest.mark.parametrize(
    ("rows", "shares"),
    [
        ([5000, 5000], (0.7, 0.15, 0.15)),
        ([5000, 134], (0.7, 0.15, 0.15)),
        ([5000, 110], (0.8, 0.2, 0)),  # 20 of two splits' eval, 16 of test: two splits prove more
        ([5000, 50], (0.7, 0.15, 0.15)),  # too few either way
        ([100, 100], (0.8, 0.2, 0)),
        ([300], (0.7, 0.15, 0.15)),
        ([], (0.8, 0.2, 0)),
    ],
)
def test_too_few_rows_for_three_splits_are_two(rows, shares):
    split = resolve_test_share(SplitConfig(), rows)
    assert (split.train, split.eval, split.test) == shares


def test_a_share_that_is_named_holds_whatever_the_rows():
    assert resolve_test_share(SplitConfig(test=0.1), [10]) == SplitConfig(test=0.1)
    assert resolve_test_share(SplitConfig(train=0.8, eval=0.2), [10**6]).test == 0


@pytest.mark.parametrize("rows", [10, 1000, 300_000])
def test_cuts_are_at_exact_ranks(rows):
    random = np.random.default_rng(rows)
    places = random.integers(0, EVERY_PLACE, rows, np.uint64, endpoint=True)
    classes = random.integers(0, 2, rows)
    counts = np.bincount(classes, minlength=2).tolist()
    wanted = [(count * 7 // 10, count * 9 // 10) for count in counts]
    cuts = CutFinder(counts, [*wanted])
    for piece in np.array_split(np.arange(rows), 7):
        cuts.add_places(places[piece], classes[piece])
    for index, of_class in enumerate(cuts.find_cuts()):
        assert tuple(int((places[classes == index] < cut).sum()) for cut in of_class) == wanted[index]


def test_a_rank_of_all_rows_and_a_class_without_rows():
    cuts = CutFinder([3, 0], [(0, 3), (0, 0)])
    cuts.add_places(np.array([5, 6, 7], np.uint64), np.array([0, 0, 0]))
    assert cuts.find_cuts()[0] == [5, EVERY_PLACE] and cuts.find_cuts()[1] == [EVERY_PLACE, EVERY_PLACE]


def test_classes_that_a_split_lacks():
    assert find_missing_classes({"train": [5, 0, 3], "eval": [1, 0, 0]}, ("a", "b", "c")) == {
        "train": [],
        "eval": ["c"],
    }
