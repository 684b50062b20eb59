"""Makes a root file system that holds the stack that does not run on this machine, and runs commands in it.

The system comes from the machine's own package archive by mmdebstrap, Python from this machine (or the archive, or
uv's downloads), the packages from the stack's lock. It is kept between runs in the user's cache, under the stamp of
what it was made from.

Whatever is mounted is mounted in a mount namespace of the command's own, and is gone with it: outside of the command
there is no mount through which a removal could reach.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from tests.stacks import root_cache
from tests.stacks.apt_sources import PYTHONS, write_source_line
from tests.stacks.root_cache import CannotMakeRootError

HOME = Path(__file__).parents[2]
UV = HOME / ".tools" / "bin" / "uv"
CHECKOUT = "/checkout"
"""Where a copy of this checkout lies inside."""
PYTHON = "/opt/venv/bin/python"
PACKAGES = "ca-certificates,curl,python3,python3-venv,python3-dev,g++,git,make,procps"
"""curl is what the tutorial's commands use, git what some tests ask which files are ours."""
OTHER = {"current": "tf216", "tf216": "current"}
OTHER_PYTHON = {"current": "3.13"}
"""A version that the stack's lock is for too, and the archive may have."""
BUILD_TIMEOUT_SECONDS = 1500
DOWNLOAD_TIMEOUT_SECONDS = 300
SETTINGS = ("PIP_", "UV_", "SSL_CERT_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
"""Of the environment: where packages come from, and whom to trust for it."""
SETTINGS_FILES = ("/etc/pip.conf", "~/.config/pip/pip.conf", "~/.config/uv/uv.toml", "/etc/resolv.conf", "/etc/hosts")
NAMESPACES = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child")
"""Mounts and processes of the command's own: when it ends, or is killed, all of them end."""
MOUNT = """
set -e
root=$1; shift
while [ "$1" != -- ]; do
  mkdir -p "$root${1#*=}"
  mount --bind "${1%%=*}" "$root${1#*=}"
  shift
done
shift
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
exec chroot "$root" /bin/sh -c 'cd "$1" && shift && "$@"; exit $?' sh "$@"
"""
"""Run in namespaces of its own: binds `FROM=TO ...`, then `-- FOLDER COMMAND...` in the new root.

The shell stays as the first process, which takes in what the command leaves behind.
"""


@dataclass(frozen=True)
class StackRoot:
    """A stack in a root file system of its own.

    Attributes:
        stack: Its name.
        path: The root file system.
        checkout: The copy of this checkout that is seen inside as `CHECKOUT`.
        scratch: A folder that is seen inside as `/tmp`.
        shared: A folder that is seen inside under the same path: for roots that both stacks write.
    """

    stack: str
    path: Path
    checkout: Path
    scratch: Path
    shared: Path

    def run_python(
        self, *arguments: str | Path, cwd: str | Path = CHECKOUT, timeout: float = 900
    ) -> subprocess.CompletedProcess[str]:
        """Runs the stack's Python inside; never raises for its exit code.

        Args:
            arguments: Arguments of Python.
            cwd: Folder inside.
            timeout: Seconds after which all that was started is killed.
        """
        binds = {self.checkout: CHECKOUT, self.scratch: "/tmp", self.shared: str(self.shared)}
        return run_inside(self.path, binds, cwd, [PYTHON, *arguments], timeout)


def run_inside(
    root: Path, binds: dict[Path, str], cwd: str | Path, command: Sequence[str | Path], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Runs a command in a root file system, in mount and process namespaces of its own: when it ends, all ends."""
    return subprocess.run(
        make_command(root, binds, cwd, command),
        env=make_environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def make_command(root: Path, binds: dict[Path, str], cwd: str | Path, command: Sequence[str | Path]) -> list[str]:
    """What this machine starts to run a command in a root file system.

    Args:
        root: The root file system.
        binds: Folders of this machine, and where each is seen inside.
        cwd: Folder inside.
        command: The command, by its name inside.
    """
    pairs = [f"{source}={target}" for source, target in binds.items()]
    return [*NAMESPACES, "/bin/sh", "-c", MOUNT, "sh", str(root), *pairs, "--", str(cwd), *map(str, command)]


def make_environment() -> dict[str, str]:
    """What a command inside sees of this machine's environment: nothing but how packages are fetched."""
    fetching = {name: value for name, value in os.environ.items() if name.upper().startswith(SETTINGS)}
    return {
        **fetching,
        "PATH": "/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "COLUMNS": "140",
        "TF_USE_LEGACY_KERAS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "UV_LINK_MODE": "copy",
        "UV_CACHE_DIR": "/var/cache/uv",
        "UV_PYTHON_DOWNLOADS": "never",
    }


def make_root(stack: str) -> Path:
    """The root file system of a stack, from the cache or made anew.

    Raises:
        CannotMakeRootError: Something is missing here.
        RuntimeError: The lock's packages cannot be installed, which is no fault of this machine; or the cache lies in
            the checkout.
    """
    check_machine(stack)
    cache = root_cache.open_cache(HOME)
    with FileLock(cache / f"{stack}.lock"):
        root = cache / f"{stack}-{compute_stamp(stack)}"
        if not root.exists():
            root_cache.remove_old_roots(cache, stack)
            root_cache.check_space(cache)
            _build_root(stack, root, cache / "uv")
        os.utime(root)
    return root


def check_machine(stack: str) -> None:
    """Raises `CannotMakeRootError` with what is missing on this machine."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise CannotMakeRootError(f"a root file system of stack {stack} is made on Linux on x86-64 alone")
    if os.geteuid() != 0:
        raise CannotMakeRootError("making and entering a root file system needs the rights of root")
    for program, package in {"mmdebstrap": "mmdebstrap", "unshare": "util-linux", "chroot": "coreutils"}.items():
        if shutil.which(program) is None:
            raise CannotMakeRootError(f"{program} is not installed (apt-get install {package})")
    if write_source_line(stack) is None:
        raise CannotMakeRootError(f"apt's files name no archive that has a release for stack {stack}")
    if not UV.exists():
        raise CannotMakeRootError(f"{UV} is not there (make setup)")


def compute_stamp(stack: str) -> str:
    """Says what a root was made from: the lock, what is installed of the project, the archive, and this code."""
    project = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]
    lock = (HOME / f"requirements-{stack}.lock").read_text()
    parts = [lock, repr(project), str(write_source_line(stack)), Path(__file__).read_text()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def find_python_version(stack: str) -> str:
    """The Python of a stack, such as `3.12`, out of the set-up's script, which itself refuses the other stack."""
    script = (HOME / ".ci" / "stack").read_text()
    [version] = re.findall(rf'{stack}\) echo "{stack} (\d+\.\d+) ', script)
    return version


def _build_root(stack: str, root: Path, packages_cache: Path) -> None:
    partial = root.with_name(f"{root.name}.partial")
    if partial.exists():
        root_cache.remove_root(partial)
    print(f"\nstacks: making the root file system of stack {stack} (some minutes)", file=sys.stderr, flush=True)
    prefix = find_python_prefix(stack, packages_cache.with_name("python"))
    _make_system(stack, partial)
    python = _bring_python(stack, partial, prefix)
    _bring_settings(partial)
    shutil.copy2(HOME / f"requirements-{stack}.lock", partial / "opt" / "requirements.lock")
    packages_cache.mkdir(parents=True, exist_ok=True)
    _install_packages(partial, python, packages_cache)
    partial.rename(root)


def _make_system(stack: str, partial: Path) -> None:
    line = write_source_line(stack)
    suite = str(line).split()[2]
    options = ["--quiet", "--variant=minbase", f"--include={PACKAGES}"]
    command = [*NAMESPACES, "mmdebstrap", *options, suite, str(partial), str(line)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise CannotMakeRootError(f"mmdebstrap made no {suite} in {BUILD_TIMEOUT_SECONDS} s") from error
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-3:]
        raise CannotMakeRootError(f"mmdebstrap could not make {suite}: {' / '.join(last)}")


def find_python_prefix(stack: str, downloads: Path) -> Path | None:
    """The installation of Python to copy: this machine's, else one that uv downloads; None where the archive's will do.

    Asked before the system is made, which takes minutes.

    Args:
        stack: Its name.
        downloads: Folder in which uv keeps what it downloads.

    Raises:
        CannotMakeRootError: There is none, and uv could not download one.
    """
    version = find_python_version(stack)
    archive = PYTHONS[str(write_source_line(stack)).split()[2]]
    if archive == version:
        return None
    prefix = _find_prefix(version) or _find_prefix(version, downloads)
    if prefix is not None or archive == OTHER_PYTHON.get(stack):
        return prefix
    return _download_python(version, downloads)


def _download_python(version: str, downloads: Path) -> Path:
    install = [UV, "python", "install", "--no-bin", "--install-dir", downloads, version]
    try:
        done = subprocess.run(install, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise CannotMakeRootError(f"uv downloaded no Python {version} in {DOWNLOAD_TIMEOUT_SECONDS} s") from error
    prefix = _find_prefix(version, downloads) if done.returncode == 0 else None
    if prefix is None:
        said = " / ".join(done.stderr.strip().splitlines()[-3:])
        raise CannotMakeRootError(f"no Python {version} is here that can be copied, and uv downloaded none: {said}")
    return prefix


def _bring_python(stack: str, partial: Path, prefix: Path | None) -> str:
    """Python inside: a copy of the given installation, else the archive's own."""
    version = find_python_version(stack)
    if prefix is not None:
        # /tmp inside is another folder; uv's Pythons, which alone may lie there, can be moved.
        inside = Path("/opt/python") if prefix.is_relative_to("/tmp") else prefix
        shutil.copytree(prefix, partial / inside.relative_to("/"), symlinks=True)
        return str(inside / "bin" / f"python{version}")
    for each in (version, OTHER_PYTHON.get(stack, version)):
        if (partial / "usr" / "bin" / f"python{each}").exists():
            return f"/usr/bin/python{each}"
    raise CannotMakeRootError(f"the archive's system has no Python {version}")


def _find_prefix(version: str, installed: Path | None = None) -> Path | None:
    """An installation that can be copied: pyenv's or uv's, in its own folder or the given one; no distribution's."""
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "PYENV_VERSION": version}
    environment |= {} if installed is None else {"UV_PYTHON_INSTALL_DIR": str(installed)}
    uv = [UV, "python", "find", "--no-project", "--system", version]
    found = subprocess.run(uv, cwd="/", env=environment, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        return None
    ask = [found.stdout.strip(), "-c", "import sys; print(sys.base_prefix)"]
    prefix = Path(subprocess.run(ask, env=environment, capture_output=True, text=True, check=True).stdout.strip())
    return None if prefix in (Path("/usr"), Path("/usr/local")) else prefix


def _bring_settings(partial: Path) -> None:
    """The package index's settings, and the certificates that this machine trusts."""
    for name in SETTINGS_FILES:
        source = Path(name).expanduser()
        if source.exists():
            target = partial / (name.replace("~", "root") if name.startswith("~") else name.lstrip("/"))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copy2(source.resolve(), target)
    certificates = Path("/etc/ssl/certs/ca-certificates.crt")
    if certificates.exists():
        shutil.copy2(certificates, partial / "etc" / "ssl" / "certs" / "ca-certificates.crt")
    shutil.copy2(UV, partial / "usr" / "local" / "bin" / "uv")


def _install_packages(partial: Path, python: str, packages_cache: Path) -> None:
    """As `.ci/setup` does it."""
    sync = f"uv pip sync --quiet --python {PYTHON} --require-hashes --compile-bytecode /opt/requirements.lock"
    editable = f"uv pip install --quiet --python {PYTHON} --no-deps --editable {CHECKOUT}"
    script = f"set -e; uv venv --quiet --python {python} /opt/venv; {sync}; {editable}"
    with CheckoutCopy(partial.with_name(f"{partial.name}.checkout")) as copy:
        binds = {packages_cache: "/var/cache/uv", copy: CHECKOUT}
        done = run_inside(partial, binds, "/", ["/bin/sh", "-c", script], BUILD_TIMEOUT_SECONDS)
    if done.returncode != 0:
        raise RuntimeError(f"the packages could not be installed into {partial}:\n{done.stderr[-4000:]}")


class CheckoutCopy:
    """A copy of what git would commit of this checkout, for as long as the context lasts."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __enter__(self) -> Path:
        shutil.rmtree(self._target, ignore_errors=True)
        return copy_checkout(self._target)

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._target)


def copy_checkout(target: Path) -> Path:
    """Copies what git holds or would take; links stay links."""
    listed = subprocess.run(
        ["git", "-C", str(HOME), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        source = HOME / name
        if source.is_symlink() or source.exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name, follow_symlinks=False)
    return target
