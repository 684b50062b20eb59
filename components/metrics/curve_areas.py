"""Areas under the ROC curve and under precision over recall, from counts of rows by score. Exact, ties included."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def compute_roc_auc(own: Floats, others: Floats) -> Floats:
    """Mann and Whitney's statistic along the last axis: the chance that a row of the class scores above another one.

    Args:
        own: Rows of the class, or their weights, by ascending score `[..., scores]`.
        others: The other rows, likewise; those of the same score count half.

    Returns:
        `[...]`; NaN where one side has no row. It equals scikit-learn's `roc_auc_score`.
    """
    below = np.cumsum(others, axis=-1) - others
    return divide_or_nan((own * (below + others / 2)).sum(axis=-1), own.sum(axis=-1) * others.sum(axis=-1))


def compute_average_precision(own: Floats, others: Floats) -> Floats:
    """The area under precision over recall: precision at every score, weighted by the recall that it adds.

    Nothing is interpolated: that would promise precisions that no threshold gives (Davis and Goadrich, 2006).

    Args:
        own: Rows of the class, or their weights, by ascending score `[..., scores]`.
        others: The other rows, likewise.

    Returns:
        `[...]`; NaN where there is no row of the class. Otherwise it equals scikit-learn's `average_precision_score`.
    """
    true_positives = np.cumsum(own[..., ::-1], axis=-1)
    taken = true_positives + np.cumsum(others[..., ::-1], axis=-1)
    precision = np.divide(true_positives, taken, out=np.zeros_like(true_positives, dtype=np.float64), where=taken > 0)
    return divide_or_nan((precision * own[..., ::-1]).sum(axis=-1), own.sum(axis=-1))


def count_by_score(positive: NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
    """Rows of the class and the other rows by ascending distinct score: two arrays `[distinct scores]`."""
    distinct, index = np.unique(scores, return_inverse=True)
    own = np.bincount(index[positive], minlength=len(distinct)).astype(np.float64)
    return own, np.bincount(index[~positive], minlength=len(distinct)).astype(np.float64)


def divide_or_nan(above: ArrayLike, below: ArrayLike) -> Floats:
    """Quotients; NaN where the divisor is not positive."""
    top, bottom = np.asarray(above, np.float64), np.asarray(below, np.float64)
    out = np.full(np.broadcast_shapes(top.shape, bottom.shape), np.nan)
    return np.divide(top, bottom, out=out, where=bottom > 0)
