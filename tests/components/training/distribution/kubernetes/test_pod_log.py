"""A pod's log over connections that break, and what may be asked twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from taxiway.components.errors import TrainingError
from taxiway.components.training.distribution.kubernetes.api import ApiUnavailableError
from taxiway.components.training.distribution.kubernetes.pod_log import PodLog
from tests.components.training.distribution.kubernetes.cluster_server import stamp_time

LINES = [f"{stamp_time(1.8e9 + i // 2 / 8)} line {i}\n".encode() for i in range(20)]
"""Times with 0 to 3 digits after the point, two lines each."""
PLAIN = b"".join(f"line {i}\n".encode() for i in range(20))


def _copy(tmp_path: Path, connections: list[tuple[int, int, bool]]) -> tuple[bytes, list[int | None]]:
    """Connections: the first line that each gives, the one before which it breaks, and whether with an error."""
    plans, asked = iter([*connections, (0, 20, False), (0, 20, False)]), []

    def follow(since: int | None) -> Iterator[bytes]:
        asked.append(since)
        first, last, broken = next(plans)
        yield from LINES[first:last]
        if broken:
            raise ApiUnavailableError("broken")

    file = tmp_path / "log"
    file.unlink(missing_ok=True)
    PodLog(file, follow).copy_to_end(lambda: len(asked) >= len(connections), 0)
    return file.read_bytes(), asked


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=6))
def test_each_line_is_there_once(tmp_path_factory, breaks: list[tuple[int, bool]]) -> None:
    """A connection begins at or before what is known, as the overlap makes it."""
    connections, known = [], 0
    for last, broken in breaks:
        connections.append((max(known - 3, 0) // 2 * 2, last, broken))
        known = max(known, last)
    copied, asked = _copy(tmp_path_factory.mktemp("log"), connections)
    assert copied == PLAIN
    assert asked[0] is None


def test_it_goes_on_from_where_it_stood(tmp_path: Path) -> None:
    assert _copy(tmp_path, [(0, 5, True)])[1] == [None, 30]


def test_a_pod_that_is_gone_ends_it(tmp_path: Path) -> None:
    def follow(since: int | None) -> Iterator[bytes]:
        yield LINES[0]
        raise TrainingError("pods x not found")

    PodLog(tmp_path / "log", follow).copy_to_end(lambda: False, 0)
    assert (tmp_path / "log").read_bytes() == b"line 0\n"
