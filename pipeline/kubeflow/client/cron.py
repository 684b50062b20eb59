"""Schedules: cron as everyone writes it, and as Kubeflow Pipelines reads it.

The backend parses with `robfig/cron` 1.2 (`backend/src/apiserver/server/api_converter.go`), whose first field are the
seconds and whose last one may be left out. So it takes `0 6 * * 1`, five fields, without a word, for six minutes after
every hour of January. Five fields get their seconds here.
"""

from __future__ import annotations

import re

from taxiway.components.errors import UsageError
from taxiway.pipeline.cron import (
    DAY,
    EXAMPLE,
    HOUR,
    MINUTE,
    MONTH,
    WEEKDAY,
    WORDS,
    CronField,
    has_such_day,
    parse_field,
)

MIN_PERIOD_SECONDS = 60
_PERIOD = re.compile(r"@every (?=\d)(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


_SECOND = CronField("second", 0, 59)
_FIELDS = (_SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY)


def to_server_cron(text: str) -> str:
    """The schedule as the server reads it: six fields, seconds first.

    Args:
        text: Five fields as in a crontab, six with the seconds first, `@daily` and its kind, or `@every 90m`.

    Raises:
        UsageError: The server would refuse it or would never start a run.
    """
    words = text.split()
    if text.startswith("@"):
        return _check_word(text)
    if len(words) == 5:
        words = ["0", *words[:4], _replace_sunday(words[4])]
    if len(words) != 6:
        raise UsageError(f"--every {text!r} has {len(words)} fields, and a schedule has five.", EXAMPLE)
    sets = [parse_field(field, word, text) for field, word in zip(_FIELDS, words, strict=True)]
    _check_day(sets[3], sets[4], weekdays=words[5], text=text)
    return " ".join(words)


def _check_word(text: str) -> str:
    period = _PERIOD.fullmatch(text)
    if period:
        hours, minutes, seconds = (int(part or 0) for part in period.groups())
        if hours * 3600 + minutes * 60 + seconds >= MIN_PERIOD_SECONDS:
            return text
        raise UsageError(f"--every {text!r}: a pod takes longer to start.", f"At least {MIN_PERIOD_SECONDS} s.")
    if text not in WORDS:
        accepted = f"Accepted: {', '.join(WORDS)}, '@every 90m' (h, m, s), or five fields. {EXAMPLE}"
        raise UsageError(f"--every {text!r} is no schedule.", accepted)
    return text


def _replace_sunday(weekdays: str) -> str:
    """A crontab's Sunday is 0 or 7, the server's only 0."""
    return ",".join("0" if day == "7" else day for day in weekdays.split(","))


def _check_day(days: set[int], months: set[int], *, weekdays: str, text: str) -> None:
    """Whether there is such a day: the server takes the 30th of February, and never starts a run."""
    any_weekday = any(part[0] in "*?" for part in weekdays.split(",") if part)
    if any_weekday and not has_such_day(days, months):
        raise UsageError(f"--every {text!r}: there is no such day in any of its months.", EXAMPLE)
