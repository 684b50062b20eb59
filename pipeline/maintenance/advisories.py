"""Published advisories for packages that we pin (`advisories.yaml`), and which of them the installed versions have."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import yaml
from packaging.specifiers import SpecifierSet
from pydantic import Field, TypeAdapter

from taxiway.components.config_section import Section

FILE = Path(__file__).with_name("advisories.yaml")


class Advisory(Section):
    """One published advisory."""

    id: str = Field(pattern=r"^(CVE-\d{4}-\d{4,}|GHSA(-[0-9a-z]{4}){3})$")
    affected: tuple[str, ...] = Field(min_length=1)
    """Version specifiers; a version that one of them holds is affected."""
    allows: str
    """What it allows, in a sentence."""
    beside_locks: str = ""
    """How a version that has it gets installed though no lock pins one, and what to do; empty where a lock pins one."""

    def affects(self, version: str) -> bool:
        """Whether a version of the package has it."""
        return any(SpecifierSet(each).contains(version, prereleases=True) for each in self.affected)


class PinnedPackage(Section):
    """A package that we pin to a version with advisories."""

    package: str
    date: datetime.date
    """Day on which the entry was written or last checked."""
    pinned: str
    """Why another version is not used, in a sentence."""
    guard: str
    """What keeps the affected code from being reached."""
    advisories: tuple[Advisory, ...] = Field(min_length=1)


class InstalledAdvisories(Section):
    """The advisories that the installed version of one package has."""

    entry: PinnedPackage
    version: str
    """Installed version."""
    advisories: tuple[Advisory, ...]

    def to_text(self) -> str:
        """A line an advisory, then what guards it and why it is pinned."""
        lines = [f"{each.id}: {each.allows} {each.beside_locks}".rstrip() for each in self.advisories]
        reason = f"Pinned: {self.entry.pinned} Entry of {self.entry.date}."
        return "\n".join([*lines, f"Guard: {self.entry.guard}", reason])


def read_advisories(file: Path = FILE) -> tuple[PinnedPackage, ...]:
    """All entries of the file."""
    return TypeAdapter(tuple[PinnedPackage, ...]).validate_python(yaml.safe_load(file.read_text(encoding="utf-8")))


def find_installed_advisories() -> Iterator[InstalledAdvisories]:
    """The entries that apply to what is installed here."""
    for entry in read_advisories():
        with contextlib.suppress(metadata.PackageNotFoundError):
            version = metadata.version(entry.package)
            if affecting := tuple(each for each in entry.advisories if each.affects(version)):
                yield InstalledAdvisories(entry=entry, version=version, advisories=affecting)
