"""Hosts made of network namespaces: each has an address of its own, and a disk of its own where the test wants one.

A bridge in a namespace of its own joins them. `ip netns exec` gives a process the namespace's `/etc/hosts`, so hosts
find each other by name, as pods do.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taxiway.components.processes.subprocesses import CHILD_ENVIRONMENT, make_command, read_answer

PORT = 2222


@functools.cache
def find_obstacle() -> str:
    """Why no hosts can be made on this machine; empty where they can."""
    if sys.platform != "linux" or not shutil.which("ip"):
        return "network namespaces need Linux and iproute2"
    if os.geteuid():
        return "network namespaces need root"
    names = [f"tw{os.getpid()}probe{end}" for end in "ab"]
    link = ["link", "add", "eth0", "netns", names[0], "type", "veth", "peer", "name", "eth0", "netns", names[1]]
    try:
        for command in (*(["netns", "add", name] for name in names), link):
            made = subprocess.run(["ip", *command], capture_output=True, text=True, check=False)
            if made.returncode:
                return f"ip {' '.join(command)}: {made.stderr.strip()}"
        return ""
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


@dataclass
class HostProcess:
    """A process on a host."""

    process: subprocess.Popen[bytes]
    result_file: Path
    log: Path

    def wait(self, seconds: float = 240) -> int:
        return self.process.wait(seconds)

    @property
    def answer(self) -> dict[str, Any]:
        return read_answer(self.result_file)

    def end_group(self) -> None:
        """Ends it and what it has started, as the loss of its host would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass
class Hosts:
    """So many hosts; their processes end with them.

    Args:
        count: The number of hosts.
        folder: A folder for logs and for the disks of hosts that have their own.
        names: The hosts' names; else `host-0` and so on.
    """

    count: int
    folder: Path
    names: Sequence[str] = ()
    prefix: str = field(default_factory=lambda: f"tw{os.getpid()}x{next(_NUMBERS)}")
    processes: list[HostProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names = self.names or [f"host-{i}" for i in range(self.count)]

    def address(self, index: int) -> str:
        return f"10.99.0.{index + 1}"

    def name_namespace(self, index: int) -> str:
        return f"{self.prefix}h{index}"

    def make(self) -> None:
        _ip("netns", "add", f"{self.prefix}sw")
        _ip("-n", f"{self.prefix}sw", "link", "add", "bridge", "type", "bridge")
        _ip("-n", f"{self.prefix}sw", "link", "set", "bridge", "up")
        for index in range(self.count):
            self._make_host(index)

    def _make_host(self, index: int) -> None:
        name, switch = self.name_namespace(index), f"{self.prefix}sw"
        _ip("netns", "add", name)
        _ip("-n", switch, "link", "add", f"port{index}", "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("-n", switch, "link", "set", f"port{index}", "master", "bridge", "up")
        _ip("-n", name, "address", "add", f"{self.address(index)}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "link", "set", "eth0", "up")
        configuration = Path("/etc/netns", name)
        configuration.mkdir(parents=True)
        known = [f"{self.address(i)} {host}" for i, host in enumerate(self.names)]
        (configuration / "hosts").write_text("\n".join(["127.0.0.1 localhost", *known]) + "\n")

    def remove(self) -> None:
        for process in self.processes:
            process.end_group()
        for name in [*(self.name_namespace(i) for i in range(self.count)), f"{self.prefix}sw"]:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
            shutil.rmtree(Path("/etc/netns", name), ignore_errors=True)

    def unplug(self, index: int) -> None:
        """Takes the host from the network, without a word to the others."""
        _ip("-n", f"{self.prefix}sw", "link", "set", f"port{index}", "down")

    def plug_in(self, index: int) -> None:
        _ip("-n", f"{self.prefix}sw", "link", "set", f"port{index}", "up")

    def start(
        self, index: int, module: str, job: Mapping[str, Any], environment: Mapping[str, str], disk: Path | None = None
    ) -> HostProcess:
        """Starts one of our modules on a host, with `disk` as the host's own folder of that name where it is given."""
        log, job_file = self.folder / f"{self.names[index]}.log", self.folder / f"{self.names[index]}.job.json"
        result_file = self.folder / f"{self.names[index]}.result.json"
        result_file.unlink(missing_ok=True)
        job_file.write_text(json.dumps(job))
        command = make_command(module, str(job_file), str(result_file))
        process = HostProcess(self.start_command(index, command, log, environment, disk), result_file, log)
        self.processes.append(process)
        return process

    def start_command(
        self,
        index: int,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        disk: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        if disk is not None:
            own = self.folder / f"disk-{index}"
            for folder in (own, disk):
                folder.mkdir(parents=True, exist_ok=True)
            command = ["sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"', str(own), str(disk), *command]
        with log.open("ab") as out:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.name_namespace(index), *command],
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **CHILD_ENVIRONMENT, **environment},
                start_new_session=True,
            )


_NUMBERS = iter(range(1_000_000))


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@contextlib.contextmanager
def make_hosts(count: int, folder: Path, names: Sequence[str] = ()) -> Iterator[Hosts]:
    """Hosts that are gone, with what runs on them, when the block ends."""
    hosts = Hosts(count, folder, names)
    try:
        hosts.make()
        yield hosts
    finally:
        hosts.remove()
