"""Any command on the other stack, as a developer gives it: `python -m tests.stacks COMMAND`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.stacks.root_file_system import BUILD_TIMEOUT_SECONDS, HOME, StackRoot
from tests.stacks.test_root_file_system import wait_until_gone

pytestmark = [pytest.mark.stack, pytest.mark.timeout(2 * BUILD_TIMEOUT_SECONDS)]

RUN = [sys.executable, "-m", "tests.stacks"]
SCRIPT = """
git ls-files tests/stacks || exit 1
command -v curl || exit 2
.venv/bin/python -c 'import yaml, taxiway; print(taxiway.__file__)' || exit 3
exit 7
"""


def test_it_runs_in_a_copy_that_has_what_the_tests_ask_for(other: StackRoot) -> None:
    """The files that git knows, the programs of the tutorial, the environment where `make setup` has it."""
    done = subprocess.run(
        [*RUN, "sh", "-c", SCRIPT], cwd=HOME, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 7, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "tests/stacks/__main__.py" in lines and lines[-1] == "/checkout/taxiway/__init__.py"


def test_it_ends_all_of_the_command_when_it_is_terminated(other: StackRoot) -> None:
    asked = ["sh", "-c", "echo started; exec sleep 47115"]
    with subprocess.Popen([*RUN, *asked], cwd=HOME, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None and running.stdout.readline() == "started\n"
        running.terminate()
        assert running.wait(timeout=600) == 143
    wait_until_gone("^sleep 47115")
