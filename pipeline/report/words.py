"""Keys in words: metrics, numbers of gates, kinds of columns; units and dates by a column's name and values."""

from __future__ import annotations

import datetime
import re

_WORDS = {
    "auc": "AUC",
    "pr_auc": "PR AUC",
    "brier": "Brier score",
    "ece": "calibration error",
    "f1": "F1",
    "mae": "mean absolute error",
    "mse": "mean squared error",
    "rmse": "root mean squared error",
    "r2": "R²",
    "p90_absolute_error": "90 % of the absolute errors",
    "macro_f1": "macro F1",
    "macro_auc": "macro AUC",
    "std_dev": "standard deviation",
    "judged_rows": "rows of the rarest class",
    "int": "whole number",
    "float": "number",
    "string": "text",
    "Evaluator": "Trained model",
    "OptimizedEvaluator": "Optimized model",
}
_CLASS_METRIC = re.compile(r"(?P<metric>\w+)\[(?P<label>.*)\]", re.DOTALL)
_WORDS_BY_UNIT = {
    "s": "seconds secs sec", "ms": "ms millis", "min": "minutes mins", "h": "hours", "days": "days",
    "months": "months", "years": "years", "miles": "miles mi", "km": "km kilometers", "m": "meters metres",
    "cm": "cm", "mm": "mm", "ft": "feet ft", "kg": "kg", "g": "grams", "lb": "pounds", "USD": "usd dollars",
    "EUR": "eur euros", "GBP": "gbp", "%": "percent pct", "°": "latitude longitude lat lon", "°C": "celsius",
    "°F": "fahrenheit", "K": "kelvin", "mph": "mph", "km/h": "kmh", "kWh": "kwh", "W": "watts", "B": "bytes",
    "kB": "kb", "MB": "mb", "GB": "gb",
}  # fmt: skip
_UNITS = {word: unit for unit, words in _WORDS_BY_UNIT.items() for word in words.split()}
"""By the last word of a column's name."""
_IN_BRACKETS = re.compile(r"[(\[]\s*([^()\[\]]{1,12}?)\s*[)\]]\s*$")
_TIME_NAME = re.compile(r"(?i)(^|[^a-z])(time|times|timestamp|datetime|date|when|at|epoch)([^a-z]|$)")
SECONDS = (datetime.datetime(1980, 1, 1).timestamp(), datetime.datetime(2100, 1, 1).timestamp())
"""Whole numbers between these may be seconds since 1970; a thousand times as large, milliseconds."""


def name_key(key: str) -> str:
    """A key in words: `pr_auc` is `PR AUC`, `recall[virginica]` is `recall of virginica`, `best_step` `best step`."""
    match = _CLASS_METRIC.fullmatch(key)
    if match:
        return f"{name_key(match['metric'])} of {match['label']}"
    return _WORDS.get(key) or key.replace("_", " ")


def find_unit(column: str) -> str:
    """The unit that a column's name says: `trip_miles`, `Fare (USD)`, `speed [km/h]`; empty where it says none."""
    bracketed = _IN_BRACKETS.search(column)
    if bracketed:
        return bracketed[1]
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", column)
    return _UNITS.get(words[-1].lower(), "") if words else ""


def find_time_scale(column: str, low: float, high: float, *, known: bool = False) -> float:
    """How many of a column's numbers make a second since 1970; 0 where it holds no times.

    Args:
        column: Name of the column.
        low, high: Its range.
        known: Whether the configuration says that it holds times.
    """
    if not (known or _TIME_NAME.search(column.replace("_", " "))):
        return 0.0
    return next(
        (scale for scale in (1.0, 1e3, 1e6, 1e9) if low >= SECONDS[0] * scale and high <= SECONDS[1] * scale), 0.0
    )


def format_moment(value: float, scale: float, span: float) -> str:
    """A time as a date; with the hour and minute where all of them lie within a few days.

    Args:
        value: The number.
        scale: Of `find_time_scale`.
        span: Difference between the latest and the earliest number.
    """
    moment = datetime.datetime.fromtimestamp(value / scale, datetime.UTC)
    return moment.strftime("%Y-%m-%d %H:%M" if span / scale < 3 * 86_400 else "%Y-%m-%d")
