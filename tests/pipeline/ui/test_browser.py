"""The pages in a headless Chromium: drawn and operated."""

import os

import psutil
import pytest

from taxiway.pipeline.tracking.run_record import NodeRecord, write_summary
from tests.pipeline.report import roots
from tests.pipeline.ui.pages import server

PAGES = ("", "/runs", "/runs/run-live", "/runs/run-live/report", "/models", "/models/taxi", "/lineage",
         "/compare?run=run-live&run=run-blocked", "/models/taxi/confirm?action=promote&version={version}")  # fmt: skip


@pytest.fixture(scope="module")
def address(shown_root):
    with server(shown_root.path) as made:
        yield made


@pytest.fixture(scope="module")
def addresses(shown_root, address):
    (version,) = [path.name for path in (shown_root.serving / "taxi").iterdir() if path.name.isdigit()]
    return [f"{address}/my-root{path.format(version=version)}" for path in PAGES]


def test_pages_ask_their_own_server_alone(page, addresses, address):
    page.events.clear()
    for url in addresses:
        page.open_url(url)
    assert page.requests() and all(url.startswith(address) for url in page.requests())


def test_the_chart_of_quality_is_drawn(page, address):
    page.open_url(f"{address}/my-root/models/taxi")
    page.wait("!!document.querySelector('.chart .points')")
    assert page.run("document.querySelector('.chart').closest('section').innerText").startswith("Quality over versions")


def test_a_report_is_drawn_and_knows_no_other_page(page, address):
    page.events.clear()
    page.open_url(f"{address}/my-root/runs/run-live/report")
    assert page.run("document.querySelector('iframe').contentDocument") is None  # another origin
    page.open_url(f"{address}/my-root/runs/run-live/report.html")
    page.wait("document.documentElement.dataset.charts === 'drawn'")
    assert page.run("self.origin") == "null" and page.troubles() == []
    assert page.run(f"fetch('{address}/my-root').then(() => 'read', () => 'refused')") == "refused"


def test_runs_are_chosen_and_compared_with_the_keyboard(page, address):
    page.open_url(f"{address}/my-root/runs")
    page.run("document.querySelector('input[value=run-live]').focus()")
    page.press(" ", " ", 32)
    page.run("document.querySelector('input[value=run-blocked]').click()")
    assert page.run("document.querySelectorAll('input:checked').length") == 2
    page.click("[...document.querySelectorAll('button')].find((each) => each.innerText.startsWith('Compare'))")
    page.wait("location.pathname.endsWith('/compare') && document.querySelector('h1')?.innerText === '2 runs compared'")


def test_the_graph_opens_at_what_was_asked_for(page, address):
    page.open_url(f"{address}/my-root/lineage?target=run-live&direction=down")
    page.wait("!!document.querySelector('.node')")
    page.open_url(f"{address}/my-root/lineage")
    page.wait("!!document.querySelector('.node.version')")
    seen = page.run(
        "(() => { const node = document.querySelector('.node.version').getBoundingClientRect(), "
        "stage = document.querySelector('.lineage svg').getBoundingClientRect(); "
        "return node.top >= stage.top && node.bottom <= stage.bottom && node.left >= stage.left; })()"
    )
    assert seen


def test_a_chosen_theme_stays_from_page_to_page_and_into_a_report(page, address):
    page.choose_theme("light")
    page.open_url(f"{address}/my-root")
    button = "document.getElementById('theme')"
    try:
        for chosen in ("light", "dark"):
            page.click(button)
            assert page.run(f"{button}.textContent") == f"Theme: {chosen}"
        before = page.run("getComputedStyle(document.body).backgroundColor")
        # What a person sees first: the theme is there before the body is, and so before anything is drawn.
        script = "new MutationObserver((_, seen) => { if (document.body) { seen.disconnect(); "
        script += "window.atFirst = document.documentElement.dataset.theme; } })"
        script += ".observe(document, { childList: true, subtree: true })"
        made = page.call("Page.addScriptToEvaluateOnNewDocument", source=script)
        page.open_url(f"{address}/my-root/runs")
        page.call("Page.removeScriptToEvaluateOnNewDocument", identifier=made["identifier"])
        assert page.run("window.atFirst") == "dark" and page.run(f"{button}.textContent") == "Theme: dark"
        assert page.run("getComputedStyle(document.body).backgroundColor") == before
        page.events.clear()
        page.open_url(f"{address}/my-root/runs/run-live/report")
        page.wait_in_frame("document.documentElement.dataset.theme === 'dark'")
        assert page.troubles() == []
    finally:
        page.run("localStorage.clear()")


def test_live_progress_goes_on_after_bad_answers(page, tmp_path):
    root = roots.Root(tmp_path / "root")
    root.run("first", span=1)
    me = psutil.Process(os.getpid())
    record = roots.live(1).model_copy(
        update={"run_id": "now", "state": "running", "ended": None, "push": None, "process": (me.pid, me.create_time())}
    )

    def tell(node):
        nodes = (NodeRecord(node="Trainer", state="done", seconds=1.0), NodeRecord(node=node, state="running"))
        write_summary(record.model_copy(update={"nodes": nodes}), root.path / "runs" / "now")

    roots.write(root, record)
    tell("Evaluator")
    # Pauses of seconds are made short, and what the note said is kept: it may be there too shortly to be looked at.
    script = "const plain = setTimeout; window.setTimeout = (call, ms, ...more) => plain(call, ms / 20, ...more); "
    script += "window.notes = []; new MutationObserver(() => { const note = document.querySelector('.late'); "
    script += "if (note) window.notes.push(note.textContent); }).observe(document, { childList: true, subtree: true });"
    with server(root.path) as address:
        made = page.call("Page.addScriptToEvaluateOnNewDocument", source=script)
        try:
            page.open_url(f"{address}/root/runs/now")
            page.wait("document.querySelector('[data-poll]').innerText.includes('Evaluator')")
            (root.path / "runs/now/summary.json").write_text("{")  # the answers are of status 500
            page.wait("window.notes.some((text) => text.includes('asked again in 8 s'))")
            assert page.run("document.querySelector('[data-poll]').innerText.includes('Evaluator')"), (
                "the last good one"
            )
            tell("ModelOptimizer")
            page.wait("document.querySelector('[data-poll]').innerText.includes('ModelOptimizer')")
            assert page.run("document.querySelector('.late')") is None
        finally:
            page.call("Page.removeScriptToEvaluateOnNewDocument", identifier=made["identifier"])


def test_an_empty_root_shows_what_appears(page, tmp_path):
    with server(tmp_path / "later") as address:
        page.open_url(f"{address}/later")
        assert "taxiway run --root" in page.run("document.querySelector('main').innerText")
        made = roots.make(tmp_path / "elsewhere")
        made.path.rename(tmp_path / "later")  # at once: the page shows what there is when it looks
        page.wait("document.readyState === 'complete' && document.querySelector('main').innerText.includes('run-live')")


def test_a_label_is_taken_away_with_the_keyboard_alone(page, two_versions):
    number = two_versions.serving.find_live().number
    two_versions.serving.promote(number, "stable")
    with server(two_versions.path) as address:
        page.open_url(f"{address}/root/models/taxi")
        tab_to(page, "document.activeElement.textContent.startsWith('Remove stable')")
        page.press("Enter", "\r", 13)
        page.wait("location.pathname.endsWith('/confirm') && document.readyState === 'complete'")
        tab_to(page, "document.activeElement.name === 'reason'")
        page.call("Input.insertText", text="no client asks for it")
        tab_to(page, "document.activeElement.matches('button.danger')")
        page.press("Enter", "\r", 13)
        page.wait("location.search === '?done=demote' && document.readyState === 'complete'")
        assert "no client asks for it" in page.run("document.getElementById('actions').closest('section').innerText")
    assert two_versions.serving.load_state().labels == {}


def tab_to(page, reached, most=60):
    """Presses Tab until the expression holds; every stop has an outline or another mark that it has the focus."""
    for _ in range(most):
        page.press("Tab", code=9)
        if page.run(reached):
            assert page.run("getComputedStyle(document.activeElement).outlineStyle") != "none"
            return
    raise AssertionError(f"{most} presses of Tab do not reach: {reached}")
