"""The notebook of `examples/notebook` runs, and shows TFDV's page of our statistics."""

import os
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "notebook" / "components.ipynb"


@pytest.mark.skipif(
    os.environ.get("TAXIWAY_TEST_EXAMPLES") != "whole", reason="TAXIWAY_TEST_EXAMPLES=whole runs the examples"
)
@pytest.mark.timeout(1800)
def test_it_runs_to_a_verdict(tmp_path):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    *_, shown, _, verdict = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert any("facets-overview" in str(output.get("data", {})) for output in shown.outputs)
    assert verdict.outputs[-1]["data"]["text/plain"].startswith("(1, ")
    assert (tmp_path / "trips.schema.pbtxt").is_file()
