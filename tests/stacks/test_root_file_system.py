"""What the harness refuses, and that nothing that a command mounts outlives it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stacks import root_cache
from tests.stacks import root_file_system as harness

needs_root = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="mounts need root")


def wait_until_gone(pattern: str) -> None:
    """The kernel kills what is left after it has let the waiting parent go: not at once."""
    deadline = time.monotonic() + 60
    while subprocess.run(["pgrep", "-f", pattern], capture_output=True, check=False).returncode == 0:
        assert time.monotonic() < deadline, f"{pattern} still runs"
        time.sleep(0.1)


@pytest.fixture
def fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A machine that has all that it takes."""
    monkeypatch.setenv("TAXIWAY_STACKS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(harness.platform, "system", lambda: "Linux")
    monkeypatch.setattr(harness.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(harness.os, "geteuid", lambda: 0)
    monkeypatch.setattr(harness.shutil, "which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(harness, "write_source_line", lambda stack: "deb http://mirror.example/debian trixie main")
    monkeypatch.setattr(harness, "UV", Path(__file__))
    monkeypatch.setattr(harness, "find_python_prefix", lambda stack, downloads: None)
    monkeypatch.setattr(root_cache, "FREE_BYTES", 1)
    return monkeypatch


def test_a_fit_machine_is_not_refused(fit: pytest.MonkeyPatch) -> None:
    harness.check_machine("current")


@pytest.mark.parametrize(
    ("owner", "name", "value", "reason"),
    [
        (harness.platform, "system", lambda: "Darwin", "Linux on x86-64 alone"),
        (harness.platform, "machine", lambda: "aarch64", "Linux on x86-64 alone"),
        (harness.os, "geteuid", lambda: 1000, "needs the rights of root"),
        (harness.shutil, "which", lambda program: None, "mmdebstrap is not installed"),
        (harness, "write_source_line", lambda stack: None, "no archive that has a release for stack current"),
        (harness, "UV", Path("/none/uv"), r"/none/uv is not there \(make setup\)"),
        (root_cache, "FREE_BYTES", 1 << 62, "are needed"),
    ],
)
def test_what_is_missing_is_said(fit: pytest.MonkeyPatch, owner: object, name: str, value: object, reason: str) -> None:
    fit.setattr(owner, name, value)
    with pytest.raises(root_cache.CannotMakeRootError, match=reason):
        harness.make_root("current")


def put_mmdebstrap(fit: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Puts a shell script of that name before all others on the PATH."""
    folder.mkdir()
    program = folder / "mmdebstrap"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    fit.setenv("PATH", str(folder), prepend=os.pathsep)


@needs_root
def test_an_archive_that_cannot_be_reached_is_said(fit: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put_mmdebstrap(fit, tmp_path / "bin", 'echo "E: Unable to fetch some archives" >&2; exit 25')
    with pytest.raises(root_cache.CannotMakeRootError, match="could not make trixie: E: Unable to fetch"):
        harness.make_root("current")
    assert not list((tmp_path / "cache").glob("current-*"))


@needs_root
def test_an_archive_that_does_not_answer_is_said(fit: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put_mmdebstrap(fit, tmp_path / "bin", "exec sleep 47114")
    fit.setattr(harness, "BUILD_TIMEOUT_SECONDS", 1)
    with pytest.raises(root_cache.CannotMakeRootError, match="made no trixie in 1 s"):
        harness.make_root("current")
    wait_until_gone("^sleep 47114")


PREFIX_ASKED = """#!/bin/sh
case "$1 $2" in
  "python find") [ -e "$UV_PYTHON_INSTALL_DIR/made" ] && echo "$UV_PYTHON_INSTALL_DIR/python" ;;
  "python install") {install} ;;
esac
"""
DOWNLOADED = (
    """mkdir -p "$5" && touch "$5/made" && printf '#!/bin/sh\\necho /opt/some' > "$5/python" && chmod +x "$5/python" """
)


@pytest.fixture
def put_uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, str], None]:
    """Puts a uv that finds nothing but what it has downloaded, on a machine whose archive has a release."""

    def put(release: str, install: str) -> None:
        uv = tmp_path / "uv"
        uv.write_text(PREFIX_ASKED.replace("{install}", install))
        uv.chmod(0o755)
        monkeypatch.setattr(harness, "UV", uv)
        monkeypatch.setattr(harness, "write_source_line", lambda stack: f"deb http://mirror.example {release} main")

    monkeypatch.delenv("UV_PYTHON_INSTALL_DIR", raising=False)
    return put


@pytest.mark.parametrize(("stack", "release"), [("tf216", "bookworm"), ("current", "noble"), ("current", "trixie")])
def test_the_archive_s_python_needs_no_download(
    put_uv: Callable[[str, str], None], tmp_path: Path, stack: str, release: str
) -> None:
    put_uv(release, "exit 3")
    assert harness.find_python_prefix(stack, tmp_path / "python") is None


def test_a_python_that_neither_archive_nor_machine_has_is_downloaded_once(
    put_uv: Callable[[str, str], None], tmp_path: Path
) -> None:
    put_uv("jammy", DOWNLOADED)
    assert harness.find_python_prefix("tf216", tmp_path / "python") == Path("/opt/some")
    put_uv("jammy", "exit 3")
    assert harness.find_python_prefix("tf216", tmp_path / "python") == Path("/opt/some")


def test_a_download_that_fails_is_said_before_a_system_is_made(
    put_uv: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put_uv("jammy", "echo 'error: no route to host' >&2; exit 2")
    monkeypatch.setattr(harness, "_make_system", lambda *_: pytest.fail("a system was made"))
    with pytest.raises(root_cache.CannotMakeRootError, match=r"no Python 3\.11 is here .*: error: no route to host"):
        harness._build_root("tf216", tmp_path / "root", tmp_path / "cache" / "uv")


def test_a_root_that_is_there_needs_no_room(fit: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept = tmp_path / "cache" / f"current-{harness.compute_stamp('current')}"
    kept.mkdir(parents=True)
    fit.setattr(root_cache, "FREE_BYTES", 1 << 62)
    assert harness.make_root("current") == kept


def test_a_root_is_made_anew_for_another_lock_only(fit: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for name in ("pyproject.toml", "requirements-current.lock", "requirements-tf216.lock"):
        shutil.copy(harness.HOME / name, home / name)
    fit.setattr(harness, "HOME", home)
    before = harness.compute_stamp("current")
    (home / "requirements-tf216.lock").write_text("")
    assert harness.compute_stamp("current") == before != harness.compute_stamp("tf216")
    (home / "requirements-current.lock").write_text("numpy==1.0\n")
    assert harness.compute_stamp("current") != before


def test_the_python_is_the_one_that_the_set_up_chooses() -> None:
    assert harness.find_python_version("current") == "3.12" and harness.find_python_version("tf216") == "3.11"


def test_nothing_of_the_environment_goes_inside_but_how_packages_are_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://mirror.example/simple")
    monkeypatch.setenv("https_proxy", "http://proxy.example")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    made = harness.make_environment()
    assert made["PIP_INDEX_URL"] == "http://mirror.example/simple" and made["https_proxy"] == "http://proxy.example"
    assert "AWS_SECRET_ACCESS_KEY" not in made and made["HOME"] == "/root"


@needs_root
def test_what_a_command_mounts_is_gone_with_it(tmp_path: Path) -> None:
    """A root without a system of its own: the machine's, bound into it for the command."""
    root, given = tmp_path / "root", tmp_path / "given"
    for folder in (root / "proc", root / "dev", given):
        folder.mkdir(parents=True)
    (given / "kept").write_text("kept")
    system = {Path(path): path for path in ("/usr", "/bin", "/lib", "/lib64") if Path(path).is_dir()}
    done = harness.run_inside(root, {**system, given: "/given"}, "/given", ["ls", "/given", "/proc/self"], 60)
    assert done.returncode == 0 and "kept" in done.stdout and "cmdline" in done.stdout, done.stderr
    assert not any(str(root) in line for line in Path("/proc/self/mountinfo").read_text().splitlines())
    root_cache.remove_root(root)
    assert (given / "kept").read_text() == "kept" and Path("/usr/bin").is_dir()


@needs_root
def test_the_exit_code_and_the_time_limit_hold(tmp_path: Path) -> None:
    system = {Path(path): path for path in ("/usr", "/bin", "/lib", "/lib64") if Path(path).is_dir()}
    for name in ("proc", "dev"):
        (tmp_path / name).mkdir()
    assert harness.run_inside(tmp_path, system, "/", ["sh", "-c", "exit 7"], 60).returncode == 7
    with pytest.raises(subprocess.TimeoutExpired):
        harness.run_inside(tmp_path, system, "/", ["sleep", "47113"], 1)
    wait_until_gone("^sleep 47113")
