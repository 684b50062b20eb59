"""Schedules of five fields, against the definition looked at minute by minute."""

import datetime
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxiway.components.errors import UsageError
from taxiway.pipeline.cron import parse_schedule

MINUTE = datetime.timedelta(minutes=1)
ZONES = ("UTC", "Europe/Berlin", "America/Chicago", "Australia/Lord_Howe", "Asia/Kolkata")
STARTS = (
    datetime.datetime(2026, 3, 28, 23, tzinfo=datetime.UTC),  # Berlin's gap is in the night after
    datetime.datetime(2026, 10, 24, 22, tzinfo=datetime.UTC),  # its doubled hour
    datetime.datetime(2026, 4, 4, 13, tzinfo=datetime.UTC),  # Lord Howe goes back by half an hour
    datetime.datetime(2026, 10, 3, 13, tzinfo=datetime.UTC),
    datetime.datetime(2027, 12, 31, 20, tzinfo=datetime.UTC),
)


def utc(text):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)


def list_by_minute(schedule, start, end):
    """Every minute of the clock, one after the other: what a person with a crontab and a watch would note."""
    moments, wall_before = [], None
    moment = start
    while moment <= end:
        wall = moment.astimezone(schedule.zone).replace(tzinfo=None)
        again = moment.astimezone(schedule.zone).fold == 1
        skipped = left_out(wall_before, wall) if wall_before and not schedule.every_hour else []
        shown = matches(schedule, wall) and (schedule.every_hour or not again)
        if shown or any(matches(schedule, time) for time in skipped):
            moments.append(moment)
        wall_before, moment = wall, moment + MINUTE
    return moments


def left_out(before, wall):
    """Times that the clock jumped over."""
    skipped = []
    while (before := before + MINUTE) < wall:
        skipped.append(before)
    return skipped


def matches(schedule, wall):
    among_days, among_weekdays = wall.day in schedule.days, wall.isoweekday() % 7 in schedule.weekdays
    day = among_days or among_weekdays if schedule.either_day else among_days and among_weekdays
    return day and wall.month in schedule.months and wall.hour in schedule.hours and wall.minute in schedule.minutes


def fields(low, high):
    numbers = st.integers(low, high)
    single = numbers.map(str)
    ranged = st.tuples(numbers, numbers).map(lambda pair: f"{min(pair)}-{max(pair)}")
    stepped = st.tuples(ranged | st.just("*"), st.integers(1, high)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    listed = st.lists(single | ranged, min_size=1, max_size=3).map(",".join)
    return st.just("*") | st.just("*") | listed | stepped


SCHEDULES = st.tuples(fields(0, 59), fields(0, 23), fields(1, 28), fields(1, 12), fields(0, 7)).map(" ".join)


@settings(max_examples=100, deadline=None)
@given(SCHEDULES, st.sampled_from(ZONES), st.sampled_from(STARTS))
def test_moments_are_those_that_a_clock_shows(text, zone, start):
    schedule, end = parse_schedule(text, zone), start + datetime.timedelta(hours=7)
    wanted = list_by_minute(schedule, start - datetime.timedelta(hours=2), end)
    wanted = [moment for moment in wanted if moment > start]
    found, moment = [], start
    while (moment := schedule.find_next(moment)) <= end:
        found.append(moment)
    assert found == wanted
    assert schedule.find_newest(start, end) == (wanted[-1] if wanted else None)


@pytest.mark.parametrize(
    ("text", "zone", "after", "wanted"),
    [
        ("0 6 * * 1", "UTC", "2026-11-30T06:00", "2026-12-07T06:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", "2026-03-29T01:00"),  # 02:30 is not, so 03:00
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", "2026-10-25T00:30"),  # the first of two
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30", "2026-10-26T01:30"),
        ("0 0 29 2 *", "UTC", "2096-03-01T00:00", "2104-02-29T00:00"),
        ("0 0 13 * 5", "UTC", "2026-11-07T00:00", "2026-11-13T00:00"),  # a Friday and a 13th: one of them is enough
        ("@weekly", "UTC", "2026-11-30T00:00", "2026-12-06T00:00"),
        ("0 0 * jan sun-tue", "UTC", "2026-11-30T00:00", "2027-01-03T00:00"),
        ("0 0 * * 5-7", "UTC", "2026-11-28T00:00", "2026-11-29T00:00"),
    ],
)
def test_known_moments(text, zone, after, wanted):
    assert parse_schedule(text, zone).find_next(utc(after)) == utc(wanted)


@pytest.mark.parametrize(
    ("text", "zone", "said"),
    [
        ("0 6 * *", "UTC", "has 4 fields"),
        ("60 6 * * *", "UTC", "'60' is no minute"),
        ("0 6 30 2 *", "UTC", "no such day"),
        ("@every 5m", "UTC", "@hourly"),
        ("", "UTC", "has 0 fields"),
        ("0 6 * * *", "Mars/Base", "no time zone"),
        ("0 6 * * *", "../etc", "no time zone"),
    ],
)
def test_what_is_no_schedule_is_refused_with_what_is(text, zone, said):
    with pytest.raises(UsageError, match=said):
        parse_schedule(text, zone)


def test_a_long_pause_is_walked_from_its_end():
    schedule = parse_schedule("*/5 * * * *")
    assert schedule.find_newest(utc("1990-01-01T00:00"), utc("2026-11-30T06:03")) == utc("2026-11-30T06:00")
    assert schedule.zone == zoneinfo.ZoneInfo("UTC")
