"""Where this machine's apt takes its distribution from, and which release of it has the C library for a stack."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

APT = Path("/etc/apt")
RELEASES = {
    "debian": {"current": "trixie", "tf216": "bookworm"},
    "ubuntu": {"current": "noble", "tf216": "jammy"},
}
"""The release by distribution and stack: glibc 2.39 and newer for `current`, older for `tf216`."""
PYTHONS = {"trixie": "3.13", "bookworm": "3.11", "noble": "3.12", "jammy": "3.10"}
"""Each release's own Python."""


@dataclass(frozen=True)
class Source:
    """One place of packages, as apt's files name it.

    Attributes:
        uri: Address of the archive.
        suites: Releases that are taken from it.
        components: `main` and what else is taken.
    """

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]


def write_source_line(stack: str, apt: Path = APT, release: dict[str, str] | None = None) -> str | None:
    """The line for mmdebstrap: this machine's own archive, with the release for the stack.

    Returns:
        None where this is neither Debian nor Ubuntu, or apt's files name no archive of the machine's own release.
    """
    release = release if release is not None else platform.freedesktop_os_release()
    wanted = RELEASES.get(release.get("ID", ""), {}).get(stack)
    codename = release.get("VERSION_CODENAME", "")
    own = next((source for source in read_sources(apt) if codename in source.suites), None)
    if wanted is None or own is None:
        return None
    return f"deb {own.uri} {wanted} {' '.join(own.components)}"


def read_sources(apt: Path = APT) -> list[Source]:
    """What `sources.list` and `sources.list.d` name, binary packages alone."""
    lines = [apt / "sources.list", *sorted(apt.glob("sources.list.d/*.list"))]
    found = [source for file in lines if file.is_file() for source in _read_lines(file.read_text())]
    stanzas = sorted(apt.glob("sources.list.d/*.sources"))
    return found + [source for file in stanzas for source in _read_stanzas(file.read_text())]


def _read_lines(text: str) -> Iterator[Source]:
    """`deb [options] URI SUITE COMPONENT...`"""
    for line in text.splitlines():
        kind, _, rest = line.partition("#")[0].strip().partition(" ")
        if kind != "deb":
            continue
        words = (rest.partition("]")[2] if rest.lstrip().startswith("[") else rest).split()
        yield Source(words[0], (words[1],), tuple(words[2:]))


def _read_stanzas(text: str) -> Iterator[Source]:
    """`Types: deb`, `URIs: ...`, `Suites: ...`: one stanza a paragraph."""
    for paragraph in text.split("\n\n"):
        pairs = (line.partition(":") for line in paragraph.splitlines() if not line.startswith("#"))
        fields = {name.strip().lower(): value.split() for name, _, value in pairs}
        if "deb" in fields.get("types", ()) and fields.get("enabled") != ["no"]:
            yield Source(fields["uris"][0], tuple(fields["suites"]), tuple(fields.get("components", ())))
