"""A metric live against the promise of a push: two estimates, each of other rows, and the interval of their difference.

What was promised was measured on the rows that judged the version, and is as uncertain as those are few. Its interval
does not travel with a version, the number of its rows does. Were nothing different, both would be estimates of one
value, whose errors shrink with the root of the rows: so the promise's interval is the live one, its arms times
sqrt(live rows / promised rows). The difference of two independent estimates has the interval of Zou and Donner,
"Construction of confidence limits about effect measures: a general approach", Statistics in Medicine 27 (2008)
1693-1702 (MOVER; Newcombe's of 1998 for shares)::

    low  = (a - b) - sqrt((a - a_low)^2 + (b_high - b)^2)
    high = (a - b) + sqrt((a_high - a)^2 + (b - b_low)^2)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from taxiway.components.contract import HIGHER_IS_BETTER, LOWER_IS_BETTER

Ends = tuple[float, float]
BY_CLASS = frozenset({"auc", "pr_auc", "precision", "recall", "f1"})
"""Metrics of a binary model whose error depends on the rows of both classes, most on those of the rarer one."""
ROWS, POSITIVES = "example_count", "positives"
"""Names under which a version's provenance counts the rows that judged it."""


@dataclass(frozen=True)
class Promise:
    """A promised value, how certain it is, and how the live value differs.

    Attributes:
        value: What was promised.
        rows: Rows on which; 0: not known, and the value is taken as exact.
        interval: 95 %, of the value; None where there is no live interval, or no number of rows.
        change: Live value less the promised one.
        change_interval: 95 %, of the change; None without a live interval.
    """

    value: float
    rows: int
    interval: Ends | None
    change: float
    change_interval: Ends | None


def compare_with_promise(
    name: str, live: float, interval: Ends | None, counts: tuple[float, float], promised: Mapping[str, float]
) -> Promise | None:
    """The promise of a metric; None where it was not promised.

    Args:
        name: Name of the metric.
        live: Value live.
        interval: Its 95 % interval; None where the rows are too few.
        counts: Labelled rows, and those of the positive class.
        promised: Metrics of the version's provenance, with the counts of their rows.
    """
    value = promised.get(name)
    if value is None or not math.isfinite(value):
        return None
    rows, change = int(promised.get(ROWS) or 0), live - value
    if interval is None:
        return Promise(value, rows, None, change, None)
    own = value, value
    if rows:
        judged = float(rows), float(promised.get(POSITIVES) or 0)
        scale = math.sqrt(_compare_sizes(name, counts, judged))
        own = _clip_ends(name, value - scale * (live - interval[0]), value + scale * (interval[1] - live))
    return Promise(value, rows, own if rows else None, change, subtract_estimates((live, interval), (value, own)))


def _clip_ends(name: str, low: float, high: float) -> Ends:
    """Within the values that the metric can have: an error is no less than 0, a share and an area no more than 1."""
    kind = name.partition("[")[0]
    if kind in LOWER_IS_BETTER or kind in HIGHER_IS_BETTER - {"r2"}:
        low = max(low, 0.0)
    return low, min(high, 1.0) if kind in HIGHER_IS_BETTER else high


def _compare_sizes(name: str, live: Ends, judged: Ends) -> float:
    """How many times as much the live rows tell as those that judged: rows by rows, or, where an error depends on both
    classes, p n / (p + n) of each."""
    if name in BY_CLASS:
        told = [positives * (rows - positives) / rows for rows, positives in (live, judged)]
        if min(told) > 0:
            return told[0] / told[1]
    return live[0] / judged[0]


def subtract_estimates(first: tuple[float, Ends], second: tuple[float, Ends]) -> Ends:
    """The interval of a difference of independent estimates; see above.

    Args:
        first, second: Value and interval of each.
    """
    (a, (a_low, a_high)), (b, (b_low, b_high)) = first, second
    return a - b - math.hypot(a - a_low, b_high - b), a - b + math.hypot(a_high - a, b - b_low)
