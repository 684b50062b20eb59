"""Exact counts of a feature's values, for TFDV's top values: up to a number of distinct ones, then a sketch of them."""

from __future__ import annotations

import logging
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

LOG = logging.getLogger(__name__)

MOST_DISTINCT = 1 << 20
"""Distinct values of a feature that are counted exactly. With more, memory would grow with the rows."""
_SKETCH_BUCKETS = 16384
"""Of both sketches, as TFDV chooses: the distinct values are known within 1 %."""


class ValueCounts:
    """How often each value of one feature occurs."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._counted: list[pa.Table] = []
        self._pending = 0
        self._distinct = 0
        self._sketches: tuple[Any, Any] | None = None

    def add_values(self, values: pa.Array) -> None:
        """Takes flat values, int64 or binary."""
        counted = values.value_counts()
        values, counts = counted.field("values"), counted.field("counts")
        if self._sketches is not None:
            _add_to_sketches(self._sketches, values, counts)
            return
        self._counted.append(pa.table({"values": values, "counts": counts.cast(pa.int64())}))
        self._pending += len(values)
        # Summed up whenever as many came as there are: each value is touched a bounded number of times.
        if self._pending > max(self._distinct, 1 << 16):
            self._sum_up()

    def _sum_up(self) -> None:
        table = pa.concat_tables(self._counted)
        if len(self._counted) > 1:
            sums = table.group_by("values").aggregate([("counts", "sum")])
            table = pa.table({"values": sums["values"], "counts": sums["counts_sum"]})
        self._counted, self._pending, self._distinct = [table], 0, table.num_rows
        if self._distinct > MOST_DISTINCT:
            self._start_sketching()

    def _start_sketching(self) -> None:
        from tfx_bsl.sketches import KmvSketch, MisraGriesSketch

        LOG.info(
            "%s has more than %d distinct values: their number and the most frequent ones are estimated",
            self._name, MOST_DISTINCT,
        )  # fmt: skip
        self._sketches = (KmvSketch(_SKETCH_BUCKETS), MisraGriesSketch(_SKETCH_BUCKETS))
        for table in self._counted:
            _add_to_sketches(self._sketches, table["values"].combine_chunks(), table["counts"].combine_chunks())
        self._counted = []

    def count_distinct(self) -> int:
        """The number of distinct values."""
        if self._sketches is not None:
            return int(self._sketches[0].Estimate())
        self._sum_up_all()
        return self._distinct

    def find_top_values(self, most: int) -> list[tuple[Any, int]]:
        """The most frequent values and their counts; of equally frequent ones the larger first, as TFDV has it."""
        if self._sketches is not None:
            pairs = [(pair["values"], int(pair["counts"])) for pair in self._sketches[1].Estimate().to_pylist()]
            return sorted(pairs, key=lambda pair: (pair[1], pair[0]), reverse=True)[:most]
        self._sum_up_all()
        if not self._counted:
            return []
        table = self._counted[0]
        order = pc.sort_indices(table, sort_keys=[("counts", "descending"), ("values", "descending")])
        top = table.take(order[:most])
        return list(zip(top["values"].to_pylist(), top["counts"].to_pylist(), strict=True))

    def _sum_up_all(self) -> None:
        if len(self._counted) > 1 or self._pending:
            self._sum_up()


def _add_to_sketches(sketches: tuple[Any, Any], values: pa.Array, counts: pa.Array) -> None:
    distinct, frequent = sketches
    distinct.AddValues(values)
    frequent.AddValues(values, counts.cast(pa.float32()))
