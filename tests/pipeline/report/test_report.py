import json
from importlib import metadata

import numpy as np
import pytest
from sklearn import metrics as sklearn
from sklearn.calibration import calibration_curve
from tensorflow_metadata.proto.v0 import statistics_pb2

from taxiway.components.errors import UsageError
from taxiway.pipeline import report
from taxiway.pipeline.bench import lineage as bench
from taxiway.pipeline.console import printing
from taxiway.pipeline.lineage import LineageGraph
from taxiway.pipeline.lineage.views.page import render_page
from taxiway.pipeline.report import compare, curves, statistics
from taxiway.pipeline.root import Root as Place
from tests.pipeline.lineage.stores import memory_folder
from tests.pipeline.report import browser, roots

SECTIONS = ["nodes", "data", "schema", "training", "evaluation", "optimization", "serving", "lineage", "environment"]


@pytest.fixture(scope="module")
def root():
    with memory_folder() as folder:
        yield Place.at(roots.make(folder / "root").path)


@pytest.fixture(scope="module")
def pages(root):
    return {run: report.write_report(root, run) for run in ("run-live", "run-blocked", "run-failed")}


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
    assert "which also stopped training and chose the checkpoint, the threshold and the variant, as far as" in html


def test_values_of_the_data_are_text_never_markup(pages):
    html = pages["run-live"].read_text()
    assert "<b>Red</b>" not in html and "&lt;b&gt;Red" in html
    assert "payment_type=</script>" not in html


def test_a_profiled_run_has_its_timeline(root):
    folder = root.run_folder("run-failed")
    span = {"process": 7, "program": "<i>", "component": "<b>Trainer", "phase": "trace", "what": "<u>", "start": 10.0}
    (folder / "profile.jsonl").write_text(json.dumps({**span, "end": 12.5}) + "\n")
    try:
        html = report.write_report(root, "run-failed", folder / "page.html").read_text()
    finally:
        (folder / "profile.jsonl").unlink()
    assert '<section class="card" id="profile"' in html
    assert "2.5 s, of which the phases explain 100.0 %" in html
    assert '<rect class="phase-trace" x="170.00" y="3" width="830.00" height="12">' in html
    assert "&lt;b&gt;Trainer" in html and "<b>Trainer" not in html and "<u>" not in html


def test_a_page_that_does_not_wait_for_scores_says_so(root):
    page = root.path / "early.html"
    html = report.write_report(root, "run-live", page, without_scores="the scores were not ready").read_text()
    assert "No curves: the scores were not ready" in html
    assert "95 % interval</p>" not in html and "Confusion matrix" not in html


def test_a_blocked_run_says_by_which_gate_and_what_moved(pages):
    html = pages["run-blocked"].read_text()
    assert "Blocked" in html and "30 % of the rows have no value" in html
    assert "Moved since run run-live" in html and "min_fraction" in html
    assert 'id="training"' not in html


def test_a_failed_run_says_how_to_go_on(pages):
    html = pages["run-failed"].read_text()
    assert "out of memory" in html and "go on with" in html


def test_versions_are_those_of_the_run_and_not_of_the_reader(pages):
    live, blocked, failed = (_environment_of(pages[run]) for run in ("run-live", "run-blocked", "run-failed"))
    assert "<span>tensorflow</span><b>2.98.0</b>" in live and "<span>tensorflow</span><b>2.99.0</b>" in blocked
    assert "<span>stack</span><b>tf216</b>" in live and "<span>stack</span><b>current</b>" in blocked
    assert "<span>python</span><b>3.99.1</b>" in live and "<span>platform</span><b>Plan9 mips</b>" in live
    assert "a processor" in live and "3.98.0" not in live, "the record is preferred to the optimizer's report"
    assert "recorded no versions" in failed and metadata.version("tensorflow") not in failed
    assert "recorded no versions" not in live


def _environment_of(page):
    return page.read_text().partition('id="environment"')[2].partition("Configuration")[0]


@pytest.mark.parametrize(
    ("artifact", "content", "said"),
    [
        ("Trainer/model/run-live/training/history.json", "{", ""),
        ("Trainer/model/run-live/training/history.json", '{"version": 2}', "a training history of format version 2"),
        ("ServingValidator/report/run-live/report.json", '{"version": 2}', "a serving report of format version 2"),
    ],
)
def test_an_unreadable_artifact_costs_its_section_only(root, tmp_path, artifact, content, said):
    file = root.artifacts / artifact
    text = file.read_text()
    file.write_text(content)
    try:
        html = report.write_report(root, "run-live", tmp_path / "page.html").read_text()
    finally:
        file.write_text(text)
    assert html.count("This part cannot be read") == 1 and said in html


def test_unknown_runs_are_refused(root):
    with pytest.raises(UsageError, match="no run 'run-x'"):
        report.write_report(root, "run-x")


def test_two_runs_compared(root):
    found = compare.compare_runs(root, "run-live", "run-blocked")
    assert ("training.epochs", 3, 4) in found.parameters
    assert [name for name, _, _ in found.schema] == ["company"]
    assert found.drift[0][1] == "fare" and found.drift[0][2] == pytest.approx(2.5)
    assert ("state", "live", "blocked") in found.outcome
    assert ("Evaluator", "overall", "auc", 0.91, None) in found.metrics
    assert found.environment == [
        ("stack", "tf216", "current"),
        ("tensorflow", "2.98.0", "2.99.0"),
        ("tfx", "1.16.0", "1.21.0"),
    ]
    same = compare.compare_runs(root, "run-live", "run-live")
    assert same.environment == []
    assert not (same.drift or same.schema or same.parameters or same.code)
    assert same.to_json()["version"] == 1


def test_a_run_without_versions_is_compared(root, capsys):
    found = compare.compare_runs(root, "run-live", "run-failed")
    assert ("tensorflow", "2.98.0", None) in found.environment
    unknown = compare.compare_runs(root, "run-failed", "run-failed")
    assert unknown.environment is None
    printing.print_renderable(compare.render_comparison(unknown))
    printed = capsys.readouterr().out
    assert "Not recorded: environment, by run-failed." in printed
    assert "environment" not in printed.partition("The same in both: ")[2].partition("\n")[0]


def test_a_comparison_on_a_terminal(root, capsys):
    printing.print_renderable(compare.render_comparison(compare.compare_runs(root, "run-live", "run-blocked")))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["training.epochs", "3", "4"] in lines
    assert ["state", "live", "blocked"] in lines
    assert ["Evaluator", "overall", "auc", "0.9100", "–", "–"] in lines
    assert ["train", "fare", "2.5000", "shift", "of", "the", "mean", "in", "standard", "deviations"] in lines
    assert ["tensorflow", "2.98.0", "2.99.0"] in lines
    assert ["Transform", "5.0", "s", "skipped"] in lines
    assert " ".join(lines[-1]) == "Not recorded: code, by run-live and run-blocked."
    assert "same" not in lines[-2]


def test_the_same_run_twice_differs_in_nothing(root, capsys):
    printing.print_renderable(compare.render_comparison(compare.compare_runs(root, "run-live", "run-live")))
    printed = capsys.readouterr().out
    assert printed.splitlines()[-2] == "The same in both: schema, parameters, environment, statistics."
    assert printed.splitlines()[-1] == "Not recorded: code, by run-live."
    assert ["Evaluator", "overall", "auc", "0.9100", "0.9100", "0"] in [line.split() for line in printed.splitlines()]


def test_settings_that_were_changed_come_before_those_that_only_one_run_has(capsys):
    new_keys = [(f"data.new_{i}", None, 0) for i in range(compare.SHOWN)]
    found = compare.RunComparison("a", "b", parameters=[*new_keys, ("training.warm_start", "none", "live")])
    printing.print_renderable(compare.render_comparison(found))
    said = capsys.readouterr().out
    assert said.index("training.warm_start") < said.index("data.new_0") and "and 1 more" in said


def test_curves_agree_with_scikit_learn():
    random = np.random.default_rng(3)
    labels = random.integers(0, 2, 400)
    values = np.round(labels * 0.3 + random.uniform(0, 0.7, 400), 2)  # rounded: ties
    drawn = curves.summarize_binary(labels, values, 0.37)
    assert drawn["auc"][0] == pytest.approx(sklearn.roc_auc_score(labels, values))
    assert drawn["auc"][1] < drawn["auc"][0] < drawn["auc"][2]
    at = next(each for each in drawn["thresholds"] if each["threshold"] == drawn["threshold"] == 0.37)
    assert [each["threshold"] for each in drawn["thresholds"]] == sorted([*curves.THRESHOLDS, 0.37])
    said = values > np.float32(0.37)  # as the served graph compares
    right, wrong, missed, hit = sklearn.confusion_matrix(labels, said).ravel()
    cells = [at[name] for name in ("true_negative", "false_positive", "false_negative", "true_positive")]
    assert cells == [right, wrong, missed, hit]
    assert at["precision"] == pytest.approx(sklearn.precision_score(labels, said))
    assert drawn["confusion"] == sklearn.confusion_matrix(labels, said).tolist()
    shares, means = calibration_curve(labels, values, n_bins=15, strategy="uniform")
    counts = np.bincount(np.searchsorted(np.linspace(0, 1, 16)[1:-1], values), minlength=15)
    assert drawn["ece"][0] == pytest.approx((np.abs(shares - means) * counts[counts > 0]).sum() / 400)
    assert drawn["ece"][1] < drawn["ece"][0] < drawn["ece"][2]
    assert np.isnan(curves.compute_auc(np.ones(3, bool), np.arange(3.0)))


def column(kind, low, high, *histograms):
    made = statistics_pb2.FeatureNameStatistics(name="x", type={"int": 0, "float": 1}[kind])
    made.num_stats.min, made.num_stats.max = low, high
    for number, buckets in enumerate(histograms):
        histogram = made.num_stats.histograms.add(type=number)
        for a, b, count in buckets:
            histogram.buckets.add(low_value=a, high_value=b, sample_count=count)
    return statistics._try_parse_column(made, 100)


def test_an_outlier_hides_no_distribution():
    """One row at 1,000 puts all others into one of the equally wide buckets; the quantiles still tell them apart."""
    standard = [(0, 500, 99), (500, 1000, 1)]
    quantiles = [(0, 1, 25), (1, 2, 25), (2, 3, 25), (3, 1000, 25)]
    made = column("float", 0, 1000, standard, quantiles)
    found = statistics.compute_shares(made, [0, 1, 2, 3])
    assert found == pytest.approx([0.25, 0.25, 0.25])
    assert sum(statistics.compute_shares(made, statistics.compute_edges(made))) == pytest.approx(0.99, abs=0.011)


def test_few_whole_numbers_get_a_bar_each():
    buckets = [(1 + 0.6 * step, 1.6 + 0.6 * step, count) for step, count in enumerate([4, 0, 0, 3, 0, 0, 2, 0, 0, 1])]
    made = column("int", 1, 7, buckets)
    assert statistics.compute_edges(made) == (0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5)
    assert statistics.compute_shares(made, statistics.compute_edges(made)) == pytest.approx(
        [0.4, 0, 0.3, 0, 0.2, 0, 0.1]
    )


def test_what_never_varies_has_no_bars():
    assert statistics.compute_edges(column("int", 3, 3, [(3, 3, 10)])) == ()


def test_multiclass_and_regression_curves():
    drawn = curves.summarize_multiclass(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]))
    assert drawn["confusion"] == [[1, 0], [1, 1]]
    assert len(drawn["ece"]) == 1  # three rows have no interval
    drawn = curves.summarize_regression(np.arange(50.0), np.arange(50.0)[:, None] + 1)
    assert sum(drawn["residuals"]["share"]) == pytest.approx(1.0)
    assert {(each["residual"], each["absolute"]) for each in drawn["error_quantiles"]} == {(1.0, 1.0)}


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


FRAME = """<iframe sandbox="allow-scripts" src="about:blank" width="1200" height="900"></iframe><script>
addEventListener("message", (event) => { window.told = event.data; });
document.querySelector("iframe").srcdoc = %s;
</script>"""
TELL = """<script>addEventListener("error", (event) => parent.postMessage({ error: event.message }, "*"));
setInterval(() => {
  const all = [...document.querySelectorAll(".chart")], charts = document.documentElement.dataset.charts;
  const drawn = all.filter((chart) => chart.querySelector(".main-svg")).length;
  parent.postMessage({ charts, all: all.length, drawn }, "*");
}, 200);</script>"""


def test_in_the_frame_of_kubeflows_page(page, pages, tmp_path):
    """`HTMLViewer.tsx`: the text becomes `srcdoc` of a frame that may run scripts, and has no origin of its own."""
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME % json.dumps(pages["run-live"].read_text() + TELL).replace("</", "<\\/"))
    page.events.clear()
    page.open(frame)
    page.wait("window.told?.charts !== undefined || window.told?.error !== undefined")
    told = page.run("window.told")
    assert told["charts"] == "drawn" and told["drawn"] == told["all"] > 8, told
    assert page.troubles() == [] and page.requests() == []


def test_a_thousand_nodes_can_be_searched_and_clicked(page, tmp_path):
    bench.make_store(Place.at(tmp_path), 33)
    graph = LineageGraph.whole(tmp_path)
    assert len(graph) > 1000
    (tmp_path / "graph.html").write_text(render_page(graph))
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


@pytest.mark.parametrize(("theme", "width"), [("light", 400), ("dark", 1280)])
def test_texts_have_contrast_and_controls_have_names(page, pages, theme, width):
    page.choose_theme(theme)
    for path in pages.values():
        page.open(path, width=width)
        page.wait("!!document.documentElement.dataset.charts")
        page.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        assert page.find_faint_texts() == [], path
        assert page.list_nameless() == [], path


def find_sides(page, selector):
    """Left and right edge of an element, in pixels."""
    return page.run(
        f"(() => {{ const box = document.querySelector('{selector}').getBoundingClientRect(); "
        "return [box.left, box.right]; })()"
    )


def test_the_section_bar_can_be_used_on_a_phone(page, pages):
    page.open(pages["run-live"], width=400)
    page.wait("!!document.documentElement.dataset.charts")
    for selector in ("#theme", "nav .sections"):
        left, right = find_sides(page, selector)
        assert left >= 0 and right <= 400, selector
    page.run("document.querySelector('#serving').scrollIntoView({behavior: 'instant'})")
    page.wait("document.querySelector('nav a[aria-current]')?.hash === '#serving'")
    left, right = find_sides(page, "nav a[aria-current]")
    assert left >= 0 and right <= 400  # the bar has followed


def test_intervals_are_shown_until_they_are_switched_off(page, pages):
    page.open(pages["run-live"])
    shown = "getComputedStyle(document.querySelector('#evaluation small.ci')).display"
    assert page.run(shown) == "block"
    page.click("document.querySelector('#intervals')")
    assert page.run(shown) == "none"


def test_the_lineage_graph_opens_at_its_beginning(page, pages):
    page.open(pages["run-live"])
    page.wait("!!document.querySelector('.node')")
    assert page.run(
        "(() => { const stage = document.querySelector('.lineage svg').getBoundingClientRect(); "
        "const tops = [...document.querySelectorAll('.node')].map((each) => each.getBoundingClientRect()); "
        "const first = tops.reduce((a, b) => (a.top < b.top ? a : b)); "
        "return first.top >= stage.top && first.bottom <= stage.bottom; })()"
    )
