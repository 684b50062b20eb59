from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxiway.components.optimizer.measurement.race import (
    ERROR_RATE,
    LOOKS,
    Race,
    compute_tail,
    is_surely_faster,
)
from taxiway.components.optimizer.techniques import REFERENCE


@given(st.integers(1, 60), st.data())
def test_the_tail_is_the_binomials(rounds, data):
    wins = data.draw(st.integers(0, rounds))
    drawn = sum(math.comb(rounds, k) for k in range(wins)) / 2**rounds
    assert compute_tail(wins, rounds) == pytest.approx(1 - drawn)


def test_only_common_rounds_count_and_a_tie_is_no_win():
    assert is_surely_faster([1.0] * 5, [2.0] * 9, 2**-5)
    assert not is_surely_faster([1.0] * 5, [2.0] * 9, 2**-6)
    assert not is_surely_faster([1.0] * 20, [1.0] * 20, 0.05)
    assert not is_surely_faster([1.0] * 20, [1.5] * 20, 0.05, factor=1.5)


def draw_rounds(random, speeds, rounds):
    drift = random.lognormal(0, 0.5, rounds)  # what else the machine does, alike for all in a round
    return {name: (drift * speed * random.lognormal(0, 0.1, rounds)).tolist() for name, speed in speeds.items()}


def test_the_error_rate_of_all_looks_together_is_kept():
    """Equal variants: none may ever be put out, but in `ERROR_RATE` of the measurements."""
    random, wrong, races = np.random.default_rng(0), 0, 400
    names = ("a", "b", "c", "d")
    for _ in range(races):
        rounds = draw_rounds(random, {REFERENCE: 2.0, **dict.fromkeys(names, 1.0)}, LOOKS[-1])
        race = Race(frozenset(names))
        wrong += any(
            set(names) - race.list_open({name: values[:look] for name, values in rounds.items()}) for look in LOOKS
        )
    assert wrong / races <= ERROR_RATE


def test_the_fastest_stays_and_ends_the_race():
    random, speeds = np.random.default_rng(3), {REFERENCE: 2.0, "slow": 1.6, "best": 1.0, "useless": 2.4}
    race = Race(frozenset(speeds) - {REFERENCE}, 0.03)
    rounds = draw_rounds(random, speeds, 28)
    assert race.list_open(rounds) == set()
    assert "best" in race.list_open({name: values[:9] for name, values in rounds.items()})


def test_what_cannot_be_chosen_is_not_raced():
    rounds = draw_rounds(np.random.default_rng(5), {REFERENCE: 2.0, "a": 1.0, "b": 1.0, "forbidden": 0.5}, 28)
    assert Race(frozenset({"a", "b"})).list_open(rounds) == {REFERENCE, "a", "b"}


def test_a_measurement_that_decides_nothing_goes_on_for_what_is_as_fast_as_the_reference():
    rounds = draw_rounds(np.random.default_rng(7), {REFERENCE: 2.0, "fast": 1.0, "slow": 4.0, "same": 2.0}, 28)
    assert Race().list_open(rounds) == {REFERENCE, "same"}
    del rounds["same"]
    assert Race().list_open(rounds) == set()


def test_nobody_left_in_the_race_ends_it():
    rounds = draw_rounds(np.random.default_rng(9), {REFERENCE: 1.0, "a": 2.0, "b": 3.0}, 28)
    assert Race(frozenset({"a", "b"})).list_open(rounds) == set()
