"""The machine's own archive, out of apt's two kinds of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stacks.apt_sources import PYTHONS, RELEASES, Source, read_sources, write_source_line

DEBIAN = {"ID": "debian", "VERSION_CODENAME": "bookworm"}
STANZAS = """Types: deb
# http://snapshot.example/archive
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/some.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb-src
URIs: http://mirror.example/sources
Suites: bookworm
Components: main

Enabled: no
Types: deb
URIs: http://mirror.example/off
Suites: bookworm
Components: main
"""
LINES = """# deb http://mirror.example/commented bookworm main
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/other.gpg] http://other.example/tools any main  # not the system's
deb http://mirror.example/debian bookworm main contrib
"""


@pytest.fixture(params=["sources.list", "sources.list.d/debian.sources"])
def apt(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / request.param
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(LINES if request.param == "sources.list" else STANZAS)
    return tmp_path


@pytest.mark.parametrize(("stack", "release"), [("current", "trixie"), ("tf216", "bookworm")])
def test_the_release_comes_from_the_machine_s_own_archive(apt: Path, stack: str, release: str) -> None:
    assert write_source_line(stack, apt, DEBIAN) == f"deb http://mirror.example/debian {release} main contrib"


def test_the_python_of_every_release_is_known() -> None:
    assert {name for releases in RELEASES.values() for name in releases.values()} == set(PYTHONS)


@pytest.mark.parametrize(
    "release",
    [
        {"ID": "fedora", "VERSION_CODENAME": "bookworm"},
        {"ID": "debian", "VERSION_CODENAME": "sid"},
        {"ID": "debian"},
        {},
    ],
)
def test_another_system_has_no_line(apt: Path, release: dict[str, str]) -> None:
    assert write_source_line("current", apt, release) is None


def test_only_enabled_binary_packages_count(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(LINES)
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (folder / "a.list").write_text("deb http://third.example/debian trixie main\n")
    (folder / "b.sources").write_text(STANZAS)
    assert [source.uri.rpartition("/")[2] for source in read_sources(tmp_path)] == [
        "tools", "debian", "debian", "debian", "debian-security",
    ]  # fmt: skip
    assert read_sources(tmp_path)[0] == Source("http://other.example/tools", ("any",), ("main",))


def test_no_files_are_no_sources(tmp_path: Path) -> None:
    assert read_sources(tmp_path) == []
