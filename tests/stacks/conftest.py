"""The other stack, ready to run, and one root that both stacks write in turn."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from taxiway.components.stack_seam import name_stack
from tests.e2e.conftest import taxi_config, taxiway
from tests.stacks.root_cache import CannotMakeRootError
from tests.stacks.root_file_system import OTHER, StackRoot, copy_checkout, make_root

RUN_TIMEOUT_SECONDS = 1800
SMALL = ("--set", "optimization.variants=[frozen]", "--set", "training.epochs=3")  # after one, calibration may block
WARM = ("--set", "training.warm_start=live")
KUBEFLOW = {
    "image": "taxiway:test-{stack}",
    "default": {"volumes": [{"claim": "taxiway", "mount_path": "/taxiway"}]},
}


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> StackRoot:
    """The stack that is not installed here; what needs it is skipped where it cannot be had."""
    stack = OTHER[name_stack()]
    try:
        path = make_root(stack)
    except CannotMakeRootError as error:
        pytest.skip(f"the stack {stack} cannot be had here: {error}")
    folder = tmp_path_factory.mktemp(stack)
    checkout, scratch, shared = (folder / name for name in ("checkout", "scratch", "shared"))
    copy_checkout(checkout)
    scratch.mkdir()
    scratch.chmod(0o1777)  # it is /tmp inside, where other users write too
    shared.mkdir()
    return StackRoot(stack, path, checkout, scratch, shared)


@dataclass(frozen=True)
class Sides:
    """One root that both stacks use: `here` runs a command of Taxiway on the native stack, `there` on the other."""

    other: StackRoot
    config: Path
    root: Path

    def here(self, command: str, *arguments: str | Path, timeout: float = RUN_TIMEOUT_SECONDS) -> str:
        done = taxiway(command, *arguments, "--root", str(self.root), cwd=self.other.shared, timeout=timeout)
        return read_output(done)

    def there(self, command: str, *arguments: str | Path, timeout: float = RUN_TIMEOUT_SECONDS) -> str:
        asked = ["-m", "taxiway", command, *arguments, "--root", self.root]
        return read_output(self.other.run_python(*asked, cwd=self.other.shared, timeout=timeout))


def compile_there(sides: Sides, folder: Path) -> Path:
    """Compiles the pipeline for Kubeflow on the other stack, into an empty folder that it sees."""
    asked = ["compile", sides.config, "-o", folder / "pipeline.yaml", *SMALL]
    asked += ["--set", f"resources.kubeflow={json.dumps(KUBEFLOW)}"]
    read_output(sides.other.run_python("-m", "taxiway", *asked, cwd=folder))
    return folder / "pipeline.yaml"


def read_output(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="session")
def sides(other: StackRoot) -> Sides:
    """Before any run: the taxi example's configuration, and a root that is not there yet."""
    return Sides(other, taxi_config(other.shared / "config"), other.shared / "root")
