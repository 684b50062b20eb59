"""Three views of each number, for `model.kind: tabular`: its quantile position, its rank under a bell curve, its scale.

All columns at once, from one sketch of quantiles and one maximum: the number of Beam's stages does not depend on the
number of columns. What is derived of them does not depend on the row: TensorFlow folds it into constants.
"""

from __future__ import annotations

import tensorflow as tf
import tensorflow_transform as tft

VIEWS = ("position", "rank", "robust", "missing")
KNOTS = 960
"""Steps of the sketched quantiles: quarters and tenths are among the knots."""
MOST_RANK_KNOTS, LEAST_RANK_KNOTS, ROWS_PER_KNOT = 960, 10, 30
"""Few rows have a noisy distribution: their ranks are read off a smoother one."""
HEAVY_SHARE = 0.2
"""A value with more than this share of the rows would fill the bins of a column: half of them go to the other rows."""
RANK_LIMIT = 1e-4
"""Ranks are kept this far from 0 and 1, so that a number beyond all training rows is at 3.7."""
MOST_DISTANCE, LEAST_WIDTH, MOST_RANGES = 1e37, 1e-30, 1e6
"""Within these no difference, quotient or square overflows float32."""
SOFT_LIMIT = 3.0
"""The robust scale bends towards plus and minus this."""


def build_views(values: tf.Tensor, missing: tf.Tensor, bins: int) -> dict[str, tf.Tensor]:
    """The views of all columns.

    Args:
        values: float64 `[n, batch]`, NaN where missing: a column's numbers side by side, as a search for them wants.
        missing: bool `[n, batch]`.
        bins: Quantile bins of a column.

    Returns:
        float32 `[batch, n]` each: `position`, the quantile bins below the value and the share of its own one, divided
        by `bins`; `rank`, a normal quantile, -3.7 to 3.7; `robust`, the distance from the median in quartile ranges,
        within plus and minus 3; `missing`, 1 where the value is missing, in columns where the training rows lack some.
        A missing value has the median's position, and 0 in `rank` and `robust`.
    """
    knots, rows, lacking = _analyze_columns(values, missing)
    median = knots[:, KNOTS // 2]
    # From here on float32, which is enough of a distance from the median, and twice as fast.
    knots = _narrow_distance(knots - median[:, None])
    present = tf.where(missing, tf.zeros([], tf.float32), _narrow_distance(values - median[:, None]))
    position = compute_position(present, choose_edges(knots, bins)) / bins
    rank = compute_rank(present, select_rank_knots(knots, rows))
    rank = tf.where(missing, tf.zeros([], tf.float32), rank)
    flags = tf.cast(missing, tf.float32) * lacking[:, None]
    return _turn_views({"position": position, "rank": rank, "robust": compute_robust(present, knots), "missing": flags})


def _turn_views(views: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """`[batch, n]` of each `[n, batch]`: all of them in one operation, as a request of few rows pays for operations."""
    columns = views["position"].shape[0]
    # As whole numbers: oneDNN, which takes floats, needs several times as long for a matrix of this size.
    turned = tf.transpose(tf.bitcast(tf.concat(list(views.values()), axis=0), tf.int32))
    turned = tf.bitcast(turned, tf.float32)
    turned.set_shape([None, len(views) * columns])
    return dict(zip(views, tf.split(turned, len(views), axis=1), strict=True))


def _narrow_distance(distance: tf.Tensor) -> tf.Tensor:
    """As float32, within what a difference of two of them can be."""
    return tf.cast(tf.clip_by_value(distance, -MOST_DISTANCE, MOST_DISTANCE), tf.float32)


def _analyze_columns(values: tf.Tensor, missing: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The knots float64 `[n, KNOTS + 1]` from each column's least value to its greatest, the training rows (a scalar),
    and float32 `[n]`, 1 where a training row lacks the value. A column without any value has knots of 0.

    TFT sketches in float32: of a time in seconds the knots are right to two minutes, the ends to the second.
    """
    values, missing = tf.transpose(values), tf.transpose(missing)
    columns = values.shape[1]
    # TFT's sketch has no answer for a column without any value: one row of next to no weight gives it one.
    rows = tf.concat([values, tf.zeros([1, columns], values.dtype)], axis=0)
    weights = tf.concat([tf.ones([tf.shape(values)[0]]), [1e-6]], axis=0)
    inner = tft.quantiles(rows, KNOTS, epsilon=0.5 / KNOTS, weights=weights, reduce_instance_dims=False)
    inner = tf.cast(tf.reshape(inner, [columns, KNOTS - 1]), tf.float64)
    none = tf.constant(tf.float64.min, tf.float64)
    ends = [tf.where(missing, none, values), tf.where(missing, none, -values), tf.cast(missing, tf.float64)]
    ends = tft.max(tf.concat(ends, axis=1), reduce_instance_dims=False)
    greatest, least, lacking = tf.split(tf.reshape(ends, [3 * columns]), 3)
    empty = greatest <= none
    greatest, least = (tf.where(empty, tf.zeros_like(end), end) for end in (greatest, -least))
    inner = tf.clip_by_value(inner, least[:, None], greatest[:, None])  # where the row of no weight shows
    count = tft.sum(tf.ones_like(missing[:, :1], tf.int64))
    return tf.concat([least[:, None], inner, greatest[:, None]], axis=1), count, tf.cast(lacking, tf.float32)


def choose_edges(knots: tf.Tensor, bins: int) -> tf.Tensor:
    """Edges of the bins, rising, `[n, bins + 1]`; some are equal where values come again.

    Where one value has more than a fifth of the rows, and there are more values than bins, half of the edges are
    quantiles of the other rows: else a column that is mostly 0 would have no bins for what is not.
    """
    even = tf.cast(tf.round(tf.linspace(0.0, float(KNOTS), bins + 1)), tf.int64)
    usual = tf.gather(knots, even, axis=1)
    begin, end = (tf.searchsorted(knots, knots, side) for side in ("left", "right"))
    heaviest = tf.argmax(end - begin, axis=1)[:, None]
    begin, end = (tf.cast(tf.gather(i, heaviest, batch_dims=1), tf.float32) for i in (begin, end))
    many = tf.reduce_sum(tf.cast(knots[:, 1:] > knots[:, :-1], tf.int64), axis=1, keepdims=True) >= bins
    heavy = ((end - begin) / (KNOTS + 1) > HEAVY_SHARE) & many
    half = bins // 2
    share = tf.linspace(0.0, 1.0, bins + 1 - half)
    other = tf.round(share * (KNOTS - (end - begin)))  # a position among the knots that are not the heavy value
    other = tf.where(other < begin, other, other + (end - begin))
    other = tf.clip_by_value(tf.cast(other, tf.int64), 0, KNOTS)
    all_rows = tf.cast(tf.round(tf.linspace(0.0, float(KNOTS), half)), tf.int64)
    halves = [tf.gather(knots, all_rows, axis=1), tf.gather(knots, other, batch_dims=1)]
    return tf.where(heavy, tf.sort(tf.concat(halves, axis=1), axis=1), usual)


def compute_position(values: tf.Tensor, edges: tf.Tensor) -> tf.Tensor:
    """Bins below a value, and the share of its own: `[n, batch]`, from 0 to the number of bins that are not empty.

    Component `j` of a piecewise-linear encoding is this, less `j`, within 0 and 1 (arXiv:2203.05556).
    """
    slope = _invert_width(edges[:, 1:] - edges[:, :-1])
    filled = tf.cumsum(tf.cast(slope > 0, edges.dtype), axis=1)
    # What a value needs of its bin stands side by side, so that one look-up finds it. The last one is beyond all bins.
    start, slope = tf.pad(filled, [[0, 0], [1, 0]]), tf.pad(slope, [[0, 0], [0, 1]])
    bin_ = tf.searchsorted(edges[:, 1:], values, "right")
    low, start, slope = tf.unstack(tf.gather(tf.stack([edges, start, slope], axis=2), bin_, batch_dims=1), axis=2)
    return start + tf.clip_by_value((values - low) * slope, 0.0, 1.0)


def _invert_width(width: tf.Tensor) -> tf.Tensor:
    """What a difference is multiplied by, for its share of a width; 0 where there is next to none. Of widths that do
    not depend on the row TensorFlow computes it once, where it would divide at each request."""
    return tf.where(width > LEAST_WIDTH, tf.math.reciprocal_no_nan(width), tf.zeros_like(width))


def select_rank_knots(knots: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """The knots off which ranks are read: fewer where there are few rows."""
    count = tf.clip_by_value(rows // ROWS_PER_KNOT, LEAST_RANK_KNOTS, MOST_RANK_KNOTS)
    even = tf.linspace(0.0, float(KNOTS), tf.cast(count, tf.int32))
    return tf.gather(knots, tf.cast(tf.round(even), tf.int32), axis=1)


def compute_rank(values: tf.Tensor, knots: tf.Tensor) -> tf.Tensor:
    """Ranks as quantiles of the normal distribution, `[n, batch]`: between two knots linear, and in the middle of
    equal ones."""
    count = tf.shape(knots)[1]
    scale = tf.cast(count - 1, knots.dtype)
    first, after = (tf.searchsorted(knots, knots, side) for side in ("left", "right"))
    middle = tf.cast(first + after - 1, knots.dtype) / 2 / scale  # of all knots that equal one
    own = tf.broadcast_to(tf.cast(tf.range(count), knots.dtype) / scale, tf.shape(knots))
    slope = tf.pad(_invert_width(knots[:, 1:] - knots[:, :-1]) / scale, [[0, 0], [0, 1]])
    place = tf.maximum(tf.searchsorted(knots, values, "right") - 1, 0)
    found = tf.gather(tf.stack([knots, slope, own, middle], axis=2), place, batch_dims=1)
    below, slope, own, middle = tf.unstack(found, axis=2)
    rank = tf.where(tf.equal(values, below), middle, own + (values - below) * slope)
    return tf.math.ndtri(tf.clip_by_value(rank, RANK_LIMIT, 1 - RANK_LIMIT))


def compute_robust(values: tf.Tensor, knots: tf.Tensor) -> tf.Tensor:
    """`t / sqrt(1 + (t / 3)^2)` of the distance `t` from the median in quartile ranges (in halves of the whole range
    where the quartiles are equal; 0 where the column is constant), `[n, batch]`."""
    quartiles = knots[:, 3 * KNOTS // 4] - knots[:, KNOTS // 4]
    scale = tf.where(quartiles > 0, quartiles, (knots[:, -1] - knots[:, 0]) / 2)
    distance = (values - knots[:, KNOTS // 2, None]) * _invert_width(scale)[:, None]
    distance = tf.clip_by_value(distance, -MOST_RANGES, MOST_RANGES)  # its square is a float32 too
    return distance * tf.math.rsqrt(1 + tf.square(distance / SOFT_LIMIT))
