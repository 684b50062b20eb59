"""Schedules as a crontab writes them: their fields, and the moments that they mean in a time zone.

Daylight saving is as cron has it (man 8 cron): a job of certain hours runs once on every day that it names, right
after the gap where its time is left out, and at the first of two equal times; a job of every hour follows the time
that passes.
"""

from __future__ import annotations

import datetime
import functools
import re
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass

from taxiway.components.errors import UsageError

EXAMPLE = (
    "Such as --every '0 6 * * 1', Mondays at 6: minute, hour, day of the month, month, day of the week (0: Sunday)."
)
WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
ANY = ("*", "?")
_LONGEST_MONTHS = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
_LONGEST_WAIT_DAYS = 366 * 8 + 2
"""From one 29th of February to the next, around a year such as 2100 that has none."""


@dataclass(frozen=True)
class CronField:
    """One field: its name for messages, its bounds, and words that stand for its numbers, from the lowest on."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


MINUTE = CronField("minute", 0, 59)
HOUR = CronField("hour", 0, 23)
DAY = CronField("day of the month", 1, 31)
MONTH = CronField("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"))
WEEKDAY = CronField("day of the week", 0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat"))
CRONTAB_WEEKDAY = CronField("day of the week", 0, 7, WEEKDAY.names)
"""A crontab's Sunday is 0 or 7."""


def parse_field(field: CronField, word: str, text: str) -> set[int]:
    """The numbers that a field means.

    Args:
        field: The field.
        word: What stands there.
        text: The whole schedule, for messages.

    Raises:
        UsageError: It means none.
    """
    parts = [part for part in word.split(",") if part]
    if not parts:
        raise _make_error(field, word, text)
    return {number for part in parts for number in _parse_range(field, part, text)}


def _parse_range(field: CronField, part: str, text: str) -> range:
    """`*`, `?`, `N`, `N-M`, each with `/STEP`; `N/STEP` goes on to the end."""
    match = re.fullmatch(r"([*?]|\w+)(?:-(\w+))?(?:/(\d+))?", part)
    if match is None or (match[1] in ANY and match[2]):
        raise _make_error(field, part, text)
    first, last, step = match[1], match[2], int(match[3] or 1)
    low = field.low if first in ANY else _read_number(field, first, part, text)
    high = _read_number(field, last, part, text) if last else (field.high if first in ANY or match[3] else low)
    if not field.low <= low <= high <= field.high or step < 1:
        raise _make_error(field, part, text)
    return range(low, high + 1, step)


def _read_number(field: CronField, word: str, part: str, text: str) -> int:
    if word.lower() in field.names:
        return field.low + field.names.index(word.lower())
    if not (word.isascii() and word.isdigit()):
        raise _make_error(field, part, text)
    return int(word)


def _make_error(field: CronField, part: str, text: str) -> UsageError:
    names = f" or {field.names[0]}-{field.names[-1]}" if field.names else ""
    accepted = f"{field.low}-{field.high}{names}, *, lists with commas, ranges low-high, steps such as */5"
    return UsageError(f"--every {text!r}: {part!r} is no {field.name}.", f"Accepted: {accepted}. {EXAMPLE}")


def has_such_day(days: set[int] | frozenset[int], months: set[int] | frozenset[int]) -> bool:
    """Whether any of the months is long enough for any of the days: there is no 30th of February."""
    return any(min(days) <= _LONGEST_MONTHS.get(month, 31) for month in months)


@dataclass(frozen=True)
class CronSchedule:
    """A schedule of five fields in a time zone; `parse_schedule` makes it.

    Attributes:
        text: As it was written.
        zone: Time zone of its fields.
        minutes: Of an hour.
        hours: Of a day.
        days: Of a month, from 1.
        months: From 1.
        weekdays: 0 is Sunday.
        every_hour: The field of hours is `*`.
        either_day: Days and weekdays both are named: one of them is enough.
    """

    text: str
    zone: zoneinfo.ZoneInfo
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    every_hour: bool
    either_day: bool

    def find_next(self, after: datetime.datetime) -> datetime.datetime:
        """The first moment after another one; both are aware, the answer is in UTC."""
        first = after.astimezone(self.zone).date()
        for number in range(_LONGEST_WAIT_DAYS):
            later = [moment for moment in _list_day(self, first + datetime.timedelta(number)) if moment > after]
            if later:
                return later[0]
        raise AssertionError(f"{self.text!r} has no moment")  # `parse_schedule` refuses such a schedule

    def find_newest(self, after: datetime.datetime, until: datetime.datetime) -> datetime.datetime | None:
        """The last moment that is later than `after` and not later than `until`; None where there is none."""
        day, first = until.astimezone(self.zone).date(), after.astimezone(self.zone).date()
        while day >= first:
            passed = [moment for moment in _list_day(self, day) if after < moment <= until]
            if passed:
                return passed[-1]
            day -= datetime.timedelta(1)
        return None

    def has_day(self, day: datetime.date) -> bool:
        """Whether it has moments on a day of its zone."""
        if day.month not in self.months:
            return False
        among_days, among_weekdays = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return (among_days or among_weekdays) if self.either_day else (among_days and among_weekdays)

    def resolve(self, wall: datetime.datetime) -> Iterator[datetime.datetime]:
        """The moments at which clocks of the zone show a time: one, two, or none, for which the gap's end stands."""
        if not self.shows(wall):
            if self.every_hour:
                return
            while not self.shows(wall):
                wall += datetime.timedelta(minutes=1)
        passes = {wall.replace(tzinfo=self.zone, fold=fold).astimezone(datetime.UTC) for fold in (0, 1)}
        yield from passes if self.every_hour else [min(passes)]

    def shows(self, wall: datetime.datetime) -> bool:
        """Whether clocks of the zone ever show a time."""
        moment = wall.replace(tzinfo=self.zone).astimezone(datetime.UTC)
        return moment.astimezone(self.zone).replace(tzinfo=None) == wall


@functools.lru_cache(maxsize=64)
def _list_day(schedule: CronSchedule, day: datetime.date) -> tuple[datetime.datetime, ...]:
    """The moments of one day of the zone, ascending, in UTC."""
    if not schedule.has_day(day):
        return ()
    times = (datetime.time(hour, minute) for hour in schedule.hours for minute in schedule.minutes)
    walls = (datetime.datetime.combine(day, time) for time in times)
    return tuple(sorted({moment for wall in walls for moment in schedule.resolve(wall)}))


def parse_schedule(text: str, zone: str = "UTC") -> CronSchedule:
    """Reads a schedule.

    Args:
        text: Five fields as in a crontab, or `@daily` and its kind.
        zone: Name of its time zone, such as `Europe/Berlin`.

    Raises:
        UsageError: It is none, it has no moment at all, or there is no such zone.
    """
    words = WORDS.get(text, text).split()
    if text.startswith("@") and text not in WORDS:
        raise UsageError(
            f"--every {text!r} is no schedule.", f"Accepted: {', '.join(WORDS)}, or five fields. {EXAMPLE}"
        )
    if len(words) != 5:
        raise UsageError(f"--every {text!r} has {len(words)} fields, and a schedule has five.", EXAMPLE)
    fields = (MINUTE, HOUR, DAY, MONTH, CRONTAB_WEEKDAY)
    minutes, hours, days, months, weekdays = (
        parse_field(field, word, text) for field, word in zip(fields, words, strict=True)
    )
    if words[4] in ANY and not has_such_day(days, months):
        raise UsageError(f"--every {text!r}: there is no such day in any of its months.", EXAMPLE)
    return CronSchedule(
        text=text,
        zone=_find_zone(zone),
        minutes=frozenset(minutes),
        hours=frozenset(hours),
        days=frozenset(days),
        months=frozenset(months),
        weekdays=frozenset(day % 7 for day in weekdays),
        every_hour=words[1] in ANY,
        either_day=words[2] not in ANY and words[4] not in ANY,
    )


def _find_zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(
            f"--time-zone {name!r} is no time zone that this machine knows.",
            "Give a name of the IANA data base, such as UTC, Europe/Berlin or America/Chicago.",
        ) from error
