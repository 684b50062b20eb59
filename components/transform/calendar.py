"""Times as parts of the calendar, on circles, in the transform graph: a server computes what training did."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

DAY_SECONDS = 86_400
_ERA_DAYS = 146_097
"""Days of 400 years, after which the Gregorian calendar comes again."""
_CYCLES: Mapping[str, tuple[int, Callable[[tf.Tensor], tf.Tensor]]] = {
    "month": (12, lambda seconds: _find_month_and_day(seconds)[0] - 1),
    "day": (31, lambda seconds: _find_month_and_day(seconds)[1] - 1),
    "weekday": (7, lambda seconds: (seconds // DAY_SECONDS + 3) % 7),  # 1 January 1970 was a Thursday; Monday is 0
    "hour": (24, lambda seconds: seconds % DAY_SECONDS // 3600),
    "minute": (60, lambda seconds: seconds % 3600 // 60),
}


def encode_parts(seconds: tf.Tensor, missing: tf.Tensor, parts: Sequence[str]) -> tf.Tensor:
    """Sine and cosine of each part, so that December is beside January.

    Args:
        seconds: int64 `[batch]`, since 1970 (UTC); any value where missing.
        missing: bool `[batch]`.
        parts: Some of `month`, `day`, `weekday`, `hour`, `minute`.

    Returns:
        float32 `[batch, 2 * len(parts) + 1]`: a sine and a cosine a part, 0 where missing; then 1 where missing.
    """
    present = tf.logical_not(missing)
    seconds = tf.where(present, seconds, tf.zeros_like(seconds))
    values = []
    for part in parts:
        length, count = _CYCLES[part]
        angle = tf.cast(count(seconds), tf.float32) * (2 * math.pi / length)
        values += [tf.sin(angle), tf.cos(angle)]
    circles = tf.stack(values, axis=1) * tf.cast(present, tf.float32)[:, None]
    return tf.concat([circles, tf.cast(missing, tf.float32)[:, None]], axis=1)


def compute_part(seconds: tf.Tensor, part: str) -> tf.Tensor:
    """A part, int64 `[batch]`, counted from 0; of `weekday` 0 is Monday."""
    return _CYCLES[part][1](seconds)


def _find_month_and_day(seconds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Month (1 to 12) and day (1 to 31) in the proleptic Gregorian calendar, from whole numbers alone.

    Years are taken to begin in March, so that the day that comes every four years is the last of a year (H. Hinnant,
    "chrono-compatible low-level date algorithms").
    """
    days = seconds // DAY_SECONDS + 719_468  # since 1 March of the year 0
    of_era = days % _ERA_DAYS
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    march_month = (5 * of_year + 2) // 153
    day = of_year - (153 * march_month + 2) // 5 + 1
    return (march_month + 2) % 12 + 1, day
