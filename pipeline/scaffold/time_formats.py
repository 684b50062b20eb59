"""Formats of times, and names of columns that hold times."""

from __future__ import annotations

import re

TIME_NAME = re.compile(
    r"time|date|epoch|stamp|created|modified|occurred|utc|(^|_)(ts|at|dt|ms|us|ns|millis|micros|nanos)$", re.IGNORECASE
)
"""Names of columns that may hold counts since 1970."""
TIME_FORMATS = (
    "", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d.%m.%Y", "%d-%m-%Y", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M",
    "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S",
    "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p", "%d %b %Y", "%d-%b-%Y", "%b %d, %Y",
    "%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%m/%d/%y %H:%M", "%d/%m/%y %H:%M", "%d.%m.%y %H:%M", "%d-%b-%y",
)  # fmt: skip
"""Formats of a time; the empty one is ISO 8601."""
DATE_NUMBERS = "%Y%m%d"
"""Dates as whole numbers of eight digits."""
