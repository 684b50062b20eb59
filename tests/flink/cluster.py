"""A real Flink cluster on this machine: a JobManager, two TaskManagers, Beam's job server and the pool of workers.

Every part is a process of its own, as in `deploy/flink`. Also a program:
`python -m tests.flink.cluster` starts one, prints how to run on it, and stops it at the end of its input.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.flink.packages import FlinkPackages, fetch_packages

HOME = Path(__file__).parents[2]
TASK_MANAGERS = 2
START_SECONDS = 120
PROBE_SECONDS = 180
BEAMS_OWN_POOL = "apache_beam.runners.worker.worker_pool_main"
_JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
_JOB_SERVER = "org.apache.beam.runners.flink.FlinkJobServerDriver"
_OPEN_PACKAGES = ("java.base/java.util", "java.base/java.lang", "java.base/java.nio", "java.base/java.net")
"""What Flink's serializers look into, which Java 17 forbids unless it is said."""


class UnusableClusterError(Exception):
    """The cluster has started, but runs nothing on this machine."""


class FlinkCluster:
    """A running cluster.

    Attributes:
        job_endpoint: Address of Beam's job server.
        rest: URL of Flink's REST interface.
        worker_pool: Address of the pool of Python workers.
        folder: Where its processes log.
    """

    def __init__(self, packages: FlinkPackages, folder: Path, parallelism: int = TASK_MANAGERS) -> None:
        self.folder = folder
        self._packages = packages
        self._processes: dict[str, subprocess.Popen] = {}
        ports = _find_ports(6)
        self.rest = f"http://localhost:{ports[0]}"
        self.job_endpoint = f"localhost:{ports[1]}"
        self.worker_pool = f"localhost:{ports[2]}"
        self._ports = ports
        self._parallelism = parallelism

    def start(self) -> None:
        """Starts every part and waits for it."""
        self._write_configuration()
        self._start_java("jobmanager", self._packages.flink, _JOB_MANAGER, *self._flink_arguments(), heap="256m")
        for number in range(self._parallelism):
            self.start_task_manager(number)
        rest, job, _, job_artifacts, expansion, _ = self._ports
        self._start_java(
            "jobserver", self._packages.job_server, _JOB_SERVER, "--job-host", "localhost", "--job-port", str(job),
            "--artifact-port", str(job_artifacts), "--expansion-port", str(expansion), "--flink-master",
            f"localhost:{rest}", "--artifacts-dir", str(self.folder / "artifacts"), heap="384m",
        )  # fmt: skip
        self.start_worker_pool(BEAMS_OWN_POOL)
        self._wait(lambda: len(self.ask("/taskmanagers")["taskmanagers"]) == self._parallelism, "task managers")
        self._wait(lambda: _is_open(self.job_endpoint), "job server")
        self._run_smallest_pipeline()
        self.stop_part("workers")
        self.start_worker_pool()

    def start_task_manager(self, number: int) -> None:
        """Starts a TaskManager of one slot."""
        self._start_java(
            f"taskmanager-{number}", self._packages.flink, _TASK_MANAGER, *self._flink_arguments(), heap="512m"
        )

    def start_worker_pool(self, module: str = "taxiway.components.beam.worker_pool") -> None:
        """Starts the pool, which both TaskManagers share, as `environment_config` has one address."""
        port = self.worker_pool.rpartition(":")[2]
        folder = Path(sys.executable).parent  # Beam's own pool runs the first `python`
        environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "TF_USE_LEGACY_KERAS": "1"}
        self._start("workers", [sys.executable, "-m", module, f"--service_port={port}"], environment)
        self._wait(lambda: _is_open(self.worker_pool), "pool of workers")

    def _run_smallest_pipeline(self) -> None:
        """Nothing in it is ours: where it does not run, no failure of a test would tell about Taxiway."""
        options = [f"--job_endpoint={self.job_endpoint}", f"--environment_config={self.worker_pool}"]
        command = [sys.executable, "-m", "tests.flink.smallest_pipeline", *options]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False, cwd=HOME)
        except subprocess.TimeoutExpired as error:
            raise UnusableClusterError(f"Beam's smallest pipeline was not done after {PROBE_SECONDS} s") from error
        if done.returncode:
            raise UnusableClusterError(f"Beam's smallest pipeline fails: {done.stderr[-500:]}")

    def kill(self, name: str) -> None:
        """Kills a part, as a lost machine would."""
        self._processes[name].kill()
        self._processes.pop(name).wait()

    def stop_part(self, name: str) -> None:
        """Stops a part in order: the pool ends its workers."""
        process = self._processes.pop(name)
        process.terminate()
        process.wait(20)

    def ask(self, path: str) -> Any:
        """An answer of Flink's REST interface."""
        with urllib.request.urlopen(f"{self.rest}{path}", timeout=10) as response:
            return json.load(response)

    def read_log(self, name: str) -> str:
        """What a part has printed."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def stop(self) -> None:
        """Ends every part."""
        for process in reversed(self._processes.values()):
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def _write_configuration(self) -> None:
        rest, *_, rpc = self._ports
        settings = {
            "jobmanager.rpc.address": "localhost",
            "jobmanager.rpc.port": rpc,
            "rest.port": rest,
            "rest.address": "localhost",
            "jobmanager.memory.process.size": "1g",
            "taskmanager.numberOfTaskSlots": 1,
            "taskmanager.cpu.cores": 1,
            # Flink's own script computes what is not set; started without it, a TaskManager wants every part.
            "taskmanager.memory.framework.heap.size": "128m",
            "taskmanager.memory.framework.off-heap.size": "128m",
            "taskmanager.memory.jvm-metaspace.size": "256m",
            "taskmanager.memory.jvm-overhead.min": "192m",
            "taskmanager.memory.jvm-overhead.max": "192m",
            "taskmanager.memory.task.heap.size": "384m",
            "taskmanager.memory.task.off-heap.size": "0",
            "taskmanager.memory.managed.size": "256m",
            # A job of TFX's components has up to 173 vertices, all of which hold buffers.
            "taskmanager.memory.network.min": "384m",
            "taskmanager.memory.network.max": "384m",
            "taskmanager.network.sort-shuffle.min-buffers": 64,
            "heartbeat.interval": 2000,
            "heartbeat.timeout": 15000,
            "slot.request.timeout": 30000,
            "restart-strategy.type": "none",
            "io.tmp.dirs": self.folder / "tmp",
        }
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        text = "".join(f"{key}: {value}\n" for key, value in settings.items())
        (self.folder / "flink-conf.yaml").write_text(text)

    def _flink_arguments(self) -> list[str]:
        return ["--configDir", str(self.folder)]

    def _start_java(self, name: str, jars: Path, main: str, *arguments: str, heap: str) -> None:
        opened = [f"--add-opens={package}=ALL-UNNAMED" for package in _OPEN_PACKAGES]
        machine = [f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *opened]
        command = [self._packages.java, *machine, "-cp", f"{jars}/*", main, *arguments]
        self._start(name, command, dict(os.environ))

    def _start(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=self.folder)
        self._processes[name] = process

    def _wait(self, is_ready: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                if is_ready():
                    return
            except OSError:
                pass
            ended = [name for name, process in self._processes.items() if process.poll() is not None]
            assert not ended, f"{ended[0]} has ended: {self.read_log(ended[0])[-3000:]}"
            time.sleep(0.3)
        raise AssertionError(f"no {what} after {START_SECONDS} s")


@contextmanager
def run_cluster(folder: Path) -> Iterator[FlinkCluster]:
    """A cluster for the time of the context.

    Raises:
        MissingPackagesError: No cluster can be had here.
        UnusableClusterError: It runs nothing here.
    """
    cluster = FlinkCluster(fetch_packages(), folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def _is_open(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=2):
        return True


def _find_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


if __name__ == "__main__":
    with run_cluster(Path(tempfile.mkdtemp(prefix="taxiway-flink-"))) as running:
        options = f"job_endpoint: {running.job_endpoint}, worker_pool: {running.worker_pool}"
        print(f"resources.beam: {{runner: flink, {options}, parallelism: {TASK_MANAGERS}}}", flush=True)
        print(f"logs: {running.folder}; Flink's own page: {running.rest}; ends with its input", flush=True)
        sys.stdin.read()
