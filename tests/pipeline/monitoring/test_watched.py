"""What `taxiway monitor` writes is what `taxiway watch` and `taxiway promote --auto` read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from taxiway.pipeline.exit_codes import EXIT_LIVE
from taxiway.pipeline.monitoring.monitor import MonitorRequest, monitor_version
from taxiway.pipeline.root import Root
from taxiway.pipeline.watching import run_process
from taxiway.pipeline.watching.watch import WatchRequest, watch_once
from tests.pipeline.monitoring.served import Served, make_rows, write_log
from tests.pipeline.watching import stand_in_run

MOMENT = 1_700_000_000


def test_a_bad_verdict_of_the_monitor_starts_a_run_and_an_experiment_none(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Root.at(tmp_path / "root")
    shutil.copytree(served.root.serving, root.serving)
    config, started, told = tmp_path / "taxi.yaml", [], list[str]()
    config.write_text("name: taxi\ndata: {path: rows.csv}\nlabel: {column: tip}\n")

    def run_child(folder: Path, arguments: list[str], *, to_stderr: bool) -> int:
        started.append(arguments[arguments.index("--started-by") + 1])
        return stand_in_run.end(root.path, stand_in_run.begin(root.path, list(arguments)), EXIT_LIVE)

    monkeypatch.setattr(run_process, "run_child", run_child)
    rows = make_rows(400, 21)
    for row in rows:
        row["Fare (USD)"] *= 100
    log = write_log(tmp_path / "log", rows, served.version, MOMENT)
    request = MonitorRequest(root, logs=(log,), hours=1, until=MOMENT + 60, limits={"min_rows": 100})
    experiment = monitor_version(request).verdict
    options = (f"--log {log}", "--set min_rows=100", "--until 2023-11-14T22:14:20Z")
    assert (experiment.status, experiment.options, experiment.standing) == ("wrong", options, False)
    watch = WatchRequest(config=config, root=root.path)
    assert watch_once(watch, told.append) == (0, []) and "passed over" in told[0] and str(log) in told[0]

    standing = monitor_version(MonitorRequest(root, logs=(log,), hours=1, until=MOMENT + 60, standing=True)).verdict
    code, [ending] = watch_once(watch, told.append)
    assert (code, ending.kind, ending.key) == (0, "verdict", standing.verdict_id)
    assert len(started) == 1 and "Fare (USD)" in started[0]
    assert watch_once(watch, told.append) == (0, [])
