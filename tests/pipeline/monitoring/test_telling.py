"""Who is told of a verdict: a webhook, Prometheus, the page; and what is kept of verdicts and logs."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from taxiway.components.errors import UsageError
from taxiway.components.serving.config import MONITOR_FOLDER, RequestLogConfig, ServingConfig
from taxiway.components.serving.server import verdict_metrics
from taxiway.components.serving.server.server_metrics import ServerMetrics
from taxiway.components.serving.server.verdict_metrics import VerdictMetrics
from taxiway.components.serving.versions import server_files, verdict_gauges
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.components.serving.versions.verdict_gauges import MOST_BYTES, MOST_SERIES
from taxiway.pipeline.monitoring import gauges, retention, webhook
from taxiway.pipeline.monitoring.monitor import MonitorResult
from taxiway.pipeline.monitoring.page import render_verdict_page
from taxiway.pipeline.monitoring.telling import tell_verdict
from taxiway.pipeline.monitoring.verdicts import PAGE_FILE, LiveMetric, ServingVerdict, list_verdicts, write_verdict
from taxiway.pipeline.root import Root
from tests.pipeline.monitoring.test_verdicts import FINDING, make_verdict

NUMBERS = {
    "columns": {
        "miles": [
            {"kind": "skew", "measure": "Jensen-Shannon divergence", "value": 0.4, "limit": 0.1, "by_chance": 0.02}
        ]
    }
}


def make_wrong(**changes: Any) -> ServingVerdict:
    live = LiveMetric(metric="auc", promised=0.9, live=0.7, interval=(0.65, 0.75), rows=400, is_worse=True)
    return make_verdict(7, 1e9, status="wrong", findings=[FINDING], performance=[live], numbers=NUMBERS, **changes)


class Receiver:
    """An HTTP server on loopback that answers with given codes and keeps what it was sent."""

    def __init__(self, codes: list[int]) -> None:
        self.codes, self.received = codes, list[tuple[dict[str, str], bytes]]()

    @contextmanager
    def listen(self) -> Iterator[str]:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append((dict(self.headers), body))
                code = receiver.codes[min(len(receiver.received), len(receiver.codes)) - 1]
                self.send_response(code)
                if code in (302, 307):
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def test_a_signed_message_that_slack_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(webhook.SECRET_VARIABLE, "a secret")
    receiver = Receiver([200])
    with receiver.listen() as url:
        assert webhook.send_verdict(url, make_wrong()) == ""
    ((headers, body),) = receiver.received
    content = json.loads(body)
    assert content["text"] == f"taxi 7: wrong. {FINDING.text}"
    assert content["verdict"]["status"] == "wrong" and content["verdict"]["findings"][0]["column"] == "miles"
    moment = headers[webhook.TIME_HEADER]
    assert abs(int(moment) - time.time()) < 60
    expected = hmac.new(b"a secret", f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers[webhook.SIGNATURE_HEADER] == f"sha256={expected}"
    assert b"a secret" not in body


def test_without_a_secret_nothing_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(webhook.SECRET_VARIABLE, raising=False)
    receiver = Receiver([204])
    with receiver.listen() as url:
        assert webhook.send_verdict(url, make_wrong()) == ""
    assert webhook.SIGNATURE_HEADER not in receiver.received[0][0]


@pytest.mark.parametrize(
    ("codes", "tries", "trouble"),
    [
        ([503, 503, 200], 3, ""),
        ([503], 4, "The webhook was not told: its server answers 503."),
        ([404], 1, "The webhook was not told: its server answers 404."),
        ([307], 1, "The webhook was not told: its server answers 307."),
    ],
)
def test_a_server_with_a_trouble_is_asked_again(codes: list[int], tries: int, trouble: str) -> None:
    receiver, waits = Receiver(codes), list[float]()
    with receiver.listen() as url:
        assert webhook.send_verdict(url, make_wrong(), sleep=waits.append) == trouble
    assert len(receiver.received) == tries
    assert waits == [1.0, 2.0, 4.0][: tries - 1]


def test_no_server_is_said_without_the_address() -> None:
    with Receiver([200]).listen() as url:
        pass
    trouble = webhook.send_verdict(f"{url}/T0/secret-token", make_wrong(), sleep=lambda _: None)
    assert trouble.startswith("The webhook was not told: ") and "secret-token" not in trouble


@pytest.mark.parametrize(
    "url", ["ftp://x", "https://", "https://h:port/T0/secret", "https://h/T0/SEC RET", "https://[/secret"]
)
def test_what_is_no_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="is no address") as refused:
        webhook.check_address(url)
    assert "sec" not in str(refused.value).lower()


def test_a_server_that_speaks_no_http_fails_no_verdict() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(webhook.TRIES):
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"SSH-2.0-none\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/T0/secret-token"
        trouble = webhook.send_verdict(url, make_wrong(), sleep=lambda _: None)
        thread.join(10)
    assert trouble == "The webhook was not told: its server speaks no HTTP (BadStatusLine)."


def test_values_of_requests_write_nothing_into_a_channel() -> None:
    finding = FINDING.model_copy(update={"text": "payment: <!channel> <https://evil.example|open> & more"})
    text = webhook.make_message(make_wrong().model_copy(update={"findings": (finding,)}))["text"]
    assert text.endswith("payment: &lt;!channel&gt; &lt;https://evil.example|open&gt; &amp; more")


def test_gauges_are_read_by_prometheus_own_parser(tmp_path: Path) -> None:
    file = tmp_path / "sub" / "taxiway.prom"
    gauges.write_text_file(file, make_wrong(model='odd "name"\n'))
    samples = [s for family in text_string_to_metric_families(file.read_text()) for s in family.samples]
    found = {(s.name, s.labels.get("column") or s.labels.get("which")): s.value for s in samples}
    assert found["taxiway_monitor_status", None] == 1
    assert found["taxiway_monitor_findings", None] == 1
    assert found["taxiway_monitor_difference", "miles"] == 0.4 and found["taxiway_monitor_limit", "miles"] == 0.1
    assert [found["taxiway_monitor_metric", name] for name in ("live", "promised", "low", "high")] == [
        0.7,
        0.9,
        0.65,
        0.75,
    ]
    assert {s.labels["model"] for s in samples} == {'odd "name"\n'}
    assert file.stat().st_mode & 0o777 == 0o644  # the collector is another user
    with pytest.raises(UsageError, match=r"\.prom"):
        gauges.write_text_file(tmp_path / "taxiway.txt", make_wrong())


def test_the_page_says_what_the_verdict_says(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    hostile = FINDING.model_copy(update={"text": "<script>alert(1)</script>", "column": "<b>"})
    damage = {"unreadable_files": {"part-7 <b>": "its end is missing"}, "notes": ["3 of 9 labels were joined"]}
    numbers = {**NUMBERS, "sources": {"unreadable_files": 30}}
    verdict = make_wrong(not_judged={"seats": "left out"}, **damage).model_copy(update={"numbers": numbers})
    folder = write_verdict(root, verdict)
    html = render_verdict_page(folder, verdict.model_copy(update={"findings": (hostile,)}), root)
    assert "Not as in training" in html and "left out" in html and "0.65 to 0.75" in html
    assert "30 files of the log cannot be read" in html and "and 29 more files" in html
    assert "part-7 &lt;b&gt;: its end is missing" in html and "3 of 9 labels were joined" in html
    assert "<script>alert(1)" not in html and "&lt;script&gt;alert(1)" in html
    assert "src=" not in html.replace("data:,", "") and "http://" not in html.split("plotly")[0]


def test_the_servers_metrics_show_the_newest_verdict_of_each_version_that_is_there(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    base = root.serving / "taxi"
    for version in (6, 7, 8):
        (base / str(version)).mkdir(parents=True)
    shown = ServerMetrics()
    shown.add_collector(VerdictMetrics(base).collect_metrics)

    def read_status() -> dict[str, float]:
        families = text_string_to_metric_families(shown.format_text().decode())
        samples = [s for family in families for s in family.samples if s.name == "taxiway_monitor_status"]
        return {sample.labels["version"]: sample.value for sample in samples}

    assert read_status() == {}
    gauges.show_to_server(root, make_wrong())
    gauges.show_to_server(root, make_verdict(8, 2e9))
    assert read_status() == {"7": 1, "8": 0}
    assert 'taxiway_monitor_metric{metric="auc",model="taxi",version="7",which="live"} 0.7' in (
        shown.format_text().decode()
    )
    gauges.show_to_server(root, make_verdict(8, 1e9, status="too_few_rows"))  # an older window, judged later
    assert read_status()["8"] == 0
    gauges.show_to_server(root, make_verdict(8, 3e9, status="too_few_rows"))
    assert read_status()["8"] == 2
    gauges.show_to_server(root, make_verdict(8, 4e9, status="wrong", standing=False))  # an experiment alarms nobody
    assert read_status()["8"] == 2
    for name, content in (("6.json", "{"), ("7.json", '{"window_end": 1, "created": 1, "gauges": [{"name": "up"}]}')):
        (base / MONITOR_FOLDER / name).write_text(content)
    (base / MONITOR_FOLDER / "notes").mkdir()
    assert read_status() == {"8": 2}
    (base / MONITOR_FOLDER / "8.json").write_bytes(b" " * (MOST_BYTES + 1))
    assert read_status() == {}
    gauges.show_to_server(root, make_verdict(7, 1e9))  # what was damaged is replaced
    (base / "8").rmdir()
    gauges.show_to_server(root, make_verdict(7, 2e9))
    assert read_status() == {"7": 0} and not (base / MONITOR_FOLDER / "8.json").exists()


def test_a_file_of_gauges_is_read_again_only_when_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, reads = Root.at(tmp_path), list[str]()
    (root.serving / "taxi" / "7").mkdir(parents=True)
    gauges.show_to_server(root, make_wrong())

    def read(file: Path) -> Any:
        reads.append(file.name)
        return verdict_gauges.read_gauges(file)

    monkeypatch.setattr(verdict_metrics, "read_gauges", read)
    metrics = VerdictMetrics(root.serving / "taxi")
    first = [family.name for family in metrics.collect_metrics()]
    assert [family.name for family in metrics.collect_metrics()] == first and reads == ["7.json"]
    gauges.show_to_server(root, make_verdict(7, 2e9))
    list(metrics.collect_metrics())
    assert reads == ["7.json", "7.json"]


def test_of_very_many_columns_the_first_are_shown(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    (root.serving / "taxi" / "7").mkdir(parents=True)
    (measured,) = NUMBERS["columns"]["miles"]
    columns = {f"column {number}": [measured] for number in range(MOST_SERIES)}
    gauges.show_to_server(root, make_verdict(7, 1e9, numbers={"columns": columns}))
    file = root.serving / "taxi" / MONITOR_FOLDER / "7.json"
    kept = verdict_gauges.read_gauges(file)
    assert kept and len(kept.gauges) == MOST_SERIES and file.stat().st_size < MOST_BYTES
    assert kept.gauges[0].name == "taxiway_monitor_status"


@pytest.mark.parametrize("name", ["c" * 700, "列" * 100, '"' * 300])
def test_gauges_of_long_columns_are_cut_to_what_is_read(tmp_path: Path, name: str) -> None:
    root = Root.at(tmp_path)
    (root.serving / "taxi" / "7").mkdir(parents=True)
    (measured,) = NUMBERS["columns"]["miles"]
    columns = {f"{name}{number}": [measured] for number in range(MOST_SERIES)}
    wrong = make_wrong().model_copy(update={"numbers": {"columns": columns}})
    gauges.show_to_server(root, wrong)
    file = root.serving / "taxi" / MONITOR_FOLDER / "7.json"
    kept = verdict_gauges.read_gauges(file)
    assert kept and 1000 < len(kept.gauges) < MOST_SERIES and kept.labelled, len(kept.gauges if kept else ())
    assert MOST_BYTES * 0.99 < file.stat().st_size <= MOST_BYTES
    gauges.show_to_server(root, make_verdict(7, 1e8))  # an older window
    assert verdict_gauges.read_gauges(file) == kept


def test_metrics_of_the_newest_window_with_labels_stay_beside_newer_ones_without(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    (root.serving / "taxi" / "7").mkdir(parents=True)
    shown = VerdictMetrics(root.serving / "taxi")

    def read_gauges() -> dict[str, float]:
        families = {family.name.removeprefix("taxiway_monitor_"): family for family in shown.collect_metrics()}
        return {
            name: next(s.value for s in family.samples if s.labels.get("which", "live") == "live")
            for name, family in families.items()
        }

    def show(end: float, live: float | None = None, **changes: Any) -> dict[str, float]:
        metrics = [LiveMetric(metric="auc", live=live, rows=400)] if live else []
        gauges.show_to_server(root, make_verdict(7, end, performance=metrics, **changes))
        return read_gauges()

    assert "metric" not in show(3e9)
    worse = FINDING.model_copy(update={"kind": "metric"})
    found = show(1e9, 0.7, created=4e9, status="wrong", findings=[worse])  # the labels came late
    assert (found["status"], found["window_end_seconds"]) == (0, 3e9)
    assert (found["metric"], found["labelled_status"], found["labelled_window_end_seconds"]) == (0.7, 1, 1e9)
    assert show(3.5e9)["metric"] == 0.7 and show(2e9, 0.8)["metric"] == 0.8
    found = show(1.5e9, 0.9)
    assert (found["metric"], found["labelled_status"], found["window_end_seconds"]) == (0.8, 0, 3.5e9)


def make_result(root: Root, verdict: ServingVerdict, **changes: Any) -> MonitorResult:
    return MonitorResult(verdict, write_verdict(root, verdict), 1, **changes)


def test_what_fails_after_the_verdict_is_told_and_takes_no_verdict_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Root.at(tmp_path)
    right, wrong = make_verdict(7, 1e9), make_wrong()
    monkeypatch.setattr(webhook, "FIRST_WAIT_SECONDS", 0.0)
    with Receiver([503]).listen() as url:
        told = tell_verdict(make_result(root, right), root, page=False, url=url)
        assert told.webhook == "The webhook was not told: its server answers 503."
        assert told.failures == (told.webhook,)
        assert (told.choose_exit_code("right"), told.choose_exit_code("wrong")) == (1, 3)
        told = tell_verdict(make_result(root, right), root, page=False, url=url, only_wrong=True)
        assert told.failures == () and told.choose_exit_code("right") == 0 and "--only-wrong" in told.webhook
    with Receiver([200]).listen() as url:
        told = tell_verdict(make_result(root, wrong), root, page=False, url=url)
        assert (told.webhook, told.failures, told.choose_exit_code("wrong")) == ("told", (), 3)
    (tmp_path / "file").write_text("")
    told = tell_verdict(make_result(root, right), root, page=False, metrics_file=tmp_path / "file" / "x.prom")
    assert "metrics file was not written" in told.failures[0] and told.choose_exit_code("right") == 1

    def interrupt(*_: Any) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(webhook, "send_verdict", interrupt)
    told = tell_verdict(make_result(root, wrong), root, page=False, url="http://127.0.0.1:1/")
    assert told.webhook == "The webhook was not told: interrupted."


def test_the_last_of_each_kind_stays_beside_the_newest(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    labels = make_wrong().performance
    for hour, (status, performance) in enumerate(
        [("wrong", labels), ("right", labels), ("wrong", ()), ("too_few_rows", ()), *[("right", ())] * 4]
    ):
        write_verdict(root, make_verdict(7, 1e9 + 3600 * hour, status=status, performance=performance))
    write_verdict(root, make_verdict(8, 1e9))
    gone = retention.prune_verdicts(root, kept=2)
    left = [(verdict.model_version, int(verdict.window_end - 1e9) // 3600) for verdict in list_verdicts(root)]
    assert sorted(left) == [(7, 0), (7, 1), (7, 2), (7, 3), (7, 6), (7, 7), (8, 0)] and len(gone) == 2
    assert not any(folder.exists() for folder in gone)


def test_verdicts_with_labels_have_a_bound_of_their_own(tmp_path: Path) -> None:
    root, labels = Root.at(tmp_path), make_wrong().performance
    for hour in range(8):
        write_verdict(root, make_verdict(7, 1e9 + 3600 * hour, performance=labels if hour < 4 else ()))
    retention.prune_verdicts(root, kept=3)
    assert sorted(int(v.window_end - 1e9) // 3600 for v in list_verdicts(root)) == [1, 2, 3, 5, 6, 7]


def test_folders_without_a_verdict_go_and_others_stay(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    folders = [write_verdict(root, make_verdict(7, 1e9 + number)) for number in range(3)]
    for folder in folders[:2]:
        (folder / PAGE_FILE).write_text("<html>")
        (folder / "verdict.json").unlink()
    (folders[2].parent / "notes").mkdir()
    aged = [folders[0], folders[0] / PAGE_FILE, folders[2], folders[2].parent / "notes"]
    for path in aged:
        os.utime(path, (0, time.time() - retention.LEFT_SECONDS - 60))
    assert retention.prune_verdicts(root) == folders[:1]  # the second one may be under way
    assert not folders[0].exists() and folders[1].exists() and folders[2].exists()
    assert (folders[2].parent / "notes").exists()


def test_a_new_verdict_on_an_old_window_stays(tmp_path: Path) -> None:
    """Labels that came late judge an old window."""
    root = Root.at(tmp_path)
    for hour in range(1, 5):
        write_verdict(
            root, make_verdict(7, 1e9 + 3600 * hour, status="right").model_copy(update={"created": 2e9 + hour})
        )
    late = make_verdict(7, 1e9, status="right").model_copy(update={"created": 2e9 + 9})
    folder = write_verdict(root, late)
    retention.prune_verdicts(root, kept=2)
    assert folder.exists() and len(list_verdicts(root)) == 2


def test_old_logs_are_those_beyond_the_number_and_the_age(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    directory = ServingDirectory(root.serving / "taxi")
    config = ServingConfig(request_log=RequestLogConfig(files_kept=3))
    directory.write_server_files({server_files.SETTINGS: config.model_dump_json().encode()})
    folder = root.serving / "taxi" / "request_log"
    folder.mkdir()
    names = [f"20260101T00000{number}.000000Z-host-1.tfrecord" for number in range(5)]
    for name in [*names, "20260101T000009.000000Z-host-1.tfrecord.open", "a file of somebody"]:
        (folder / name).write_bytes(b"x")
    assert [file.name for file in retention.list_old_logs(root)] == names[:2]
    os.utime(folder / names[3], (0, time.time() - 31 * 86_400))
    assert [file.name for file in retention.list_old_logs(root)] == [*names[:2], names[3]]
    assert [file.name for file in retention.list_old_logs(root, days=1e5)] == names[:2]
