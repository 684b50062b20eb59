"""Every figure on the page is the artifact's: what a table or card shows is compared with the file it came from."""

import json
import re
from html.parser import HTMLParser

import pytest

from taxiway.pipeline import report
from taxiway.pipeline.console import printing
from taxiway.pipeline.report import sections, statistics
from taxiway.pipeline.report.run_data import RunData
from taxiway.pipeline.report.sections.weights import describe_weights
from taxiway.pipeline.report.words import name_key
from taxiway.pipeline.root import Root as Place
from tests.pipeline.lineage.stores import memory_folder
from tests.pipeline.report import roots


@pytest.fixture(scope="module")
def run_data():
    with memory_folder() as folder:
        yield RunData.open_run(Place.at(roots.make(folder / "root").path), "run-live")


@pytest.fixture(scope="module")
def page(run_data):
    return Page(report.write_report(run_data.root, "run-live").read_text())


class Page(HTMLParser):
    """Tables (rows of texts), cards and figures of a report, by the section that holds them."""

    def __init__(self, html):
        super().__init__()
        self.section, self.tables, self.cards, self.figures = "", [], [], []
        self._open, self._text = [], None
        self.feed(html)
        charts = re.findall(r'<script type="application/json">(\{"data".*?)</script>', html, re.DOTALL)
        self.charts = {each["layout"]["title"]["text"]: each for each in map(json.loads, charts)}

    def handle_starttag(self, tag, attributes):
        kind = dict(attributes).get("class", "") or ""
        if tag == "section":
            self.section = dict(attributes).get("id", "")
        elif tag == "table":
            self.tables.append((self.section, []))
        elif tag == "tr":
            self.tables[-1][1].append([])
        elif tag in ("td", "th"):
            self._begin(self.tables[-1][1][-1])
        elif tag == "div" and kind.split()[:1] in (["column"], ["figure"], ["value"]):
            self._begin({"column": self.cards, "figure": self.figures, "value": []}[kind.split()[0]])
        if self._text is not None and tag in ("small", "span", "b", "p", "div"):
            self._text.append(" ")

    def _begin(self, place):
        self._text = []
        place.append(self._text)

    def handle_endtag(self, tag):
        if self._text is not None and tag in ("td", "th"):
            self.tables[-1][1][-1][-1] = " ".join("".join(self._text).split())
            self._text = None

    def handle_data(self, data):
        if self._text is not None:
            self._text.append(data)

    def find_table(self, section, head):
        """Rows of the first table of a section whose first heading is `head`, as dictionaries."""
        rows = next(rows for name, rows in self.tables if name == section and rows[0][0] == head)
        return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]

    def join(self, parts):
        return [" ".join("".join(each).split()) for each in parts]


def test_key_figures_are_the_record_s(page, run_data):
    run, figures = run_data.run, page.join(page.figures)
    rows = {name: split.rows for name, split in run_data.statistics.items()}
    assert figures[0] == f"AUC {run.main_value():.4f} 0.5000 is the baseline's"
    assert figures[1].startswith(f"rows {sum(rows.values()):,} train {rows['train']:,}, eval {rows['eval']:,}")
    assert figures[2] == f"variant frozen {run.variants[0].speedup:.2f}x as fast as trained"
    size = printing.format_bytes(run.variants[0].size_bytes)
    assert figures[3].startswith(f"size {size} p50 {run.variants[0].p50_ms:.2f} ms")


def test_metrics_and_their_intervals_are_those_of_evaluator_and_scores(page, run_data):
    known = json.loads((run_data.root.run_folder("run-live") / "scores.json").read_text())["intervals"]["Evaluator"]
    shown = page.find_table("evaluation", "slice")
    assert [row["slice"] for row in shown] == [values.slice for values in run_data.run.metrics["Evaluator"]]
    for row, values in zip(shown, run_data.run.metrics["Evaluator"], strict=True):
        mine, other = values.candidate["auc"], values.baseline["auc"]
        limits = known.get(values.slice, {}).get("auc", {})
        value = [f"{mine:.4f}", *_between(limits.get("value"), "")]
        change = [f"{mine - other:+.4f}", *_between(limits.get("change"), "+")]
        assert row["AUC"] == " ".join([*value, *change])
        assert row["rows"] == f"{values.rows:,}"


def _between(ends, sign):
    return [f"{ends[0]:{sign}.4f} … {ends[1]:{sign}.4f}"] if ends else []


def test_the_chart_of_slices_has_the_same_values(page, run_data):
    baseline, candidate = page.charts["AUC by slice"]["data"]
    values = run_data.run.metrics["Evaluator"][::-1]
    assert candidate["x"] == [each.candidate["auc"] for each in values]
    assert baseline["x"] == [each.baseline["auc"] for each in values]
    assert candidate["error_x"]["array"][-1] == pytest.approx(0.92 - 0.91)


def read_report(run_data, node, output):
    return json.loads((run_data.find_folder(node, output) / "report.json").read_text())


def test_variants_are_those_of_the_optimizer(page, run_data):
    content = read_report(run_data, "ModelOptimizer", "report")
    shown = {row["variant"]: row for row in page.find_table("optimization", "variant")}
    assert list(shown) == [variant["name"] for variant in content["variants"]]
    for variant in content["variants"]:
        row = shown[variant["name"]]
        if variant["status"] != "measured":
            assert row["size"] == row["AUC"] == row["p50, ms"] == "–"
            continue
        latency = variant["latencies"][0]
        assert float(row["p50, ms"]) == latency["p50_ms"] and float(row["p99, ms"]) == latency["p99_ms"]
        speed = latency["speedup"]
        assert row["faster by"] == f"{speed['value']:.2f}x [{speed['low']:.2f}, {speed['high']:.2f}]"
        assert row["size"] == printing.format_bytes(variant["size"]["bytes"])
        assert float(row["AUC"]) == variant["quality"]["value"]["value"]


def test_dot_plots_have_a_row_a_variant_with_its_interval(page, run_data):
    measured = [v for v in read_report(run_data, "ModelOptimizer", "report")["variants"] if v["status"] == "measured"]
    for title, read in (
        ("Speed", lambda variant: variant["latencies"][0]["speedup"]),
        ("Quality", lambda variant: variant["quality"]["value"]),
    ):
        figure = page.charts[title]
        drawn = {
            name: (value, value - below, value + above)
            for trace in figure["data"]
            for name, value, below, above in zip(
                trace["y"], trace["x"], trace["error_x"]["arrayminus"], trace["error_x"]["array"], strict=True
            )
        }
        expected = {v["name"]: tuple(read(v)[end] for end in ("value", "low", "high")) for v in measured}
        assert drawn == {name: pytest.approx(values) for name, values in expected.items()}
        assert figure["layout"]["yaxis"]["categoryarray"] == ["reference", "frozen"]  # the fastest is drawn on top
        assert {trace["name"] for trace in figure["data"]} == {"chosen", "others"}


def test_columns_are_those_of_the_statistics(page, run_data):
    cards = page.join(page.cards)
    splits = run_data.statistics
    assert len(cards) == len(splits["train"].columns)
    for card, column in zip(cards, splits["train"].columns.values(), strict=True):
        shares = {name: split.columns[column.name].missing_share for name, split in splits.items()}
        assert card.startswith(f"{column.name} {name_key(column.kind)}:")
        if column.mean is not None:
            assert f"{column.mean:,.4g} ± {column.std:,.3g}, from {column.low:,.4g} to {column.high:,.4g}" in card
        else:
            assert f"{column.unique:,} values" in card
        assert ("nothing missing" in card) == (not any(shares.values()))


def test_nodes_gates_and_training_are_those_of_the_record(page, run_data):
    gates = page.find_table("nodes", "gate")
    assert [(row["gate"], row["verdict"]) for row in gates] == [("DataGate", "passed")]
    assert gates[0]["numbers"] == "rows train 100"
    history = json.loads((run_data.find_folder("Trainer", "model") / "training/history.json").read_text())
    for row, point in zip(page.find_table("training", "step"), history["evaluations"], strict=True):
        assert int(row["step"]) == point["step"] and float(row["loss"]) == pytest.approx(point["loss"], rel=1e-3)
        assert float(row["eval AUC"]) == point["metrics"]["auc"]
    assert page.charts["Loss"]["data"][0]["y"] == [point["loss"] for point in history["evaluations"]]


def test_weights_of_a_linear_model_are_those_of_the_history(page, run_data):
    history = json.loads((run_data.find_folder("Trainer", "model") / "training/history.json").read_text())
    bias, *shown = page.find_table("training", "column")
    assert bias == {"column": "bias", "what of it": "of every row", "weight": "0.25"} and len(shown) == 200
    whats = ["times its z-score", "from its 12.5 % to its 18.8 % quantile", "= </script><b>", "= Cash", "= missing"]
    assert [row["what of it"] for row in shown[:5]] == whats
    told = [each["weights"][0] for each in history["linear_weights"]["weights"]]
    assert [float(row["weight"]) for row in shown] == pytest.approx(told[:200], rel=1e-3)
    bars = page.charts["Largest weights"]["data"][0]
    assert bars["x"] == told[:30] and bars["y"] == list(range(30))[::-1], "words of the same beginning keep their bars"


def test_weights_of_several_classes_have_a_column_and_a_chart_each():
    told = roots.linear_weights() | {"unit": "logits", "classes": ["a", "b", "<c>"], "bias": [0.0, 1.0, 2.0]}
    told["weights"] = [{**each, "weights": [*each["weights"], 0.0, i]} for i, each in enumerate(told["weights"])]
    section = describe_weights(told)
    assert section["columns"] == ["a", "b", "<c>"] and section["table"][1]["weights"] == [3.0, 0.0, 0]
    assert [figure["data"][0]["x"][0] for figure in section["figures"]] == [3.0, 0.0, len(told["weights"]) - 1]
    assert section["hidden"][1] == "1,234 smaller ones, up to 0.5, are nowhere but in the model"
    assert describe_weights(None) is None


def test_curves_are_those_of_the_scores(page, run_data):
    scores = json.loads((run_data.root.run_folder("run-live") / "scores.json").read_text())
    roc = next(chart for title, chart in page.charts.items() if title.startswith("ROC"))
    assert roc["data"][1]["x"] == scores["roc"]["x"] and roc["data"][1]["y"] == scores["roc"]["y"]
    assert f"{scores['auc'][0]:.4f}" in roc["layout"]["title"]["text"]
    for row, threshold in zip(page.find_table("evaluation", "threshold"), scores["thresholds"], strict=True):
        assert int(row["true positive"].replace(",", "")) == threshold["true_positive"]
        assert row["recall"] == f"{threshold['recall']:.3f}"


def test_importance_is_the_explainer_s(page, run_data):
    content = json.loads((run_data.find_folder("ModelExplainer", "explanation") / "explanation.json").read_text())
    for row, entry in zip(page.find_table("explanation", "column"), content["importance"], strict=True):
        assert row["AUC is worse by"] == f"{entry['mean']:.4f}"
        assert row["95 % interval"] == f"{entry['limits'][0]:.4f} … {entry['limits'][1]:.4f}"


def test_a_version_that_is_not_live_any_more_is_not_called_live():
    with memory_folder() as folder:
        root = roots.make(folder / "root")
        place, pushed = Place.at(root.path), root.serving.find_live().number
        first = sections.describe_outcome(RunData.open_run(place, "run-live"))
        assert first["words"] == f"Live: version {pushed}" and first["state"] == "live" and not first["now"]
        root.run("run-later", span=3)
        live = root.serving.find_live().number
        outcome = sections.describe_outcome(RunData.open_run(place, "run-live"))
        assert outcome["words"] == f"Pushed: version {pushed}" and outcome["state"] == "done"
        assert outcome["now"] == f"Live now: version {live}."


def column(name, kind="int", low=0.0, high=10.0):
    cdf = ((low, 0.0), (high, 1.0))
    return statistics.ColumnStatistics(name, kind, 100, 7, (low + high) / 2, 1.0, low, high, cdf=cdf)


def test_cards_mark_label_and_unused_and_name_units_and_dates():
    from taxiway.pipeline.report.sections.data import ColumnRoles, _describe_columns

    config = {
        "label": {"column": "y"},
        "features": {"leave_out": {"tips": "gives the answer away"}, "categorical": ["tract"]},
    }
    columns = (
        column("tips"), column("started_at", low=1_357_000_200.0, high=1_483_116_300.0), column("trip_miles", "float"),
        column("tract", low=17e9, high=18e9), column("Fare (USD)", "float"), column("y", high=1.0),
    )  # fmt: skip
    split = statistics.SplitStatistics(100, {each.name: each for each in columns})
    cards = {c["name"]: c for c in _describe_columns({"train": split}, {}, ColumnRoles.of(config))["columns"]}
    assert list(cards) == ["y", "started_at", "trip_miles", "tract", "Fare (USD)", "tips"]
    assert cards["y"]["is_label"] and cards["tips"]["unused"] == "gives the answer away"
    assert cards["started_at"]["facts"] == "from 2013-01-01 to 2016-12-30" and cards["started_at"]["kind"] == "time"
    assert cards["started_at"]["axis"][0].startswith("2013-01-")
    assert cards["trip_miles"]["axis"][1] == "miles" and "miles" in cards["trip_miles"]["facts"]
    assert cards["Fare (USD)"]["axis"][1] == "USD"
    assert cards["tract"]["facts"] == "from 17,000,000,000 to 18,000,000,000" and cards["tract"]["kind"] == "code"
    assert cards["trip_miles"]["missing"] == {"train": 0.07}


def test_of_three_hundred_columns_none_is_lost():
    from taxiway.pipeline.report.sections.data import MOST_COLUMNS, ColumnRoles, _describe_columns

    columns = {f"c{number}": column(f"c{number}") for number in range(300)}
    described = _describe_columns({"train": statistics.SplitStatistics(100, columns)}, {}, ColumnRoles())
    assert len(described["columns"]) == MOST_COLUMNS and len(described["more_columns"]) == 300 - MOST_COLUMNS


@pytest.mark.parametrize(
    ("path", "span", "shown"),
    [("rows.csv", 0, None), ("rows-{SPAN}.csv", 0, 0), ("rows-{SPAN:4}.csv", 7, 7), (None, 0, None), (None, 3, 3)],
)
def test_a_span_is_told_only_where_there_are_spans(path, span, shown):
    from taxiway.pipeline.report.sections.data import _find_span

    assert _find_span({"data": {"path": path}} if path else {}, span) == shown
