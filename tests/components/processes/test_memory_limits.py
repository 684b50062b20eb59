"""The memory that a process may use: the smallest limit of its control groups, of either version, nested."""

import psutil
import pytest

from taxiway.components.processes import memory_limits

GB = 10**9


@pytest.fixture
def groups(tmp_path, monkeypatch):
    monkeypatch.setattr(memory_limits, "MOUNT", tmp_path)
    monkeypatch.setattr(memory_limits, "OWN_GROUPS", tmp_path / "own")

    def write(own, files):
        (tmp_path / "own").write_text(own)
        for path, content in files.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{content}\n")

    return write


def test_without_groups_it_is_the_machines(tmp_path, monkeypatch):
    monkeypatch.setattr(memory_limits, "OWN_GROUPS", tmp_path / "none")
    assert memory_limits.read_total_bytes() == psutil.virtual_memory().total
    assert 0 < memory_limits.read_available_bytes() <= memory_limits.read_total_bytes()


def test_version_2_nested(groups):
    stat = "anon 5\ninactive_file 400000000\nactive_file 9"
    files = {"a/memory.max": 2 * GB, "a/memory.current": GB, "a/memory.stat": stat}
    groups("0::/a/b\n", files | {"a/b/memory.max": "max", "a/b/memory.current": GB})
    assert memory_limits.read_total_bytes() == 2 * GB
    assert memory_limits.read_available_bytes() == 1_400_000_000, "cache counts as free"


def test_version_1_beside_an_empty_version_2(groups):
    pod = {"memory/pod/memory.limit_in_bytes": 3 * GB, "memory/pod/memory.usage_in_bytes": GB}
    own = {"memory/pod/c/memory.limit_in_bytes": 9223372036854771712, "memory/pod/c/memory.usage_in_bytes": GB}
    groups("9:name=systemd:/\n4:cpu,memory:/pod/c\n0::/\n", pod | own)
    assert memory_limits.read_total_bytes() == 3 * GB
    assert memory_limits.read_available_bytes() == min(2 * GB, psutil.virtual_memory().available)


def test_in_a_container_the_mount_is_its_group_whatever_path_it_is_told(groups):
    groups("0::/host/path/of/it\n", {"memory.max": GB, "memory.current": 2 * GB})
    assert memory_limits.read_total_bytes() == GB
    assert memory_limits.read_available_bytes() == 0


@pytest.mark.parametrize("content", ["", "rubbish", "max"])
def test_what_cannot_be_read_limits_nothing(groups, content):
    groups("0::/\n", {"memory.max": content, "memory.current": ""})
    assert memory_limits.read_total_bytes() == psutil.virtual_memory().total
