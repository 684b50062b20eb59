"""The report's plot shows the report's numbers: made from variants that are made up."""

import json
import re

import pytest
from plotly.offline import get_plotlyjs_version

from taxiway.components.optimizer import plot
from taxiway.components.optimizer.report import OptimizerDecision, OptimizerReport
from tests.components.optimizer.test_decision import variant


def make_report(*others):
    variants = [variant("reference"), *others]
    decision = OptimizerDecision(
        chosen="fast", objective="latency", batch_size=32, reasons=[], pareto=["fast", "reference"]
    )
    return OptimizerReport.model_construct(
        metric="auc", label="tip <usd>", decision=decision, variants=variants, task="binary"
    )


@pytest.fixture
def report():
    wrong = variant("worse", 4.0, drop=0.01, size=250)
    wrong.rejected = ["quality <drops> by 0.01"]
    failed = variant("failed")
    failed.quality = None
    return make_report(variant("fast", 2.0, drop=0.002, size=500), wrong, failed)


def test_every_measured_variant_is_drawn_where_it_was_measured(report):
    front, chosen, kept, rejected = plot.build_figure(report).data
    drawn = {trace.name: (trace.text, trace.x, trace.y) for trace in (chosen, kept, rejected)}
    assert drawn == {
        "chosen": (("fast",), (0.5,), (0.798,)),
        "kept": (("reference",), (1.0,), (0.8,)),
        "rejected": (("worse",), (0.25,), (0.79,)),
    }
    assert (front.x, front.y) == ((0.5, 1.0), (0.798, 0.8)), "the front in the decision's order"
    assert chosen.error_y.array == pytest.approx((0.0005,))


def test_the_area_of_a_point_is_the_size_of_the_variant(report):
    _, chosen, kept, rejected = plot.build_figure(report).data
    areas = [trace.marker.size[0] ** 2 for trace in (kept, chosen, rejected)]
    assert areas == pytest.approx([areas[0], areas[0] / 2, areas[0] / 4])
    assert len({trace.marker.color for trace in (kept, chosen, rejected)}) == 3


def test_a_point_says_its_numbers_and_why_it_was_rejected(report):
    _, _, _, rejected = plot.build_figure(report).data
    assert rejected.hovertext == (
        "<b>worse</b><br>4.00 times as fast (whole path)<br>0.000 MB, 4.00 times smaller<br>"
        "quality &lt;drops&gt; by 0.01",
    )


def test_the_page_holds_the_figure_and_plotly(report, tmp_path):
    plot.write_plot(report, tmp_path)
    html = (tmp_path / plot.PLOT_FILE).read_text()
    figure = plot.build_figure(report)
    traces, layout = re.search(r"Plotly\.newPlot\(\s*\"[^\"]+\",\s*(\[.*?\]),\s*(\{.*?\}),\s*\{", html, re.S).groups()
    assert json.loads(traces) == json.loads(figure.to_json())["data"]
    assert json.loads(layout)["title"]["text"].startswith("tip &lt;usd&gt;: auc against time")
    assert f"plotly.js v{get_plotlyjs_version()}" in html, "the script is in the page"


def test_one_variant_alone_is_no_plot(tmp_path):
    report = make_report()
    assert plot.build_figure(report) is None
    plot.write_plot(report, tmp_path)
    assert not list(tmp_path.iterdir())
