"""The example of months: what it writes and what it draws. `taxiway watch` itself has its own tests."""

import csv
import importlib.util
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "monthly_flights"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # a dataclass looks its module up
    spec.loader.exec_module(module)
    return module


def test_each_month_is_a_span_with_its_own_rows(tmp_path):
    files = load("split_months").write_months(tmp_path, 2)
    assert [str(file.relative_to(tmp_path)) for file in files] == ["201301/flights.csv", "201302/flights.csv"]
    for month, (file, count) in enumerate(zip(files, (27_004, 24_951), strict=True), 1):
        rows = list(csv.DictReader(file.open(newline="")))
        assert len(rows) == count and {row["month"] for row in rows} == {str(month)}


def test_the_plot_has_each_month_twice_and_a_hollow_mark_for_one_held_back():
    plot = load("plot_months")
    months = [plot.Month("201301", 0.67, 0.5, True), plot.Month("201302", 0.61, 0.62, False)]
    drawn = ET.fromstring(plot.draw_months(months))
    titles = [title.text for title in drawn.iter("{http://www.w3.org/2000/svg}title")]
    assert "201302: trained on the month 0.6100" in titles and len(titles) == 4
    assert plot.draw_months(months).count('fill="#ffffff" stroke') == 1
