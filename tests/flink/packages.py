"""Flink and Beam's job server for it, from package registries: PyPI has Flink's jars, Maven Central the job server's.

Nothing else is downloaded. What was fetched stays in the user's cache, so that the next run finds it. Also a program:
`python -m tests.flink.packages` fetches them, so that no test's time limit does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

FLINK = "1.19.2"
"""Release of `apache-flink-libraries`: Flink's own jars as a source archive."""
JOB_SERVER = "2.62.0"
"""Release of `beam-runners-flink-1.19`: the newest whose dependencies all resolve. Newer Python SDKs work with it."""
DOWNLOAD_SECONDS = 240

_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>taxiway.tests</groupId><artifactId>flink-job-server</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.beam</groupId><artifactId>beam-runners-flink-1.19</artifactId><version>{JOB_SERVER}</version>
    </dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.30</version></dependency>
  </dependencies>
</project>
"""


class MissingPackagesError(Exception):
    """What the cluster needs cannot be had here; the message says what."""


@dataclass(frozen=True)
class FlinkPackages:
    """Where the jars are.

    Attributes:
        java: The program.
        flink: Folder of Flink's jars.
        job_server: Folder of the job server's jars.
    """

    java: str
    flink: Path
    job_server: Path


def fetch_packages() -> FlinkPackages:
    """The packages, fetched where they are not in the cache.

    Raises:
        MissingPackagesError: No Java, no Maven, or a registry does not answer.
    """
    java = shutil.which("java")
    if not java:
        raise MissingPackagesError("no Java 17: install openjdk-17-jre-headless")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "taxiway-tests"
    flink = _fill(cache / f"flink-{FLINK}", _fetch_flink)
    return FlinkPackages(java, flink, _fill(cache / f"flink-job-server-{JOB_SERVER}", _fetch_job_server))


def _fill(folder: Path, fetch) -> Path:
    """The folder, which appears only when it is whole."""
    if not folder.exists():
        partial = folder.with_name(f".{folder.name}-{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            fetch(partial)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return folder


def _fetch_flink(folder: Path) -> None:
    name = f"apache-flink-libraries=={FLINK}"
    only_this = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--dest", str(folder)]
    _run([sys.executable, "-m", "pip", "download", "--quiet", *only_this, name], name)
    archive = next(folder.glob("*.tar.gz"))
    with tarfile.open(archive) as packed:
        for member in packed:
            if "/deps/lib/" in member.name and member.isfile():
                member.name = Path(member.name).name
                packed.extract(member, folder, filter="data")
    archive.unlink()


def _fetch_job_server(folder: Path) -> None:
    maven = shutil.which("mvn")
    if not maven:
        raise MissingPackagesError("no Maven, which fetches Beam's job server: install maven")
    (folder / "pom.xml").write_text(_POM)
    plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
    target = f"-DoutputDirectory={folder}"
    _run(
        [maven, "-q", "-B", "-f", str(folder / "pom.xml"), plugin, "-DincludeScope=runtime", target],
        f"beam-runners-flink-1.19:{JOB_SERVER}",
    )


def _run(command: list[str], what: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise MissingPackagesError(f"{what} was not there after {DOWNLOAD_SECONDS} s") from error
    if done.returncode:
        raise MissingPackagesError(f"{what} cannot be fetched: {(done.stdout + done.stderr).strip()[-300:]}")


if __name__ == "__main__":
    try:
        print(fetch_packages())
    except MissingPackagesError as missing:
        sys.exit(str(missing))
