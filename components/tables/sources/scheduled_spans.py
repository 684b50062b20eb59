"""Which spans a scheduled run reads, where the spans are dates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from taxiway.components.errors import DataError
from taxiway.components.tables.config import SPAN_PLACEHOLDER, TableConfig
from taxiway.components.tables.sources.files import select_source_files

_DATE_DIGITS = {6: "YYYYMM", 8: "YYYYMMDD", 10: "YYYYMMDDhh", 12: "YYYYMMDDhhmm", 14: "YYYYMMDDhhmmss"}
_MOMENT = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?:[T ]?(\d\d):?(\d\d):?(\d\d)(?:\.\d+)?(?:Z|\+00:?00)?)?")


def resolve_spans(data: TableConfig, scheduled_time: str = "") -> str:
    """The spans that a run reads, so that a later step reads the same ones.

    Args:
        data: Where the rows are, and which spans are wanted.
        scheduled_time: Moment for which the run was scheduled, in UTC (`20261129060000`, or as ISO 8601 writes it):
            `latest` is then the newest span that is not after it, `all` those up to it. Empty: no such moment.

    Returns:
        A value of `data.spans`: a number where `latest` was wanted. What was wanted, where the path has no `{SPAN}`
        or names its spans by number.

    Raises:
        DataError: There is no data, the moment is none, the spans are no dates, or all of them are later.
    """
    if SPAN_PLACEHOLDER not in data.path or data.spans not in ("latest", "all"):
        return data.spans
    if not scheduled_time and data.spans == "all":
        return data.spans
    wanted = "all" if scheduled_time else data.spans
    spans = sorted({file.span for file in select_source_files(data.model_copy(update={"spans": wanted}))})
    if not scheduled_time:
        return str(spans[-1])
    past = select_past_spans(spans, scheduled_time, data.path)
    return str(past[-1]) if data.spans == "latest" else f"{past[0]}..{past[-1]}"


def select_past_spans(spans: Sequence[int], scheduled_time: str, path: str) -> list[int]:
    """The spans that are not after a moment, ascending.

    Args:
        spans: Numbers of the spans: dates such as 20261129.
        scheduled_time: See `resolve_spans`.
        path: `data.path`, for messages.

    Raises:
        DataError: See `resolve_spans`.
    """
    moment = read_moment(scheduled_time)
    _check_dates(spans, path)
    past = sorted(span for span in spans if span <= int(moment[: len(str(span))]))
    if not past:
        raise DataError(
            f"Every span of {path!r} is after the scheduled time {scheduled_time}: {_list_some(spans)}.",
            "Put the data of that time there, or run without scheduled_time, which takes the newest span.",
        )
    return past


def read_moment(scheduled_time: str) -> str:
    """A scheduled time as fourteen digits, `YYYYMMDDhhmmss`.

    Raises:
        DataError: It is none.
    """
    match = _MOMENT.fullmatch(scheduled_time)
    if match is None:
        macro = " Kubeflow fills it in for recurring runs only, from release 2.16 on." if "[[" in scheduled_time else ""
        raise DataError(
            f"scheduled_time is {scheduled_time!r}, which is no time.{macro}",
            "Give [[ScheduledTime]] in a recurring run, a time such as 20261129060000 (UTC), or nothing.",
        )
    return "".join(part or "00" for part in match.groups())


def _check_dates(spans: Sequence[int], path: str) -> None:
    others = [span for span in spans if not _is_date(str(span))]
    if others:
        raise DataError(
            f"scheduled_time is given, but spans of {path!r} are no dates: {_list_some(others)}.",
            f"Name spans by dates ({', '.join(_DATE_DIGITS.values())}), or leave scheduled_time out.",
        )


def _is_date(digits: str) -> bool:
    day = int(digits[6:8] or 1)
    return len(digits) in _DATE_DIGITS and 1 <= int(digits[4:6]) <= 12 and 1 <= day <= 31


def _list_some(spans: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(spans)[:10]))
