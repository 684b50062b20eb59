"""Runs a command on the stack that is not installed here, in a copy of this checkout.

    python -m tests.stacks python -m pytest -q tests/e2e
    python -m tests.stacks make run

The copy is a repository of its own, and its `.venv` is the environment of the root file system. Both the copy and what
the command writes below `/tmp` are gone when it has ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from taxiway.components.stack_seam import name_stack
from tests.stacks.root_cache import CannotMakeRootError
from tests.stacks.root_file_system import (
    CHECKOUT,
    OTHER,
    PYTHON,
    copy_checkout,
    make_command,
    make_environment,
    make_root,
)

PASSED_ON = ("PYTEST_", "TAXIWAY_TEST_")
"""Beginnings of the variables that a command inside sees beside how packages are fetched."""


def run_there(command: list[str]) -> int:
    """The exit code of a command on the other stack, whose output goes to where this one's goes.

    Raises:
        CannotMakeRootError: The other stack cannot be had on this machine.
    """
    root = make_root(OTHER[name_stack()])
    with tempfile.TemporaryDirectory(prefix="taxiway-other-stack-", ignore_cleanup_errors=True) as place:
        checkout, scratch = (Path(place) / name for name in ("checkout", "scratch"))
        make_checkout(checkout)
        scratch.mkdir()
        scratch.chmod(0o1777)
        environment = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
        started = make_command(root, {checkout: CHECKOUT, scratch: "/tmp"}, CHECKOUT, command)
        return subprocess.run(started, env={**make_environment(), **environment}, check=False).returncode


def make_checkout(target: Path) -> None:
    """Copies this checkout as a repository with its files in the index, and with the environment as its `.venv`."""
    copy_checkout(target)
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", "-C", str(target), *command], check=True)
    (target / ".venv").symlink_to(Path(PYTHON).parents[1])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    # `unshare` ignores SIGTERM: leaving by an exception kills it, and with it all that runs inside.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        sys.exit(run_there(sys.argv[1:]))
    except CannotMakeRootError as error:
        sys.exit(f"the other stack cannot be had here: {error}")
