"""The parts of TFDV are where they are looked for."""

from __future__ import annotations

import pytest
import tensorflow_data_validation as tfdv

from taxiway.components.errors import TaxiwayError
from taxiway.components.stack_seam import name_lock
from taxiway.components.statistics import tfdv_private


def test_the_generators_are_known() -> None:
    """A new one that only Beam can run must be looked at."""
    generators = tfdv_private.make_generators(tfdv.StatsOptions())
    combining = [isinstance(generator, tfdv.CombinerStatsGenerator) for generator in generators]
    assert [tfdv_private.counts_top_values(g) or c for g, c in zip(generators, combining, strict=True)] == [True] * 2


def test_a_part_that_is_gone_is_named_with_what_to_do() -> None:
    with pytest.raises(TaxiwayError, match=r"no tensorflow_data_validation.statistics.stats_impl.gone") as raised:
        tfdv_private._find_part(tfdv_private._IMPLEMENTATION, "gone")
    assert name_lock() in raised.value.remedy
