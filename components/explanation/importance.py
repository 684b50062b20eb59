"""Permutation importance: how much worse the model is where a column holds what another row holds (Breiman, 2001).

As `sklearn.inspection.permutation_importance`: the mean over repeats of the metric's loss. The interval is Student's
over the repeats: how sure the shuffles are, not how sure these rows are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from taxiway.components.explanation.rows import RawRows
from taxiway.components.explanation.scored_model import Deadline, ScoredModel
from taxiway.components.metrics.bootstrap import compute_student_quantile
from taxiway.components.metrics.curve_areas import Floats

FEWEST_REPEATS = 3
"""Below, an interval over repeats says nothing."""


@dataclass(frozen=True)
class ColumnImportance:
    """What a column, or a group of columns, is worth.

    Attributes:
        name: Name of the column or the group.
        columns: Columns that were shuffled together.
        losses: By repeat: how much worse the metric was; below zero where it was better.
    """

    name: str
    columns: Sequence[str]
    losses: Sequence[float]

    @property
    def mean(self) -> float:
        return float(np.mean(self.losses)) if len(self.losses) else float("nan")

    @property
    def limits(self) -> tuple[float, float] | None:
        """The 95 % interval over the repeats; None of fewer than `FEWEST_REPEATS`."""
        repeats = len(self.losses)
        if repeats < FEWEST_REPEATS:
            return None
        half = compute_student_quantile(repeats - 1) * float(np.std(self.losses, ddof=1)) / repeats**0.5
        return self.mean - half, self.mean + half


def measure_importance(
    model: ScoredModel,
    rows: RawRows,
    labels: Floats,
    groups: Mapping[str, Sequence[str]],
    repeats: int,
    seed: int,
    deadline: Deadline,
) -> list[ColumnImportance]:
    """Shuffles each group again and again, the most important first in the answer.

    Args:
        model: The model and its metric.
        rows: Rows that are asked.
        labels: Their labels, `[rows]`.
        groups: Columns that are shuffled together, by the group's name.
        repeats: How often each group is shuffled.
        seed: Seed of the shuffles.
        deadline: When to stop. A round over all groups comes before the next one, so that what is cut is repeats.

    Returns:
        One entry a group; those that no repeat reached come last, without losses.
    """
    before, random = model.score_rows(rows.encode()), np.random.default_rng(seed)
    losses: dict[str, list[float]] = {name: [] for name in groups}
    for _ in range(repeats):
        for name, columns in groups.items():
            if deadline.is_past():
                break
            after = model.score_rows(rows.shuffle(columns, random.permutation(len(rows))))
            losses[name].append(model.measure_loss_of_quality(labels, before, after))
    found = [ColumnImportance(name, tuple(columns), tuple(losses[name])) for name, columns in groups.items()]
    return sorted(found, key=lambda each: -each.mean if each.losses else np.inf)


def group_columns(
    columns: Sequence[str], calendar: Mapping[str, Sequence[str]], groups: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """The columns of a model as groups, each column in one: configured ones, the parts of one time, single columns.

    Args:
        columns: The columns that the model reads.
        calendar: By the name of a time column: its parts as columns.
        groups: Further groups by their name. They come before the calendar's.
    """
    found: dict[str, tuple[str, ...]] = {}
    free = dict.fromkeys(columns)
    for name, members in (*groups.items(), *calendar.items()):
        present = tuple(column for column in members if column in free)
        if present:
            # A group of one column has that column's name; no group may take another column's.
            found[present[0] if len(present) == 1 else _name_group(name, columns, present)] = present
            for column in present:
                del free[column]
    return {**found, **{column: (column,) for column in free}}


def _name_group(name: str, columns: Sequence[str], members: Sequence[str]) -> str:
    return f"{name} ({', '.join(members)})" if name in columns else name
