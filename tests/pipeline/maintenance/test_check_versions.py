"""The doctor knows the stack, and the versions that belong to it."""

import platform
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import default_environment

from taxiway.pipeline import stacks
from taxiway.pipeline.maintenance import check_versions

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]


@pytest.fixture()
def installed(monkeypatch):
    """What the metadata of an installed Taxiway says; a checkout on the path has none."""
    extras = [f"{line} ; extra == 'dev'" for line in PROJECT["optional-dependencies"]["dev"]]
    monkeypatch.setattr(metadata, "requires", lambda _: [*PROJECT["dependencies"], *extras])
    monkeypatch.setattr(metadata, "metadata", lambda _: {"Requires-Python": PROJECT["requires-python"]})


def test_everything_here_is_as_it_was_pinned():
    findings = check_versions.check_versions()
    assert [finding.name for finding in findings if finding.needed and not finding.ok] == []
    assert {"Python", "stack", "stack: TF-TRT", "stack: filter_query", "kfp"} <= {each.name for each in findings}


def test_python_is_this_one():
    finding = check_versions.check_python()
    assert finding.detail == f"{platform.python_version()} at {sys.executable}"


def test_a_python_that_is_not_asked_for(monkeypatch, installed):
    monkeypatch.setattr(platform, "python_version", lambda: "3.10.14")
    finding = check_versions.check_python()
    assert (finding.ok, finding.needed) == (False, True)
    assert finding.detail.startswith("3.10.14 at ")
    assert ">=3.11" in finding.detail and finding.detail.endswith("is asked for: make setup")


@pytest.mark.parametrize(("installed", "name", "trt"), [("1.16.0", "tf216", True), ("1.21.0", "current", False)])
def test_a_stack_says_what_it_can_and_cannot_do(monkeypatch, installed, name, trt):
    monkeypatch.setattr(metadata, "version", lambda _: installed)
    found = {finding.name: finding for finding in check_versions.check_stack()}
    assert found["stack"].ok and found["stack"].detail.startswith(f"{name}, supported until October 20")
    assert found["stack: TF-TRT"].ok is found["stack: filter_query"].ok is trt
    assert not found["stack: TF-TRT"].needed


def test_what_is_no_stack_cannot_run(monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda _: "1.17.2")
    [finding] = check_versions.check_stack()
    assert (finding.ok, finding.needed) == (False, True)
    assert finding.detail == (
        "the installed TFX is of none; known are current (TFX 1.21) and tf216 (TFX 1.16): make setup"
    )


def test_an_environment_without_tfx_is_of_no_stack(monkeypatch):
    def miss(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", miss)
    assert stacks.find_installed_stack() is None


@pytest.mark.parametrize(
    ("python", "system", "wanted"),
    [
        ("3.11", "linux", "1.16.0"),
        ("3.12", "linux", "1.21.0"),
        ("3.13", "linux", "1.21.0"),
        ("3.11", "darwin", "1.21.0"),
    ],
)
def test_the_versions_asked_for_are_those_of_this_python_and_platform(monkeypatch, installed, python, system, wanted):
    image = {**default_environment(), "python_version": python, "sys_platform": system}
    monkeypatch.setattr("packaging.markers.default_environment", lambda: image)
    pinned = check_versions._list_pinned_versions()
    assert pinned["tfx"] == wanted
    assert set(check_versions.PINNED) <= set(pinned)
    assert "pytest" not in pinned, "an extra is not asked for"


def test_without_metadata_nothing_is_asked_for(monkeypatch):
    def miss(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", miss)
    monkeypatch.setattr(metadata, "metadata", miss)
    assert check_versions._list_pinned_versions() == {}
    assert check_versions.check_python().ok


def test_another_version_than_asked_for(monkeypatch):
    monkeypatch.setattr(check_versions, "_list_pinned_versions", lambda: {"tfx": "9.9"})
    finding = next(each for each in check_versions.check_packages() if each.name == "tfx")
    assert not finding.ok
    assert "9.9 is asked for: make setup" in finding.detail


def test_a_package_that_is_not_there():
    finding = check_versions._check_package("no-such-package", "1.0")
    assert (finding.ok, finding.detail) == (False, "not installed: make setup")
