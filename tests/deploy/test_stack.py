"""`.ci/stack`: which stack a machine gets; and `.ci/setup`, which says so each time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CI = Path(__file__).resolve().parents[2] / ".ci"
SCRIPTS = ("stack", "setup", "run", "docs")


class Machine:
    """A machine as `uname` and `getconf` tell of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self.describe("Linux", "x86_64", "2.36")
        self._put("sha256sum", "exit 127")  # as on an older macOS

    def describe(self, system: str, processor: str, glibc: str) -> None:
        """Puts programs on the PATH that answer so; an empty `glibc` is a getconf that knows no such name."""
        answer = f"echo 'glibc {glibc}'" if glibc else "echo 'getconf: unknown variable' >&2; exit 2"
        self._put("uname", f'case "$1" in -s) echo {system} ;; -m) echo {processor} ;; esac')
        self._put("getconf", f'[ "$*" = GNU_LIBC_VERSION ] || exit 9\n{answer}')

    def _put(self, name: str, body: str) -> None:
        program = self._folder / name
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)

    def run(self, script: Path, stack: str | None = None) -> subprocess.CompletedProcess[str]:
        """Runs a script there, with TAXIWAY_STACK if one is given."""
        kept = {name: value for name, value in os.environ.items() if name != "TAXIWAY_STACK"}
        environment = {**kept, "PATH": f"{self._folder}{os.pathsep}{os.environ['PATH']}"}
        environment |= {} if stack is None else {"TAXIWAY_STACK": stack}
        return subprocess.run([script], env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture()
def machine(tmp_path):
    return Machine(tmp_path / "bin")


@pytest.mark.parametrize(
    ("system", "processor", "glibc", "said"),
    [
        ("Linux", "x86_64", "2.28", "tf216 3.11 glibc 2.28, older than"),
        ("Linux", "x86_64", "2.36", "tf216 3.11 glibc 2.36, older than"),
        ("Linux", "x86_64", "2.38", "tf216 3.11 glibc 2.38, older than"),
        ("Linux", "x86_64", "2.39", "current 3.12 glibc 2.39, 2.39 or newer"),
        ("Linux", "x86_64", "2.41", "current 3.12 glibc 2.41, 2.39 or newer"),
        ("Linux", "x86_64", "3.0", "current 3.12 glibc 3.0, 2.39 or newer"),
        ("Darwin", "arm64", "", "current 3.12 Apple silicon"),
    ],
)
def test_the_machine_decides(machine, system, processor, glibc, said):
    machine.describe(system, processor, glibc)
    done = machine.run(CI / "stack")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(said) and done.stdout.count("\n") == 1


@pytest.mark.parametrize("stack", ["current", "tf216"])
def test_the_variable_overrides(machine, stack):
    machine.describe("Linux", "x86_64", "2.41")
    python = {"current": "3.12", "tf216": "3.11"}[stack]
    assert machine.run(CI / "stack", stack).stdout == f"{stack} {python} TAXIWAY_STACK asks for it\n"


def test_an_empty_variable_is_none(machine):
    assert machine.run(CI / "stack", "").stdout.startswith("tf216 3.11 glibc 2.36")


@pytest.mark.parametrize(
    ("system", "processor", "glibc", "stack", "said"),
    [
        ("Linux", "x86_64", "2.17", None, "glibc 2.17 is older than 2.28"),
        ("Linux", "x86_64", "2.17", "tf216", "glibc 2.17 is older than 2.28"),
        ("Linux", "x86_64", "", None, "this Linux has no glibc (musl?)"),
        ("Linux", "aarch64", "2.41", None, "TFX has no wheels for Linux aarch64"),
        ("Darwin", "x86_64", "", None, "TFX has no wheels for Darwin x86_64"),
        (
            "Linux",
            "x86_64",
            "2.36",
            "current",
            "'current', which has no wheels for this machine (Linux x86_64, glibc 2.36)",
        ),
        ("Darwin", "arm64", "", "tf216", "'tf216', which has no wheels for this machine (Darwin arm64)"),
        ("Linux", "x86_64", "2.41", "tf217", "TAXIWAY_STACK is 'tf217'. Known are 'current' and 'tf216'."),
        ("Linux", "x86_64", "2.41", "current tf216", "TAXIWAY_STACK is 'current tf216'."),
    ],
)
def test_what_cannot_work_is_refused_with_words(machine, system, processor, glibc, stack, said):
    machine.describe(system, processor, glibc)
    done = machine.run(CI / "stack", stack)
    assert done.returncode == 1 and done.stdout == ""
    assert said in done.stderr


@pytest.fixture()
def checkout(tmp_path):
    """The files that set-up reads, beside a uv that writes down how it is called and makes what it is asked for.

    It finds the versions of Python that the file `pythons` lists.
    """
    home = tmp_path / "checkout"
    shutil.copytree(CI, home / ".ci")
    for name in ("pyproject.toml", "requirements-tf216.lock", "requirements-current.lock"):
        shutil.copy2(CI.parent / name, home / name)
    (home / "pythons").write_text("3.12\n3.13\n")
    version = next(line for line in (CI / "setup").read_text().splitlines() if line.startswith("UV_VERSION="))
    uv = home / ".tools" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    uv.write_text(
        f"""#!/bin/bash
[ "$1" = --version ] && {{ echo "uv {version.removeprefix("UV_VERSION=")}"; exit; }}
if [ "$1 $2" = "python find" ]; then
  [ $UV_PYTHON_DOWNLOADS = never ] && grep -qx "${{@: -1}}" "{home}/pythons" || exit
  echo "{home}/found"
  exit
fi
echo "$@" >> "{home}/calls"
[ "$1" = venv ] || exit 0
mkdir -p .venv/bin
printf '#!/bin/sh\\ncase "$2" in *%s*) exit 0 ;; *) exit 1 ;; esac\\n' "'$4'" > .venv/bin/python
chmod +x .venv/bin/python
"""
    )
    uv.chmod(0o755)
    found = home / "found"  # a Python whose headers are there, unless a test removes them
    found.write_text(f'#!/bin/sh\n[ ! -e "{home}/no-headers" ]\n')
    found.chmod(0o755)
    (uv.parent / "python").symlink_to(sys.executable)
    return home


def read_calls(checkout):
    calls = (checkout / "calls").read_text().splitlines() if (checkout / "calls").exists() else []
    (checkout / "calls").unlink(missing_ok=True)
    return calls


def test_set_up_says_the_stack_each_time_and_switches_the_environment(machine, checkout):
    machine.describe("Linux", "x86_64", "2.41")
    setup = checkout / ".ci" / "setup"
    first = machine.run(setup)
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("setup: stack current on Python 3.12 (glibc 2.41, 2.39 or newer)\n")
    made, synced, _ = read_calls(checkout)
    assert made == "venv --quiet --python 3.12 .venv" and synced.endswith(" requirements-current.lock")

    again = machine.run(setup)
    assert again.stdout == "setup: stack current on Python 3.12 (glibc 2.41, 2.39 or newer)\n"
    asked = machine.run(setup, "current")
    assert asked.stdout == "setup: stack current on Python 3.12 (TAXIWAY_STACK asks for it)\n"
    assert read_calls(checkout) == []

    switched = machine.run(setup, "tf216")
    assert switched.stdout.startswith("setup: stack tf216 on Python 3.11 (TAXIWAY_STACK asks for it)\n")
    made, synced, _ = read_calls(checkout)
    assert made == "venv --quiet --python 3.11 .venv" and synced.endswith(" requirements-tf216.lock")


@pytest.mark.parametrize(
    ("pythons", "stack", "taken"),
    [
        ("3.11\n3.13\n", "current", "3.13"),  # Debian 13
        ("3.11\n", "current", "3.12"),  # uv downloads it
        ("3.13\n", "tf216", "3.11"),  # whose lock is for one version
    ],
)
def test_an_installed_python_that_the_lock_takes_spares_the_download(machine, checkout, pythons, stack, taken):
    """And one that comes later does not have the environment made again."""
    machine.describe("Linux", "x86_64", "2.41")
    (checkout / "pythons").write_text(pythons)
    done = machine.run(checkout / ".ci" / "setup", stack)
    assert done.returncode == 0 and f"stack {stack} on Python {taken} (" in done.stdout
    assert read_calls(checkout)[0] == f"venv --quiet --python {taken} .venv"
    (checkout / "pythons").write_text("3.11\n3.12\n3.13\n")
    assert machine.run(checkout / ".ci" / "setup", stack).returncode == 0 and read_calls(checkout) == []


def test_a_python_without_headers_builds_no_source_package_and_is_not_taken(machine, checkout):
    machine.describe("Linux", "x86_64", "2.41")
    (checkout / "pythons").write_text("3.13\n")
    (checkout / "no-headers").touch()
    assert machine.run(checkout / ".ci" / "setup").returncode == 0
    assert read_calls(checkout)[0] == "venv --quiet --python 3.12 .venv"


def test_without_any_python_set_up_names_all_that_would_do(machine, checkout):
    machine.describe("Linux", "x86_64", "2.41")
    (checkout / "pythons").write_text("")
    uv = checkout / ".tools" / "bin" / "uv"
    uv.write_text(uv.read_text().replace('[ "$1" = venv ] || exit 0', '[ "$1" != venv ]; exit'))
    done = machine.run(checkout / ".ci" / "setup")
    assert done.returncode == 1 and "install Python 3.12 or 3.13 ('apt-get install python3.12' or" in done.stderr


def test_set_up_without_a_stack_leaves_the_environment_alone(machine, checkout):
    machine.run(checkout / ".ci" / "setup")
    read_calls(checkout)
    done = machine.run(checkout / ".ci" / "setup", "current")
    assert done.returncode == 1 and "has no wheels for this machine" in done.stderr
    assert read_calls(checkout) == [] and (checkout / ".venv" / "taxiway.stamp").exists()


def test_the_scripts_pass_shellcheck():
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not on the PATH")
    done = subprocess.run(["shellcheck", *SCRIPTS], cwd=CI, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
