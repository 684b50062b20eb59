import numpy as np
import pytest
from sklearn import metrics as sklearn
from tensorflow_metadata.proto.v0 import statistics_pb2

from components.errors import UsageError
from pipeline import report
from pipeline.bench import lineage as bench
from pipeline.layout import Root as Place
from pipeline.lineage import LineageGraph
from pipeline.lineage.page import render
from pipeline.report import compare, curves, statistics
from tests.pipeline.lineage.stores import memory_folder
from tests.pipeline.report import browser, roots

SECTIONS = ["way", "data", "schema", "training", "evaluation", "optimization", "serving", "lineage", "environment"]


@pytest.fixture(scope="module")
def root():
    with memory_folder() as folder:
        yield Place.at(roots.make(folder / "root").path)


@pytest.fixture(scope="module")
def pages(root):
    return {run: report.write(root, run) for run in ("run-live", "run-blocked", "run-failed")}


@pytest.fixture(scope="module")
def page():
    if browser.CHROMIUM is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with browser.chromium() as made:
        yield made


def test_a_live_run_has_every_section_in_one_small_file(root, pages):
    html = pages["run-live"].read_text()
    assert pages["run-live"] == root.reports / "run-live.html"
    assert all(f'<section class="card" id="{name}"' in html for name in SECTIONS)
    assert "cannot be read" not in html
    assert len(html) < 5_000_000
    assert "Live: version" in html and "no converter" in html
    assert "0.9000 … 0.9200" in html and "+0.3500 … +0.4700" in html


def test_values_of_the_data_are_text_never_markup(pages):
    html = pages["run-live"].read_text()
    assert "<b>Red</b>" not in html and "&lt;b&gt;Red" in html
    assert "payment_type=</script>" not in html


def test_a_blocked_run_says_by_which_gate_and_what_moved(pages):
    html = pages["run-blocked"].read_text()
    assert "Blocked" in html and "30 % of the rows have no value" in html
    assert "Moved since run run-live" in html and "min_fraction" in html
    assert 'id="training"' not in html


def test_a_failed_run_says_how_to_go_on(pages):
    html = pages["run-failed"].read_text()
    assert "out of memory" in html and "go on with" in html


def test_a_damaged_artifact_costs_its_section_only(root, tmp_path):
    history = root.artifacts / "Trainer/model/run-live/training/history.json"
    text = history.read_text()
    history.write_text("{")
    try:
        html = report.write(root, "run-live", tmp_path / "page.html").read_text()
    finally:
        history.write_text(text)
    assert html.count("This part cannot be read") == 1


def test_unknown_runs_are_refused(root):
    with pytest.raises(UsageError, match="no run 'run-x'"):
        report.write(root, "run-x")


def test_two_runs_compared(root):
    found = compare.compare(root, "run-live", "run-blocked")
    assert ("training.epochs", 3, 4) in found.parameters
    assert [name for name, _, _ in found.schema] == ["company"]
    assert found.drift[0][1] == "fare" and found.drift[0][2] == pytest.approx(2.5)
    assert ("state", "live", "blocked") in found.outcome
    assert ("Evaluator", "overall", "auc", 0.91, None) in found.metrics
    same = compare.compare(root, "run-live", "run-live")
    assert not (same.drift or same.schema or same.parameters or same.code)
    assert compare.rendered(found) and same.to_json()["version"] == 1


def test_curves_agree_with_scikit_learn():
    random = np.random.default_rng(3)
    labels = random.integers(0, 2, 400)
    values = np.round(labels * 0.3 + random.uniform(0, 0.7, 400), 2)  # rounded: ties
    drawn = curves.binary(labels, values)
    assert drawn["auc"][0] == pytest.approx(sklearn.roc_auc_score(labels, values))
    assert drawn["auc"][1] < drawn["auc"][0] < drawn["auc"][2]
    at = next(each for each in drawn["thresholds"] if each["threshold"] == 0.5)
    said = values >= 0.5
    right, wrong, missed, hit = sklearn.confusion_matrix(labels, said).ravel()
    cells = [at[name] for name in ("true_negative", "false_positive", "false_negative", "true_positive")]
    assert cells == [right, wrong, missed, hit]
    assert at["precision"] == pytest.approx(sklearn.precision_score(labels, said))
    assert np.isnan(curves.auc(np.ones(3, bool), np.arange(3.0)))


def column(kind, low, high, *histograms):
    made = statistics_pb2.FeatureNameStatistics(name="x", type={"int": 0, "float": 1}[kind])
    made.num_stats.min, made.num_stats.max = low, high
    for number, buckets in enumerate(histograms):
        histogram = made.num_stats.histograms.add(type=number)
        for a, b, count in buckets:
            histogram.buckets.add(low_value=a, high_value=b, sample_count=count)
    return statistics._readable(made, 100)


def test_an_outlier_hides_no_distribution():
    """One row at 1,000 puts all others into one of the equally wide buckets; the quantiles still tell them apart."""
    standard = [(0, 500, 99), (500, 1000, 1)]
    quantiles = [(0, 1, 25), (1, 2, 25), (2, 3, 25), (3, 1000, 25)]
    made = column("float", 0, 1000, standard, quantiles)
    found = statistics.shares(made, [0, 1, 2, 3])
    assert found == pytest.approx([0.25, 0.25, 0.25])
    assert sum(statistics.shares(made, statistics.edges(made))) == pytest.approx(0.99, abs=0.011)


def test_few_whole_numbers_get_a_bar_each():
    buckets = [(1 + 0.6 * step, 1.6 + 0.6 * step, count) for step, count in enumerate([4, 0, 0, 3, 0, 0, 2, 0, 0, 1])]
    made = column("int", 1, 7, buckets)
    assert statistics.edges(made) == (0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5)
    assert statistics.shares(made, statistics.edges(made)) == pytest.approx([0.4, 0, 0.3, 0, 0.2, 0, 0.1])


def test_what_never_varies_has_no_bars():
    assert statistics.edges(column("int", 3, 3, [(3, 3, 10)])) == ()


def test_multiclass_and_regression_curves():
    drawn = curves.multiclass(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]))
    assert drawn["confusion"] == [[1, 0], [1, 1]]
    residuals = curves.regression(np.arange(50.0), np.arange(50.0)[:, None] + 1)["residuals"]
    assert sum(residuals["share"]) == pytest.approx(1.0)


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("run", ["run-live", "run-blocked", "run-failed"])
def test_in_a_real_browser(page, pages, run, width):
    page.events.clear()
    page.open(pages[run], width)
    page.wait("document.documentElement.dataset.charts !== undefined")
    assert page.troubles() == []
    assert page.requests() == []
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    assert page.run(
        "[...document.querySelectorAll('main > section')].every(s => s.getBoundingClientRect().height > 40)"
    )
    drawn = page.run("[...document.querySelectorAll('.chart')].filter(c => c.querySelector('.main-svg')).length")
    assert drawn == page.run("document.querySelectorAll('.chart').length")
    assert (drawn > 8) == (run == "run-live")


def test_a_thousand_nodes_can_be_searched_and_clicked(page, tmp_path):
    bench.make(Place.at(tmp_path), 33)
    graph = LineageGraph.whole(tmp_path)
    assert len(graph) > 1000
    (tmp_path / "graph.html").write_text(render(graph))
    page.events.clear()
    page.open(tmp_path / "graph.html")
    page.wait(f"document.querySelectorAll('.lineage .node').length === {len(graph)}")
    search = "document.querySelector('.lineage input')"
    page.run(
        f"(() => {{ const s = {search}; s.value = 'pusher'; s.dispatchEvent(new Event('input')); "
        "s.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter'})); })()"
    )
    page.wait("document.querySelector('.lineage-side h4')?.textContent === 'Pusher'")
    shown = page.run("document.querySelector('.lineage .node.chosen rect').getBoundingClientRect().width")
    assert shown > 80, "readable: at least half of its natural width"
    assert page.troubles() == [] and page.requests() == []


def test_the_confusion_matrix_is_one(page, pages):
    page.open(pages["run-live"])
    rows = page.run("[...document.querySelectorAll('.confusion tr')].map(r => [...r.cells].map(c => c.innerText))")
    assert rows[0][1:] == ["a", "b", "c"] and rows[3] == ["c", "2", "0", "3"]
    lefts = (
        "[...document.querySelectorAll('.confusion tr')].map(r => Math.round(r.cells[2].getBoundingClientRect().left))"
    )
    assert len(set(page.run(lefts))) == 1


def test_the_lineage_graph_answers_a_click_a_search_and_keys(page, pages):
    page.open(pages["run-live"])
    page.click("document.querySelector('.lineage [data-zoom=fit]')")
    nodes = "[...document.querySelectorAll('.lineage .node.execution')]"
    page.click(f"{nodes}.find(n => n.textContent.includes('Trainer')).querySelector('rect')")
    page.wait("document.querySelector('.lineage-side h4')?.textContent === 'Trainer'")
    assert page.run("document.querySelectorAll('.lineage .edge.lit').length") > 3
    assert page.run("document.querySelectorAll('.lineage .node.faded').length") > 0
    search = "document.querySelector('.lineage input')"
    page.run(f"(() => {{ const s = {search}; s.value = 'pusher'; s.dispatchEvent(new Event('input')); }})()")
    assert page.run("document.querySelectorAll('.lineage .node:not(.faded)').length") == 1
    page.run("document.querySelector('.lineage svg').focus()")
    page.call("Input.dispatchKeyEvent", type="keyDown", key="Escape")
    assert page.run("document.querySelectorAll('.lineage .faded').length") == 0


def test_on_paper_nothing_is_cut_off(page, pages):
    page.open(pages["run-live"], 718)  # A4 within its margins
    page.wait("document.documentElement.dataset.charts === 'drawn'")
    page.call("Emulation.setEmulatedMedia", media="print")
    page.run("dispatchEvent(new Event('beforeprint'))")
    try:
        wide = "[...document.querySelectorAll('.scroll, .chart')].filter(e => e.scrollWidth > e.clientWidth + 8).length"
        page.wait(f"{wide} === 0")
        assert page.run("document.documentElement.scrollWidth") <= 718
        assert page.call("Page.printToPDF")["data"].startswith("JVBERi")  # %PDF-
    finally:
        page.call("Emulation.setEmulatedMedia", media="")


def test_dark_and_light(page, pages):
    page.open(pages["run-live"])
    page.wait("document.documentElement.dataset.charts === 'drawn'")
    colours = {page.run("getComputedStyle(document.body).backgroundColor")}
    for theme in ("light", "dark"):
        page.click("document.getElementById('theme')")
        assert page.run("document.documentElement.dataset.theme") == theme
        colours.add(page.run("getComputedStyle(document.body).backgroundColor"))
    assert len(colours) == 2
    assert page.troubles() == []
