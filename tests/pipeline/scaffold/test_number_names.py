"""Whole numbers that are names, and those that count or measure, of the same number of digits."""

import numpy as np
import pyarrow as pa
import pytest

from taxiway.pipeline.scaffold import number_names, profile

ROWS = 5000
chance = np.random.default_rng(3)
codes = chance.choice(np.arange(10_000, 60_000), 200, replace=False)
NAMES = {
    "postcodes of a city": 60_601 + chance.integers(0, 60, ROWS),
    "branches, without a gap": 10_000 + chance.integers(0, 40, ROWS),
    "codes anywhere between": chance.choice(codes, ROWS),
    "census tracts": 17_031_000_000 + 100 * chance.integers(101, 9_801, 300)[chance.integers(0, 300, ROWS)],
}
MEASURES = {
    "years": 1_950 + chance.integers(0, 70, ROWS),
    "rents, rounded": 50 * chance.integers(20, 70, ROWS),
    "prices that end in 95 and 99": 100 * chance.integers(10, 40, ROWS) + chance.choice([95, 99], ROWS),
    "prices of three digits": chance.integers(100, 1_000, ROWS),
    "a pile at the least, and few far away": 1_000 + chance.exponential(100, ROWS).astype(int).clip(0, 8_000),
    "amounts in thousands": 1_000_000 + 100_000 * chance.poisson(30, ROWS),
}


def explain(values, label=None, tells_label=False):
    target = (np.random.default_rng(5).random(ROWS) < 0.3).astype(float) if label is None else label.astype(float)
    column = profile._profile_column("x", "int", pa.array(values), target, "binary")
    assert 3 <= column.distinct < 0.2 * ROWS, "else it is never taken for names"
    return number_names.explain_names(column, tells_label)


@pytest.mark.parametrize("kind", NAMES)
def test_names_are_told_by_their_values(kind):
    assert "different numbers" in explain(NAMES[kind])


@pytest.mark.parametrize("kind", MEASURES)
def test_what_counts_or_measures_is_no_name_though_it_has_as_many_digits(kind):
    assert explain(MEASURES[kind]) == ""


def test_numbers_whose_order_tells_the_label_are_a_measure():
    chance = np.random.default_rng(7)  # not the module's, whose state depends on who asked before
    pressure = 9_000 + chance.integers(0, 500, ROWS)  # as close together as postcodes
    rain = chance.random(ROWS) < (9_500 - pressure) / 500
    assert explain(pressure, rain, tells_label=True) == ""
    assert "none far from the others: 9,000 to 9,499" in explain(pressure)
    effects = chance.random(60)
    bought = chance.random(ROWS) < effects[NAMES["postcodes of a city"] - 60_601]
    assert "more of the label than their order" in explain(NAMES["postcodes of a city"], bought, tells_label=True)
