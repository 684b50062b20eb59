"""The split's benchmark on a few rows: figures for every table and way, the same rows in training."""

from taxiway.pipeline.bench import split


def test_every_way_has_its_figures():
    measured = split.measure_tables(2000, 1)
    assert list(measured) == ["distinct", "discrete"]
    for ways in measured.values():
        assert list(ways) == ["content", "position", "occurrence"]
        assert all(figures["rows_per_second"] > 0 and figures["peak_mib"] > 0 for figures in ways.values())


def test_the_split_that_is_measured_has_its_share():
    table = split.make_table("discrete", 5000)
    assert abs(split._split_by_occurrence(table) - 3500) <= 1
    assert abs(split._split_by_position(table) - 3500) < 200
    assert 1500 < split._split_by_content(table) < 5000  # 128 kinds of rows, each on one side


def test_the_command_prints_a_line_a_way(capsys):
    assert split.main(rows=1000, rounds=1) == 0
    text = capsys.readouterr().out
    assert text.count("rows/s") == 6 and "1,000 rows" in text
