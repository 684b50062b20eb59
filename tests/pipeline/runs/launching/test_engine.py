"""Which runs ask the engine's workers first, and what `doctor` says of an engine that is not there."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from taxiway.components.beam.options import find_option
from taxiway.pipeline import cli, stacks
from taxiway.pipeline.config import load_config
from taxiway.pipeline.root import Root
from taxiway.pipeline.runs.launching import engine
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


def test_the_first_element_goes_to_workers_of_the_stacks_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(engine, "check_workers", lambda options, *_: asked.extend(options))
    monkeypatch.setattr(stacks, "find_installed_stack", lambda: stacks.CURRENT)
    setting = (
        "resources.beam={runner: flink, job_endpoint: 'flink:8099', environment: docker, image: 'workers:1-{stack}'}"
    )
    engine.check_engine(load_config(overrides=[setting]), Root.at(tmp_path))
    assert find_option(asked, "sdk_container_image") == find_option(asked, "environment_config") == "workers:1-current"


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
