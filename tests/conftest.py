"""For all tests, however the suite was started."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.s3_server import S3Server, run_server

# What a script starts in the background inherits an ignored SIGINT, and so does what the tests start: no interruption
# would ever arrive there. A handler of Python's is the default action in children.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Our processes do not look for modules in the current folder; those that the tests start lie in this checkout.
_PATHS = [str(Path(__file__).parents[1]), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(_PATHS))

# An example that takes long on a busy machine is no failure; a test's own time limit is pytest's.
hypothesis.settings.register_profile("taxiway", deadline=None)
hypothesis.settings.load_profile("taxiway")


GROUPED = ("tests/components", "tests/pipeline")
"""Their folders are groups of their own; every other folder of `tests/` is one."""
LONG = ("tests/flink", "tests/stacks", "tests/e2e")
"""Groups of minutes, which would leave the other worker without work where they came last."""


class GroupScheduling(LoadScopeScheduling):
    """With several workers (`make test`) a folder's tests stay in one, which makes its fixtures once."""

    def _split_scope(self, nodeid: str) -> str:
        return name_group(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling:
    """Not `--dist loadgroup`, which writes its groups to where pytest 9.2 no longer reads them."""
    return GroupScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: rank_group(name_group(item.nodeid)))


def rank_group(group: str) -> int:
    """The place of a group: long ones first, the others as they were."""
    return LONG.index(group) if group in LONG else len(LONG)


def name_group(node_id: str) -> str:
    """The folder whose tests share fixtures: `tests/e2e`, `tests/components/optimizer`."""
    parts = node_id.partition("::")[0].split("/")[:-1]
    return "/".join(parts[:3] if "/".join(parts[:2]) in GROUPED else parts[:2])


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server, started by the first test that asks for it."""
    with run_server() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> S3Server:
    """The server, and nothing else of this machine's settings, in the environment."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "TAXIWAY_OBJECT_"))]:
        monkeypatch.delenv(name)
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TAXIWAY_CACHE", str(tmp_path / "cache"))
    return s3_server
