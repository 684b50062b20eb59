"""The sample pipeline in place of the real one, for tests of everything around it."""

import os
import sys
import types
from pathlib import Path

import pytest

os.environ["TF_USE_LEGACY_KERAS"] = "1"


@pytest.fixture
def sample_dag(monkeypatch):
    """Options of the sample pipeline; `taxiway.pipeline.dag` is the sample's while the test runs."""
    options = {}
    module = types.ModuleType("taxiway.pipeline.dag")
    module.NEVER_CACHED = frozenset({"Last"})

    def create_pipeline(config, root, *, cache=True, force=False):
        from tests.pipeline import sample

        return sample.create(Path(root.path), cache=cache, **options)

    module.create_pipeline = create_pipeline
    monkeypatch.setitem(sys.modules, "taxiway.pipeline.dag", module)
    monkeypatch.setattr("taxiway.pipeline.nodes.NODES", ("Rows", "Gate", "Work", "Last"))
    monkeypatch.setattr("taxiway.pipeline.report.write_report", _write_report)
    return options


def _write_report(root, run_id=None, out=None, without_scores=""):
    """In place of the page, which takes seconds and has its own tests."""
    path = root.reports / f"{run_id}.html"
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    return path
