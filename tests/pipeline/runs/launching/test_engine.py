"""Which runs ask the engine's workers first, and what `doctor` says of an engine that is not there."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from taxiway.pipeline import cli
from taxiway.pipeline.config import load_config
from taxiway.pipeline.runs.launching.engine import needs_check


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ([], False),
        (["resources.beam_args=[--runner=DirectRunner]"], False),
        (["resources.beam={runner: flink, job_endpoint: 'flink:8099'}"], True),
        (["resources.beam_args=[--runner=PortableRunner, '--job_endpoint=flink:8099']"], True),
        (["resources.beam={runner: dataflow, image: x}"], False),
    ],
)
def test_workers_are_asked_where_there_are_some(settings: list[str], asked: bool) -> None:
    assert needs_check(load_config(overrides=settings)) == asked


def test_doctor_says_that_no_job_server_answers(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.create_server(("localhost", 0)) as closed:
        address = f"localhost:{closed.getsockname()[1]}"
    setting = f"resources.beam={{runner: flink, job_endpoint: '{address}'}}"
    code = cli.run(["doctor", "--target", "flink", "--root", str(tmp_path), "--json", "--set", setting])
    [finding] = json.loads(capfd.readouterr().out)
    assert code == 1 and not finding["ok"]
    assert f"Nothing answers at the job endpoint {address}" in finding["detail"]


def test_doctor_wants_the_engine_of_the_configuration(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["doctor", "--target", "flink"]) == 2
    assert "resources.beam.runner is local, not flink" in capfd.readouterr().err
