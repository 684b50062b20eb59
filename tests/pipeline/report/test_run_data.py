"""What a run left, where a text of an artifact may be a property or a file."""

from __future__ import annotations

import json

import pytest

from taxiway.pipeline.report.run_data import RunData
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking.run_record import RunRecord
from taxiway.pipeline.tracking.store.metadata_store import StoredArtifact

MANY = tuple(f"class-{number}" for number in range(500))


@pytest.fixture()
def open_run(tmp_path):
    def make(properties):
        examples = StoredArtifact(1, "Examples", str(tmp_path), "LIVE", "examples", properties)
        return RunData(
            Root.at(tmp_path),
            RunRecord(run_id="r", state="live", started=0),
            outputs={("ExampleGen", "examples"): examples},
        )

    return make


def test_classes_are_a_property_where_they_are_few(open_run):
    assert open_run({"classes": '["0", "1"]'}).classes == ("0", "1")


def test_classes_are_a_file_where_they_are_many(open_run, tmp_path):
    (tmp_path / "classes.json").write_text(json.dumps(MANY))
    assert open_run({}).classes == MANY


@pytest.mark.parametrize("properties", [{}, {"classes": "damaged"}, {"classes": "[]"}])
def test_no_classes(open_run, properties):
    assert open_run(properties).classes == ()
