"""The growth benchmark's figures, from runs that are made up."""

import pytest

from taxiway.components.errors import UsageError
from taxiway.pipeline.bench import growth
from taxiway.pipeline.tracking.run_record import NodeRecord, RunRecord


def run(rows, memory_mb=1000.0):
    nodes = (
        NodeRecord(node="ExampleGen", state="done", seconds=2 + rows / 50_000, peak_memory_mb=500),
        NodeRecord(node="Transform", state="done", seconds=10 + rows / 10_000, peak_memory_mb=memory_mb),
    )
    return RunRecord(run_id="x", state="live", started=0, ended=12 + rows * 12e-5, nodes=nodes)


def test_fixed_cost_and_slope():
    result = growth.compute_figures({rows: run(rows) for rows in (337_000, 15_000, 100_000)})
    assert result["rows"] == [15_000, 100_000, 337_000]
    transform = result["nodes"]["Transform"]
    assert transform["fixed_seconds"] == pytest.approx(10)
    assert transform["seconds_per_100k_rows"] == pytest.approx(10)
    assert transform["rows_per_second"][0] == pytest.approx(15_000 / 11.5)
    assert result["whole"]["fixed_seconds"] == pytest.approx(12)
    assert result["met"]


def test_too_much_memory_is_said(capsys):
    result = growth.compute_figures({1000: run(1000, memory_mb=5000.0)})
    assert not result["met"]
    assert result["nodes"]["Transform"]["seconds_per_100k_rows"] == 0.0, "one size has no slope"
    growth.print_figures(result)
    printed = capsys.readouterr().out
    assert "peak memory 4.66 GiB, target 4 GiB missed" in printed
    assert "Transform" in printed


def test_sizes():
    assert growth.parse_sizes("15k, 100k,1.5M,2000") == [15_000, 100_000, 1_500_000, 2_000]
    for wrong in ("", "many", "15k,,1m", "-3k", "10"):
        with pytest.raises(UsageError, match="no list of sizes"):
            growth.parse_sizes(wrong)


def test_the_command_passes_the_sizes_on(monkeypatch):
    from taxiway.pipeline import cli

    seen = {}
    monkeypatch.setattr(growth, "main", lambda **arguments: seen.update(arguments) or 0)
    assert cli.run(["bench", "pipeline", "--rows", "15k,100k", "--json"]) == 0
    assert seen == {"json": True, "rows": "15k,100k", "overrides": ()}


def test_rows_beyond_the_table_are_of_later_years() -> None:
    lines = [b"year,flight,time_hour\n", b"2013,2013,2013-01-01 05:00:00\n", b"2013,7,2013-12-31 05:00:00\n"]
    drawn = list(growth.draw_lines(lines, 5))
    assert drawn[:3] == lines
    assert drawn[3:] == [
        b"2014,2013,2014-01-01 05:00:00\n", b"2014,7,2014-12-31 05:00:00\n", b"2015,2013,2015-01-01 05:00:00\n",
    ]  # fmt: skip
    assert list(growth.draw_lines(lines, 1)) == lines[:2]
