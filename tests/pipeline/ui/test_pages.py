"""What the pages show."""

import errno
import io
import json
import os
import re
import shutil
import struct

import psutil
import pytest
from rich.console import Console

from taxiway.pipeline.monitoring import verdicts
from taxiway.pipeline.monitoring.verdicts import LiveMetric, MonitoringFinding, ServingVerdict, write_verdict
from taxiway.pipeline.report import compare
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import unrecorded_pushes
from taxiway.pipeline.tracking.run_record import NodeRecord, write_summary
from taxiway.pipeline.ui import model_pages, traffic
from taxiway.pipeline.ui.roots import name_roots
from taxiway.pipeline.ui.server import list_notes
from taxiway.pipeline.ui.traffic import count_records, read_request_log
from taxiway.pipeline.watching.state import Ending, Trigger, WatchState, get_folder, write_state
from tests.pipeline.report import roots
from tests.pipeline.ui.pages import client, form_of


def test_runs_are_listed_and_filtered(shown_root):
    browser = client(shown_root.path)
    page = browser.get("/my-root/runs").text
    assert all(run in page for run in ("run-live", "run-blocked", "run-failed"))
    blocked = browser.get("/my-root/runs?state=blocked").text
    assert "run-blocked</a>" in blocked and "run-live</a>" not in blocked
    found = browser.get("/my-root/runs?text=OUT+OF+memory").text
    assert "run-failed</a>" in found and "run-blocked</a>" not in found
    assert "No run meets the filters." in browser.get("/my-root/runs?text=nothing").text
    assert "1 of the newest 1 runs; there may be more" in browser.get("/my-root/runs?limit=1").text


def test_a_run_shows_its_nodes_gates_and_metrics(shown_root):
    page = client(shown_root.path).get("/my-root/runs/run-live").text
    assert "Live: version" in page and "0.9100" in page and "0.5000" in page and "Trainer" in page
    assert "/my-root/runs/run-live/report" in page
    assert "No report yet" in client(shown_root.path).get("/my-root/runs/run-failed").text


def test_runs_are_compared_side_by_side(shown_root):
    browser = client(shown_root.path)
    page = browser.get("/my-root/compare?run=run-live&run=run-blocked&run=run-failed").text
    row = page[page.index(">state</th>") :][:400]
    assert ">live</td>" in row and ">blocked</td>" in row and ">failed</td>" in row
    assert ">training.epochs</th>" in page
    orders = [[run, other] for run, other in (("run-live", "run-failed"), ("run-failed", "run-live"))]
    assert len({browser.get(f"/my-root/compare?run={run}&run={other}").text for run, other in orders}) == 1
    few = browser.get("/my-root/compare?run=run-live")
    assert few.status_code == 303 and "Choose two to five runs" in browser.get(few.headers["location"]).text


def test_what_a_run_did_not_record_is_not_called_equal(shown_root, two_versions):
    page = client(shown_root.path).get("/my-root/compare?run=run-live&run=run-failed").text
    row = page[page.index(">tensorflow</th>") :][:200]
    assert ">2.98.0</td>" in row and ">not recorded</td>" in row
    assert "Environment not recorded by run-failed" in page
    for run in ("first", "second"):
        record = roots.live(1).model_copy(update={"run_id": run, "environment": None})
        write_summary(record, two_versions.path / "runs" / run)
        (two_versions.path / "runs" / run / "config.yaml").unlink()
    page = client(two_versions.path).get("/root/compare?run=first&run=second").text
    assert "Environment not recorded by first, second" in page
    same = page.partition("The same in all: ")[2].partition("</p>")[0]
    assert "environment" not in same


def test_all_columns_that_moved_are_told(tmp_path):
    """25 of them at once, the others folded; the terminal says how many there are."""
    root = roots.make(tmp_path / "root")
    for run, shift in (("run-live", 0.0), ("run-blocked", 3.0)):
        for split in ("train", "eval"):
            file = root.path / "artifacts/StatisticsGen/statistics" / run / f"Split-{split}" / "FeatureStats.pb"
            wide = roots.statistics(100, shift)
            for number in range(300):
                column = wide.datasets[0].features.add()
                column.CopyFrom(wide.datasets[0].features[0])
                column.name = f"column-{number:03}"
            file.write_bytes(wide.SerializeToString())
    page = client(root.path).get("/root/compare?run=run-live&run=run-blocked").text
    moved = len(re.findall(r"<td>(?:train|eval)</td><td>[^<]+</td>", page))
    assert moved == 602 and f"The first 25 of {moved} are shown. The other {moved - 25}" in page
    console = Console(file=io.StringIO(), width=120)
    console.print(compare.render_comparison(compare.compare_runs(Root.at(root.path), "run-live", "run-blocked")))
    assert f"and {moved - 25} more" in console.file.getvalue()


def test_an_empty_root_says_how_to_fill_it_and_shows_what_appears(tmp_path):
    path = tmp_path / "later"
    browser = client(path)
    page = browser.get("/later").text
    assert f"There is no folder <code>{path}</code> yet" in page
    assert f"<code>taxiway run --root {path}</code>" in page and 'data-poll="/later/waiting" data-reload' in page
    assert browser.get("/later/waiting").headers["x-poll"] == "again"
    for part in ("runs", "models", "lineage"):
        assert browser.get(f"/later/{part}").status_code == 200, part
    assert not path.exists(), "looking makes nothing"
    (note,) = list_notes(name_roots([path]).values())
    assert note == f"Nothing is under {path} yet. Fill it with: taxiway run --root {path}"
    for folder in ("runs/now", "serving/taxi/.taxiway", "artifacts"):  # as a run makes them before its first record
        (path / folder).mkdir(parents=True)
        assert browser.get("/later/waiting").headers["x-poll"] == "again", folder
        assert 'data-poll="/later/waiting" data-reload' in browser.get("/later").text, folder
    (path / "metadata.db").write_bytes(b"half made")
    answer = browser.get("/later/waiting")
    assert answer.headers["x-poll"] == "again" and "metadata.db" in answer.text
    assert list_notes(name_roots([path]).values()) == [], "the pages say it"
    shutil.rmtree(path)
    roots.make(path)
    assert browser.get("/later/waiting").headers["x-poll"] == "done"
    page = browser.get("/later").text
    assert "run-live" in page and "data-poll" not in page
    assert list_notes(name_roots([path]).values()) == []


def test_a_running_run_tells_how_far_it_is(tmp_path):
    root = roots.Root(tmp_path / "root")
    root.run("first", span=1)
    me = psutil.Process(os.getpid())
    record = roots.live(1).model_copy(
        update={"run_id": "now", "state": "running", "ended": None, "push": None, "process": (me.pid, me.create_time())}
    )
    nodes = (NodeRecord(node="Trainer", state="done", seconds=1.0), NodeRecord(node="Evaluator", state="running"))
    roots.write(root, record.model_copy(update={"nodes": nodes}))
    lines = [
        {"component": "Trainer", "message": "step 1", "fraction": 0.1},
        {"component": "Evaluator", "message": "<b>reading", "fraction": 0.37},
    ]
    (root.path / "runs/now/progress.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"torn')
    answer = client(root.path).get("/root/runs/now/progress")
    assert answer.headers["x-poll"] == "again"
    assert "1 of 2 nodes have ended" in answer.text and "&lt;b&gt;reading" in answer.text and "37 %" in answer.text
    page = client(root.path).get("/root/runs/now").text
    assert 'data-poll="/root/runs/now/progress"' in page and "<noscript>" in page
    assert 'data-poll="/root/runs/now/progress"' in client(root.path).get("/root/runs").text


def read_figure(page):
    return json.loads(page[page.index('{"data":') :].partition("</script>")[0])


def test_what_two_evaluators_measured_is_told_apart(two_versions):
    """Of the first run's version both are known, of the second one's the trained model alone."""
    first, second = (version.number for version in two_versions.serving.list_versions())
    record = roots.live(first).model_copy(update={"run_id": "first"})
    optimized = tuple(each.model_copy(update={"candidate": {"auc": 0.8}}) for each in record.metrics["Evaluator"])
    metrics = {**record.metrics, "OptimizedEvaluator": optimized}
    write_summary(record.model_copy(update={"metrics": metrics}), two_versions.path / "runs/first")
    page = client(two_versions.path).get("/root/models/taxi").text
    figure = read_figure(page)
    drawn = {each["name"]: dict(zip(each["x"], each["y"], strict=True)) for each in figure["data"]}
    assert drawn == {
        "as served (OptimizedEvaluator)": {str(first): 0.8},
        "as trained (Evaluator)": {str(first): 0.91, str(second): 0.91},
    }
    assert figure["layout"]["showlegend"] and figure["layout"]["xaxis"]["categoryarray"] == [str(first), str(second)]
    assert len({(each["line"]["color"], each["marker"]["symbol"]) for each in figure["data"]}) == 2
    assert [list(each["text"]) for each in figure["data"]] == [[""], ["", "live"]]
    assert all(f"<td>{name}</td>" in page for name in drawn)


def test_a_version_of_a_run_that_is_not_read_has_what_its_push_recorded(two_versions, monkeypatch):
    """The run is there: it is no more among the newest ones alone."""
    first, second = two_versions.serving.list_versions()
    (first.path / "assets.extra/provenance.json").write_text(
        json.dumps({"version": 1, **first.provenance, "metrics": {"auc": 0.8}})
    )
    monkeypatch.setattr(model_pages, "RUNS_READ", 1)
    page = client(two_versions.path).get("/root/models/taxi").text
    drawn = {each["name"]: dict(zip(each["x"], each["y"], strict=True)) for each in read_figure(page)["data"]}
    assert drawn == {
        "as trained (Evaluator)": {str(second.number): 0.91},
        "as recorded at the push": {str(first.number): 0.8},
    }


def test_a_damaged_line_of_the_action_log_is_counted_and_said(two_versions):
    browser = client(two_versions.path)
    form = form_of(browser.get("/root/models/taxi/confirm?action=rollback"))
    browser.post("/root/models/taxi/act", data={**form, "reason": "bad", "user": "ada"})
    assert "cannot be read" not in browser.get("/root/models/taxi").text
    log = two_versions.serving.base / ".taxiway" / "actions.jsonl"
    action = json.loads(log.read_text())
    lines = ["7", "[1]", json.dumps(action | {"time": None}), json.dumps(action | {"reason": 5}), '{"torn']
    log.write_text("\n".join([*lines, log.read_text()]))
    page = browser.get("/root/models/taxi")
    assert page.status_code == 200 and "<td>ada</td>" in page.text
    assert f"5 lines of the log cannot be read, and are left out: <code>{log}</code>" in page.text
    assert browser.get("/root").status_code == 200


def test_long_lists_say_how_many_they_are_of(two_versions):
    log = two_versions.serving.base / ".taxiway" / "actions.jsonl"
    log.parent.mkdir(exist_ok=True)
    action = {"time": "2026-01-01T00:00:00Z", "kind": "promote", "version": 1, "label": "stable", "before": None,
              "user": "ada", "reason": "", "through": "ui"}  # fmt: skip
    log.write_text("".join(json.dumps(action | {"label": f"label-{number:02}"}) + "\n" for number in range(40)))
    page = client(two_versions.path).get("/root/models/taxi").text
    assert "The first 30 of 40 are shown. The other 10" in page
    assert page.index("label-39") < page.index("The first 30 of 40") < page.index("label-09:") < page.index("label-00:")


def test_a_page_reads_no_more_verdicts_than_it_shows(two_versions, monkeypatch):
    place, live = Root.at(two_versions.path), two_versions.serving.find_live().number
    for number in range(60):
        version = live if number % 2 else 1
        made = make_verdict(version).model_copy(update={"window_end": 1e9 + 3600 * number, "requests": number})
        write_verdict(place, made)
    newest = make_verdict(live).model_copy(update={"window_end": 1e9 + 3600 * 59})
    read = []
    parse = verdicts.read_verdict
    for module in (verdicts, traffic):
        monkeypatch.setattr(module, "read_verdict", lambda folder: read.append(folder.name) or parse(folder))
    browser = client(two_versions.path)

    def count_read(path):
        read.clear()
        page = browser.get(path)
        assert page.status_code == 200
        return len(read), page.text

    for path in ("/root", "/root/models"):
        count, page = count_read(path)
        assert count == 1 and f"/verdicts/{newest.verdict_id}" in page
    assert count_read("/root/runs")[0] == 0
    assert count_read(f"/root/models/taxi/verdicts/{newest.verdict_id}")[0] == 1
    count, page = count_read("/root/models/taxi")
    assert count == 50 and "The newest 50 of 60 verdicts" in page
    count, page = count_read("/root/models/taxi?verdicts=all")
    assert count == 60 and "of 60 verdicts" not in page


def make_verdict(version, **changes):
    known = {"model": "taxi", "model_version": version, "created": 2e9, "window_start": 1.9e9, "window_end": 1.95e9,
             "requests": 7, "rows": 1234, "fewest_rows": 200, "status": "right"}  # fmt: skip
    return ServingVerdict.model_validate({**known, **changes})


def test_versions_have_their_state_and_quality(two_versions):
    browser = client(two_versions.path)
    first, second = (version.number for version in two_versions.serving.list_versions())
    form = {**form_of(browser.get(f"/root/models/taxi/confirm?action=promote&version={first}")), "label": "stable"}
    answer = browser.post("/root/models/taxi/act", data={**form, "reason": "it is good", "user": "ada"})
    assert answer.status_code == 303
    page = browser.get("/root/models/taxi").text
    assert '<span class="pill label">stable</span>' in page and f"stable: version {first}" in page
    assert f'id="v{second}" class="chosen"' in page and "There is no verdict" in page
    figure = read_figure(page)
    assert figure["data"][0]["x"] == [str(first), str(second)] and figure["data"][0]["y"] == [0.91, 0.91]
    assert figure["data"][0]["error_y"]["array"] == pytest.approx([0.01, 0.01])  # of scores.json


def test_a_version_that_was_taken_back_can_be_made_live_again(two_versions):
    browser = client(two_versions.path)
    _, second = (version.number for version in two_versions.serving.list_versions())
    form = form_of(browser.get("/root/models/taxi/confirm?action=rollback"))
    assert browser.post("/root/models/taxi/act", data={**form, "reason": "bad", "user": "a"}).status_code == 303
    page = browser.get(f"/root/models/taxi/confirm?action=push&version={second}")
    assert "A rollback took this model back: bad" in page.text
    again = browser.post("/root/models/taxi/act", data={**form_of(page), "reason": "good", "user": "b"})
    assert again.status_code == 303
    live = two_versions.serving.find_live()
    assert live.provenance["bytes_of"] == second and live.quarantine is None


def test_a_verdict_on_the_traffic_is_told(two_versions):
    browser, place = client(two_versions.path), Root.at(two_versions.path)
    live = two_versions.serving.find_live().number
    finding = MonitoringFinding(kind="skew", column="<miles>", value=0.4, limit=0.1, by_chance=0.02, text="miles moved")
    metric = LiveMetric(metric="auc", promised=0.91, live=0.7, interval=(0.65, 0.75), rows=90, is_worse=True)
    verdict = make_verdict(
        live, status="wrong", findings=(finding,), performance=(metric,), not_judged={"day": "not in training"}
    )
    write_verdict(place, verdict)
    page = browser.get("/root/models/taxi").text
    assert "miles moved" in page and "1,234" in page and "There is no verdict" not in page
    assert "not as in training" in browser.get("/root").text
    told = browser.get(f"/root/models/taxi/verdicts/{verdict.verdict_id}").text
    assert all(
        word in told for word in ("&lt;miles&gt;", "0.4", "0.02", "0.7000", "0.6500 to 0.7500", "not in training")
    )
    assert browser.get("/root/models/taxi/verdicts/other").status_code == 404
    (place.monitoring / "taxi" / verdict.verdict_id / "verdict.json").write_text("{")
    damaged = browser.get("/root/models/taxi")
    assert damaged.status_code == 200 and "is damaged" in damaged.text


def test_what_a_watch_has_done_and_waits_for_is_told(two_versions):
    browser, place = client(two_versions.path), Root.at(two_versions.path)
    assert "h-watch" not in browser.get("/root/models/taxi").text
    ending = Ending(
        kind="span", key="3", text="span 3 <b>", outcome="blocked", run_id="second", reason="auc", ended=2e9
    )
    due = Trigger(kind="span", key="4", text="span 4 is new", found=2e9)
    folder = get_folder(place, "taxi")
    write_state(folder, WatchState(ended=(ending,), waiting=(due,), schedule="0 6 * * 1"))
    page = browser.get("/root/models/taxi").text
    assert "1 due." in page and "span 4 is new" in page and "span 3 &lt;b&gt;" in page and "0 6 * * 1" in page
    assert 'href="/root/runs/second"' in page
    next(folder.glob("state*")).write_text("{")
    assert "state.json" in browser.get("/root/models/taxi").text


def test_lineage_finds_upstream_and_downstream(shown_root):
    browser = client(shown_root.path)
    up = browser.get("/my-root/lineage").text
    assert "is live: pushed" in up and "Trainer" in up and 'data-start="focus"' in up
    down = browser.get("/my-root/lineage?target=/rows/span-1.csv&direction=down").text
    assert "led to" in down and "taxi " in down
    missing = browser.get("/my-root/lineage?target=run-lvie")
    assert missing.status_code == 404 and "Nothing under" in missing.text and "run-live" in missing.text
    for odd in ("a" * 5000, "%00", "~nobody", "../" * 400):
        assert browser.get(f"/my-root/lineage?target={odd}").status_code == 404, odd[:20]
    hostile = browser.get("/my-root/lineage?target=%3Cscript%3Ealert(1)%3C/script%3E").text
    assert "<script>alert" not in hostile


def test_a_report_that_calls_live_what_is_so_no_more_is_told_of(two_versions):
    """It is a file: it says what held when it was written."""
    live, place = two_versions.serving.find_live(), Root.at(two_versions.path)
    place.reports.mkdir()
    browser = client(two_versions.path)
    for run, written, is_told in (("first", 0, True), ("first", 9e9, False), ("second", 0, False)):
        report = place.reports / f"{run}.html"
        report.write_text("a report")
        os.utime(report, (written, written))
        told = (
            f"Since this report was written version {live.number} went live"
            in browser.get(f"/root/runs/{run}/report").text
        )
        assert told == is_told, (run, written)


def test_several_roots_have_a_start_page(shown_root, two_versions):
    page = client(shown_root.path, two_versions.path).get("/").text
    assert 'href="/my-root"' in page and 'href="/root"' in page


def test_a_damaged_summary_does_not_take_the_list_away(two_versions):
    (two_versions.path / "runs/first/summary.json").write_text("{")
    browser = client(two_versions.path)
    assert "unreadable" in browser.get("/root/runs").text
    answer = browser.get("/root/runs/first")
    assert answer.status_code == 500 and "is damaged" in answer.text


def test_a_damaged_state_of_versions_takes_no_page_away_and_its_remedy_works(two_versions):
    first, second = (version.number for version in two_versions.serving.list_versions())
    place, browser = Root.at(two_versions.path), client(two_versions.path)
    place.reports.mkdir()
    report = place.reports / "first.html"
    report.write_text("a report")
    os.utime(report, (0, 0))
    # A run that ended before it recorded its push: the serving directory is asked.
    lost = roots.live(second).model_copy(
        update={"run_id": "second", "state": "failed", "push": None, "reason": "killed"}
    )
    write_summary(lost, place.run_folder("second"))
    file = two_versions.serving.base / ".taxiway/state.json"
    paths = ("", "/runs", "/runs/second", "/runs/first/report", "/models", "/models/taxi")
    for content in ("{", "[]", '{"version": 1, "labels": 7}', '{"version": 1, "quarantined": {"sha256:0": 5}}'):
        file.write_text(content)
        pages = {path: browser.get(f"/root{path}") for path in paths}
        remedy = f"Put {file} back from a backup, or remove it."
        for path, page in pages.items():  # the list of runs has the first line of each reason
            assert page.status_code == 200, (path, content)
            assert (str(file) if path == "/runs" else remedy) in page.text, (path, content)
        assert "iframe" in pages["/runs/first/report"].text
        assert "whether a version of it is live cannot be read" in pages["/runs"].text
        versions = pages["/models/taxi"].text
        assert f'id="v{first}"' in versions and f'id="v{second}" class="chosen"' in versions and "0.9100" in versions
        assert "/confirm?" not in versions, "nothing can be done before it is mended"
        error = OSError("no space")
        assert unrecorded_pushes.explain_error(error, place, "taxi", "second") is error
    file.unlink()
    assert "cannot be read" not in browser.get("/root/runs").text
    form = form_of(browser.get("/root/models/taxi/confirm?action=rollback"))
    answer = browser.post("/root/models/taxi/act", data={**form, "reason": "bad", "user": "ada"})
    assert answer.status_code == 303 and two_versions.serving.find_live().provenance["bytes_of"] == first


def test_logged_requests_are_counted_without_tensorflow(tmp_path):
    assert read_request_log(tmp_path) is None
    folder = tmp_path / "request_log"
    folder.mkdir()
    frames = b"".join(struct.pack("<Q", size) + b"cccc" + b"x" * size + b"cccc" for size in (3, 0, 500))
    (folder / "a.tfrecord").write_bytes(frames)
    (folder / "b.tfrecord.open").write_bytes(frames + struct.pack("<Q", 10**12) + b"cccc")
    assert count_records(folder / "b.tfrecord.open") == 3
    state = read_request_log(tmp_path)
    assert state.requests == 6 and state.files == 2


def test_a_root_that_may_not_be_read_any_more_says_so_and_leaves_the_others(shown_root, two_versions, monkeypatch):
    """As where a mount or a right goes away while the pages are open."""
    browser, closed = client(shown_root.path, two_versions.path), str(two_versions.path)
    listed, asked = os.scandir, os.stat

    def refuse(call):
        def checked(path=".", *more, **named):
            if str(path).startswith(closed):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return call(path, *more, **named)

        return checked

    monkeypatch.setattr(os, "scandir", refuse(listed))
    monkeypatch.setattr(os, "stat", refuse(asked))
    start = browser.get("/")
    assert start.status_code == 200 and "run-failed" in start.text and "Give this user the right" in start.text
    assert browser.get("/root").status_code == 200
    for path in ("/root/models", "/root/models/taxi", "/root/runs", "/root/lineage", "/root/waiting"):
        page = browser.get(path).text
        assert "Permission denied. Give this user the right to read it." in page and "Errno" not in page, path


def test_a_damaged_store_or_version_takes_away_its_part_of_a_page_alone(two_versions, tmp_path):
    """What a person needs then, a way back, stays; and so do the other roots."""
    healthy, later = tmp_path / "healthy", tmp_path / "empty"
    for folder in (healthy, later):
        folder.mkdir()
    two_versions.path.joinpath("metadata.db").write_bytes(b"garbage")
    newest = two_versions.serving.list_versions()[-1]
    (newest.path / "assets.extra" / "manifest.json").write_text("{")
    browser = client(two_versions.path, healthy, later)
    start = browser.get("/")
    assert start.status_code == 200 and "/healthy" in start.text and "metadata" in start.text
    for path in ("/root", "/root/models", "/root/models/taxi", "/root/models/taxi/confirm?action=rollback"):
        assert browser.get(path).status_code == 200, path
    assert (
        "damaged" in browser.get("/root/models/taxi").text or "cannot be read" in browser.get("/root/models/taxi").text
    )
    assert browser.get("/empty/lineage").status_code == 200
