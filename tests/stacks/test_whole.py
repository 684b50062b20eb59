"""What takes longer on the other stack: an emulated Kubeflow run, and the unit tests of components/."""

from __future__ import annotations

import json
import os

import pytest

from tests.stacks.conftest import Sides, compile_there, read_output
from tests.stacks.root_file_system import StackRoot

VARIABLE = "TAXIWAY_TEST_STACKS"
LIMIT_SECONDS = 3 * 3600

pytestmark = [
    pytest.mark.stack,
    pytest.mark.timeout(LIMIT_SECONDS),
    pytest.mark.skipif(os.environ.get(VARIABLE) != "whole", reason=f"takes an hour: {VARIABLE}=whole asks for it"),
]


def test_it_emulates_what_it_compiles(sides: Sides) -> None:
    folder = sides.other.shared / "emulated"
    folder.mkdir()
    emulate = ["emulate", compile_there(sides, folder), "--root", folder / "root", "--json"]
    told = json.loads(read_output(sides.other.run_python("-m", "taxiway", *emulate, cwd=folder, timeout=LIMIT_SECONDS)))
    assert {task["state"] for task in told["tasks"].values()} == {"succeeded"}


def test_the_unit_tests_of_the_components_pass(other: StackRoot) -> None:
    parallel = ["-n", "2", "--dist", "loadscope", "--no-loadscope-reorder"]
    tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", *parallel, "tests/components"]
    done = other.run_python(*tests, timeout=LIMIT_SECONDS)
    print(done.stdout[-3000:])
    assert done.returncode == 0, done.stdout[-8000:]
