"""With several workers, tests that share fixtures stay together."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LONG, name_group, rank_group


@pytest.mark.parametrize(
    ("node", "group"),
    [
        ("tests/e2e/test_taxi.py::test_one_version_is_live", "tests/e2e"),
        ("tests/components/optimizer/variants/test_onnx.py::test_a[x::y/z]", "tests/components/optimizer"),
        ("tests/pipeline/runs/test_api.py::TestBoth::test_a", "tests/pipeline/runs"),
        ("tests/pipeline/test_config.py::test_a", "tests/pipeline"),
        ("tests/test_environment.py::test_a", "tests"),
    ],
)
def test_groups(node, group):
    assert name_group(node) == group


def test_long_groups_come_first_and_the_others_as_they_were():
    groups = ["tests/bench", *reversed(LONG), "tests/pipeline"]
    assert sorted(groups, key=rank_group) == [*LONG, "tests/bench", "tests/pipeline"]


def test_workers_get_whole_groups():
    """xdist itself says which worker ran what."""
    asked = ["-v", "-p", "no:cacheprovider", "--numprocesses=2", "--dist=loadscope", "-k", "test_groups"]
    command = [
        sys.executable,
        "-m",
        "pytest",
        *asked,
        "tests/test_conftest.py",
    ]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=120, check=False
    )
    ran = re.findall(r"^\[(gw\d)\].*PASSED tests/test_conftest.py", done.stdout, re.MULTILINE)
    assert len(ran) == 5 and len(set(ran)) == 1, done.stdout
