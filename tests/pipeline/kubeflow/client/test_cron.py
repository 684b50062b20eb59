"""Schedules as a crontab writes them, against what `robfig/cron` 1.2.0 answered for the same texts."""

from __future__ import annotations

import pytest

from taxiway.components.errors import UsageError
from taxiway.pipeline.kubeflow.client.cron import to_server_cron


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("0 6 * * 1", "0 0 6 * * 1"),  # as it stands robfig takes it for minute 6 of every hour in January
        ("*/15 * * * *", "0 */15 * * * *"),
        ("0 6 * * 7", "0 0 6 * * 0"),  # robfig: End of range (7) above maximum (6)
        ("0 6 * * mon-fri", "0 0 6 * * mon-fri"),
        ("0 6 1 * 1", "0 0 6 1 * 1"),
        ("30 0 6 ? * MON", "30 0 6 ? * MON"),
        ("0 6 29 2 *", "0 0 6 29 2 *"),
        ("0 5/10 * * * *", "0 5/10 * * * *"),
        ("0 6 30 2 1", "0 0 6 30 2 1"),  # day of the month or of the week: Mondays in February
        ("@daily", "@daily"),
        ("@every 1h30m", "@every 1h30m"),
        ("  0  6 * *  1 ", "0 0 6 * * 1"),
    ],
)
def test_what_is_sent(written, sent):
    assert to_server_cron(written) == sent


@pytest.mark.parametrize(
    "written",
    [
        "",
        "0 6 * *",
        "0 0 6 * * 1 2026",
        "60 6 * * *",
        "0 24 * * *",
        "0 6 0 * *",
        "0 6 * 13 *",
        "0 6 * * 8",
        "0 0 6 * * 7",
        "5-1 6 * * *",
        "*/0 6 * * *",
        "0 6 L * *",
        "0 6 * * 1#2",
        "0 6 * * fri-mon",
        "0 6 1-2-3 * *",
        "0 6 1/2/3 * *",
        "-1 6 * * *",
        ", 6 * * *",
        "٣ 6 * * *",
        "@reboot",
        "@Weekly",
        "@every 1d",
        "@every",
        "@every 0s",
        "every monday",
    ],
)
def test_what_the_server_refuses_is_refused_here(written):
    with pytest.raises(UsageError) as caught:
        to_server_cron(written)
    assert (repr(written) in caught.value.problem and "0 6 * * 1" in str(caught.value)) or "At least 60 s" in str(
        caught.value
    )


@pytest.mark.parametrize("written", ["0 6 30 2 *", "0 6 31 2,4 *", "0 0 6 31 jun ?"])
def test_a_day_that_there_is_not_would_never_start_a_run(written):
    """The server takes these, and its next time is the year 1."""
    with pytest.raises(UsageError, match="no such day"):
        to_server_cron(written)
