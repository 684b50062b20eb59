"""Which spans a run reads that was scheduled for a moment."""

from __future__ import annotations

import pytest

from taxiway.components.errors import DataError
from taxiway.components.tables.config import TableConfig
from taxiway.components.tables.sources.scheduled_spans import resolve_spans, select_past_spans


@pytest.fixture
def days(tmp_path):
    for day in (20251230, 20251231, 20260101):
        (tmp_path / f"{day}.csv").write_text("a\n1\n")
    return TableConfig(path=f"{tmp_path}/{{SPAN}}.csv")


@pytest.mark.parametrize(
    ("spans", "moment", "read"),
    [
        ("latest", "", "20260101"),
        ("latest", "20251231235959", "20251231"),
        ("latest", "2025-12-31T06:00:00Z", "20251231"),
        ("latest", "20260101000000", "20260101"),
        ("all", "", "all"),
        ("all", "20251231060000", "20251230..20251231"),
        ("20251230", "20251231060000", "20251230"),
        ("3..7", "20251231060000", "3..7"),
    ],
)
def test_the_spans_of_a_moment(days, spans, moment, read):
    assert resolve_spans(days.model_copy(update={"spans": spans}), moment) == read


def test_a_path_without_spans_has_none_to_choose():
    assert resolve_spans(TableConfig(path="/nowhere/rows.csv"), "20260101000000") == "latest"


@pytest.mark.parametrize(
    ("spans", "moment", "past"),
    [
        ([202511, 202512, 202601], "20251201000000", [202511, 202512]),
        ([2026010105, 2026010106], "20260101055959", [2026010105]),
    ],
)
def test_dates_of_other_lengths(spans, moment, past):
    assert select_past_spans(spans, moment, "x{SPAN}") == past


@pytest.mark.parametrize(
    ("spans", "moment", "said"),
    [
        ([20260101], "20251231000000", "Every span of 'x{SPAN}' is after"),
        ([1, 2, 3], "20251231000000", "are no dates: 1, 2, 3"),
        ([20261301], "20270101000000", "are no dates: 20261301"),
        ([20260101], "yesterday", "which is no time"),
        ([20260101], "[[ScheduledTime]]", "recurring runs only"),
        ([20260101], "2026", "which is no time"),
    ],
)
def test_what_cannot_be_compared_is_said(spans, moment, said):
    with pytest.raises(DataError) as raised:
        select_past_spans(spans, moment, "x{SPAN}")
    assert said in str(raised.value)
