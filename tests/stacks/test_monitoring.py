"""What one stack's server has logged is judged by both, with the same verdict."""

from __future__ import annotations

import json
from typing import Any

import pytest

from taxiway.pipeline.monitoring.verdicts import list_verdicts
from tests.e2e.conftest import taxiway
from tests.stacks.conftest import read_output
from tests.stacks.root_file_system import BUILD_TIMEOUT_SECONDS, StackRoot

pytestmark = [pytest.mark.stack, pytest.mark.timeout(2 * BUILD_TIMEOUT_SECONDS)]

TOLERANCE = 1e-6
"""Of a share or distance: the columns' quantiles are single precision."""


def list_measurements(verdict: dict[str, Any]) -> dict[tuple[str, str, str], float]:
    columns = verdict["numbers"]["columns"].items()
    return {(name, each["kind"], each["measure"]): each["value"] for name, found in columns for each in found}


def test_both_stacks_judge_the_other_ones_log(other: StackRoot) -> None:
    folder = other.shared / "monitored"
    folder.mkdir()
    version = int(read_output(other.run_python("-m", "tests.stacks.serve_and_log", folder)).split()[-1])
    asked = ("monitor", "--root", str(folder / "root"), "--json")
    here = json.loads(read_output(taxiway(*asked, cwd=folder, timeout=900)))
    there = json.loads(read_output(other.run_python("-m", "taxiway", *asked, cwd=folder)))
    for verdict in (here, there):
        assert (verdict["status"], verdict["rows"], verdict["model_version"]) == ("right", 900, version)
        assert verdict["findings"] == [] and len(list_measurements(verdict)) > 5
    assert list_measurements(here) == pytest.approx(list_measurements(there), abs=TOLERANCE)
    assert len(list_verdicts(folder / "root", "taxi")) == 2
