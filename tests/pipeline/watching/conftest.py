"""A folder of spans, its configuration, and a watch whose runs are a stand-in's."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.pipeline.exit_codes import EXIT_LIVE
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import run_record
from taxiway.pipeline.watching import run_process
from taxiway.pipeline.watching.state import get_folder
from taxiway.pipeline.watching.triggers import WatchedEvents
from taxiway.pipeline.watching.watch import Watch, WatchRequest
from tests.components.serving.conftest import fake_model
from tests.pipeline.watching import stand_in_run

START = 2_000_000_000.0


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


class Place:
    """A root beside spans of data, and what became of the runs there."""

    def __init__(self, folder: Path):
        self.folder, self.root = folder, Root.at(folder / "root")
        self.clock, self.told, self.codes = Clock(), [], []
        self.config = folder / "trips.yaml"
        self.write_config()

    def write_config(self, spans="latest", path="data/{SPAN}.csv"):
        self.config.write_text(
            f"name: trips\ndata: {{path: '{self.folder}/{path}', spans: {spans}}}\nlabel: {{column: tip}}\n"
        )

    def add_span(self, *spans):
        (self.folder / "data").mkdir(exist_ok=True)
        for span in spans:
            (self.folder / f"data/{span}.csv").write_text("fare,tip\n1,0\n")

    @property
    def directory(self):
        return ServingDirectory(self.root.serving / "trips")

    def push(self, content, provenance=(), **more):
        """Pushes a model, and returns its version."""
        model = fake_model(self.folder / "models" / content, content.encode())
        return self.directory.push(model, {"model": "trips", **dict(provenance)}, **more).version

    def make_request(self, **changes):
        events = WatchedEvents(**{"settle_seconds": 0.0, **changes.pop("events", {})})
        return WatchRequest(config=self.config, root=self.root.path, events=events, retry_seconds=60.0, **changes)

    def open_watch(self, **changes):
        return Watch(self.make_request(**changes), self.told.append, self.clock)

    def run(self, **changes):
        watch = self.open_watch(**changes)
        (self.root.path).mkdir(exist_ok=True)
        watch.look()
        watch.run_due()
        return watch

    def list_runs(self):
        records = [run_record.read_summary(folder) for folder in sorted(self.root.runs.glob("*"))]
        return [record for record in records if record]

    def list_settings(self):
        """What each run was given by `--set`."""
        commands = [record.command for record in self.list_runs()]
        return [[word for before, word in itertools.pairwise(words) if before == "--set"] for words in commands]

    @property
    def state_folder(self):
        return get_folder(self.root, "trips")


@pytest.fixture
def place(tmp_path, monkeypatch):
    made = Place(tmp_path)

    def run_child(folder, arguments, *, to_stderr):
        code = made.codes.pop(0) if made.codes else EXIT_LIVE
        if isinstance(code, BaseException):
            raise code
        return stand_in_run.end(made.root.path, stand_in_run.begin(made.root.path, list(arguments)), code)

    monkeypatch.setattr(run_process, "run_child", run_child)
    return made


@pytest.fixture
def command_environment():
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
