"""Every kind of page for a screen reader, in both themes, on a screen and on a phone: axe-core in headless Chromium."""

import os

import psutil
import pytest

from taxiway.components.serving.versions.directory import Trial
from taxiway.pipeline.monitoring.verdicts import write_verdict
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking.run_record import NodeRecord
from tests.pipeline.report import roots
from tests.pipeline.ui.pages import server
from tests.pipeline.ui.test_pages import make_verdict

OF_A_RUN = ("", "/runs", "/runs/run-live", "/runs/run-live/report", "/runs/run-live/report.html",
            "/compare?run=run-live&run=run-blocked&run=run-failed")  # fmt: skip
OF_A_MODEL = ("/models", "/models/taxi", "/models/taxi/verdicts/{verdict}", "/models/taxi/confirm?action=rollback",
              "/models/taxi/confirm?action=push&version={first}", "/models/taxi/confirm?action=demote&label=stable",
              "/models/taxi/confirm?action=promote&version={first}", "/models/taxi/confirm?action=withdraw",
              "/runs/now", "/runs", "/lineage", "/lineage?target=nothing")  # fmt: skip


@pytest.fixture(scope="module")
def busy_root(kept_versions, tmp_path_factory):
    """A version that a rollback took back, a label, a candidate, a damaged log, a wrong verdict, a run that works."""
    first = kept_versions.serving.list_versions()[0].number
    kept_versions.serving.rollback(reason="too many errors")
    kept_versions.serving.promote(first, "stable")
    model = tmp_path_factory.mktemp("model")
    (model / "saved_model.pb").write_bytes(b"a candidate")
    kept_versions.serving.push(model, {"run_id": "second"}, trial=Trial("canary", (0.25, 1.0)))
    (kept_versions.serving.base / ".taxiway" / "actions.jsonl").write_text("7\n")
    live = kept_versions.serving.find_live().number
    kept_versions.verdict = make_verdict(live, status="wrong", not_judged={"day": "not in training"})
    write_verdict(Root.at(kept_versions.path), kept_versions.verdict)
    me = psutil.Process(os.getpid())
    record = roots.live(1).model_copy(
        update={"run_id": "now", "state": "running", "ended": None, "push": None, "process": (me.pid, me.create_time())}
    )
    nodes = (NodeRecord(node="Trainer", state="done", seconds=1.0), NodeRecord(node="Evaluator", state="running"))
    roots.write(kept_versions, record.model_copy(update={"nodes": nodes}))
    kept_versions.first = first
    return kept_versions


@pytest.fixture(scope="module")
def addresses(shown_root, busy_root, tmp_path_factory):
    known = {"first": busy_root.first, "verdict": busy_root.verdict.verdict_id}
    later = tmp_path_factory.mktemp("parent") / "later"
    with server(shown_root.path, busy_root.path, later) as address:
        paths = ["/", "/later", "/login", "/nowhere"]
        paths += [f"/my-root{path}" for path in OF_A_RUN]
        paths += [f"/root{path.format(**known)}" for path in OF_A_MODEL]
        yield [f"{address}{path}" for path in paths]


def test_every_kind_of_page_is_usable_by_everybody(page, addresses):
    """On a screen in light and on a phone in dark axe-core finds nothing and all texts are legible; nothing is wider
    than the phone."""
    for url in addresses:
        page.events.clear()
        page.choose_theme("light")
        page.open_url(url)
        page.wait("!document.querySelector('.chart') || !!document.documentElement.dataset.charts")
        assert page.find_violations() == [], url
        assert page.find_faint_texts() == [], url
        page.choose_theme("dark")
        page.resize(400, 800)
        page.wait("document.documentElement.scrollWidth <= 400")  # charts follow
        assert page.find_violations() == [], f"{url} on a phone in dark"
        assert page.find_faint_texts() == [], f"{url} on a phone"
        assert page.list_nameless() == [], url
        assert page.run("document.querySelectorAll('h1').length") == 1, url
        assert page.run("document.documentElement.lang") == "en", url
        assert page.troubles() == [] or "nothing" in url or "nowhere" in url, url


def test_axe_core_finds_what_is_wrong(page, addresses):
    page.open_url(addresses[0])
    page.run(
        "document.querySelector('main').insertAdjacentHTML('beforeend', '<button></button><img src=\"data:,\">'); 0"
    )
    assert {rule for rule, _, _ in page.find_violations()} >= {"button-name", "image-alt"}
