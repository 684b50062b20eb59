"""A threshold decides only where there are enough rows: it is asked of a metric of its own, beside the shown one.

TFMA knows no threshold that holds only for some slices of a column: `min_slice_size` drops the metrics of small ones,
and a threshold without its metric fails. So what is bounded, in slices and over all rows, is a second metric of the
same sums. It has the value of the first where there are enough rows; where there are not, a value within the bounds,
the same of both models. That few rows bless no model is left to the bound on their number (`gates.min_rows_per_class`).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from taxiway.components.evaluation.binary import BinarySums
from taxiway.components.evaluation.metrics import ClassSums, RegressionSums
from taxiway.components.evaluation.row_batches import SumsMetric
from taxiway.components.metrics import FEWEST_CLASS_ROWS, FEWEST_ROWS


class SliceBound(SumsMetric):
    """A metric for a threshold, in slices or over all rows.

    Args:
        name: Name under which it is reported; see `config.name_slice_bound`.
        metric: Dotted path of the metric's class.
        arguments: Arguments of that class.
        otherwise: Value in slices of too few rows.
    """

    def __init__(self, name: str, metric: str, arguments: dict[str, Any], otherwise: float) -> None:
        module, _, class_name = metric.rpartition(".")
        measured: SumsMetric = getattr(import_module(module), class_name)(name=name, **arguments)

        def select_value(sums: Any) -> float:
            return measured.compute(sums) if has_enough_rows(sums) else otherwise

        super().__init__(
            name, measured.make_sums, select_value, measured.made_with,
            metric=metric, arguments=arguments, otherwise=otherwise,
        )  # fmt: skip


def has_enough_rows(sums: Any) -> bool:
    """Whether a slice's rows can tell anything: 10 of either class, 10 outside the most frequent class, 20 values."""
    if isinstance(sums, BinarySums):
        return min(sums.positives, sums.negatives) >= FEWEST_CLASS_ROWS
    if isinstance(sums, ClassSums):
        return sums.rows - max(sums.own, default=0.0) >= FEWEST_CLASS_ROWS
    return isinstance(sums, RegressionSums) and sums.rows >= FEWEST_ROWS
