"""Which stack is installed, what it can do, and whether Python and packages are those that Taxiway asks for."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from taxiway.pipeline import stacks
from taxiway.pipeline.maintenance.findings import MachineFinding, make_finding

PINNED = ("tfx", "tensorflow", "tf-keras", "tensorflow-transform", "apache-beam", "ml-metadata", "kfp")
PACKAGE = "taxiway"


def check_versions() -> list[MachineFinding]:
    """All findings of this module."""
    return [check_python(), *check_stack(), *check_packages()]


def check_python() -> MachineFinding:
    """This Python against the ones that Taxiway asks for."""
    wanted = _read_wanted_python()
    running = f"{platform.python_version()} at {sys.executable}"
    ok = SpecifierSet(wanted).contains(platform.python_version(), prereleases=True)
    return make_finding("Python", ok, running, f"{wanted} is asked for: make setup", needed=True)


def _read_wanted_python() -> str:
    try:
        return metadata.metadata(PACKAGE)["Requires-Python"] or ""
    except (metadata.PackageNotFoundError, KeyError):
        return ""


def check_stack() -> Iterator[MachineFinding]:
    """The installed stack, and what it can and cannot do."""
    stack = stacks.find_installed_stack()
    known = " and ".join(f"{each.name} (TFX {each.tfx_series})" for each in stacks.STACKS)
    if stack is None:
        detail = f"the installed TFX is of none; known are {known}: make setup"
        yield MachineFinding(name="stack", ok=False, needed=True, detail=detail)
        return
    until = f"{stack.supported_until:%B %Y}"
    yield MachineFinding(name="stack", ok=True, needed=True, detail=f"{stack.name}, supported until {until}")
    for ability in stack.abilities:
        yield MachineFinding(name=f"stack: {ability.name}", ok=ability.there, detail=ability.detail)


def check_packages() -> list[MachineFinding]:
    """Installed versions against the ones that Taxiway asks for."""
    pinned = _list_pinned_versions()
    return [_check_package(name, pinned.get(name, "")) for name in PINNED]


def _check_package(name: str, pinned: str) -> MachineFinding:
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        return MachineFinding(name=name, ok=False, needed=True, detail="not installed: make setup")
    return make_finding(
        name, not pinned or installed == pinned, installed, f"{pinned} is asked for: make setup", needed=True
    )


def _list_pinned_versions() -> dict[str, str]:
    """Versions that Taxiway's metadata pins for this Python and platform."""
    try:
        required = map(Requirement, metadata.requires(PACKAGE) or ())
    except metadata.PackageNotFoundError:
        return {}
    chosen = [each for each in required if each.marker is None or each.marker.evaluate({"extra": ""})]
    return {each.name: _read_pin(each) for each in chosen if _read_pin(each)}


def _read_pin(requirement: Requirement) -> str:
    exact = [each.version for each in requirement.specifier if each.operator == "=="]
    return exact[0] if exact else ""
