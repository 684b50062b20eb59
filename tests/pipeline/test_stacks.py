"""A stack is known by its versions; what is said of the stacks is what set-up, locks and images have."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy import image
from deploy.third_party_licenses import list_pinned
from taxiway.components import stack_seam
from taxiway.components.errors import ConfigError
from taxiway.pipeline import stacks

HOME = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("tfx", "name"), [("1.16.0", "tf216"), ("1.16.1", "tf216"), ("1.21.0", "current"), ("1.21.0rc1", "current")]
)
def test_a_stack_is_known_by_its_tfx(tfx, name):
    assert stacks.find_stack({"tfx": tfx, "tensorflow": "0"}).name == name


@pytest.mark.parametrize("packages", [{}, {"tfx": "1.2"}, {"tfx": "1.210.0"}, {"tfx": ""}, {"tensorflow": "2.16.2"}])
def test_versions_of_no_stack(packages):
    assert stacks.find_stack(packages) is None


def test_set_up_images_locks_and_the_doctor_know_the_same_stacks():
    names = {stack.name for stack in stacks.STACKS}
    assert names == set(image.STACKS) == {path.stem.removeprefix("requirements-") for path in list_locks()}
    assert names == set(re.findall(r"^    (\w+)\) echo", (HOME / ".ci" / "stack").read_text(), re.MULTILINE))


def list_locks():
    return [path for path in HOME.glob("requirements-*.lock") if path.stem != "requirements-docs"]


@pytest.mark.parametrize("stack", stacks.STACKS, ids=lambda stack: stack.name)
def test_the_lock_and_the_markers_have_the_stacks_tfx(stack):
    lock = (HOME / image.LOCKS[stack.name]).read_text()
    [locked] = re.findall(r"^tfx==(\S+)", lock, re.MULTILINE)
    assert stacks.find_stack({"tfx": locked}) is stack
    project = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]
    place = {"python_version": image.STACKS[stack.name].python, "sys_platform": "linux"}
    asked = [Requirement(line) for line in project["dependencies"] if line.startswith("tfx==")]
    [pin] = [str(each.specifier) for each in asked if each.marker.evaluate(place)]
    assert pin == f"=={locked}"


@pytest.mark.parametrize(("stack", "python"), [("tf216", "3.11"), ("current", "3.12"), ("current", "3.13")])
def test_a_lock_holds_everything_that_is_asked_for(stack, python):
    """After a change of pyproject.toml it does not until `make lock` has run."""
    pinned = list_pinned((HOME / image.LOCKS[stack]).read_text(), python)
    versions = {canonicalize_name(name): version for name, version in pinned.items()}
    project = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]
    extras = [line for extra in ("dev", "s3", "gs") for line in project["optional-dependencies"][extra]]
    place = {"python_version": python, "sys_platform": "linux"}
    asked = [each for each in map(Requirement, project["dependencies"] + extras) if applies(each, place)]
    assert len(asked) > 40
    assert [str(each) for each in asked if versions.get(canonicalize_name(each.name), "") not in each.specifier] == []


def applies(requirement, place):
    return requirement.marker is None or requirement.marker.evaluate(place)


@pytest.mark.parametrize(
    ("image_name", "stack"),
    [
        ("taxiway:0.1.0-4f2a91c07e55-tf216", stacks.TF216),
        ("registry.example:5000/team/taxiway:0.1.0-4f2a91c07e55-dirty-current-gpu", stacks.CURRENT),
        ("taxiway:current", stacks.CURRENT),
        ("taxiway:0.1.0-tf216@sha256:" + "0" * 64, stacks.TF216),
        ("taxiway:concurrent", None),
        ("registry.example:5000/tf216/taxiway", None),
        ("taxiway-tf216:1", None),
        ("", None),
    ],
)
def test_an_images_tag_names_its_stack(image_name, stack):
    assert stacks.find_image_stack(image_name) is stack


def test_the_installed_stack_is_named_in_its_place(monkeypatch):
    monkeypatch.setattr(stacks, "find_installed_stack", lambda: stacks.CURRENT)
    assert stacks.resolve_image("taxiway:1-{stack}-gpu") == "taxiway:1-current-gpu"
    assert stacks.resolve_image("taxiway:1-current") == "taxiway:1-current"
    assert stacks.resolve_image("taxiway:1") == "taxiway:1"
    assert stacks.resolve_image("") == ""


@pytest.mark.parametrize(("own", "other"), [(stacks.TF216, stacks.CURRENT), (stacks.CURRENT, stacks.TF216)])
def test_an_image_of_another_stack_is_refused(monkeypatch, own, other):
    monkeypatch.setattr(stacks, "find_installed_stack", lambda: own)
    with pytest.raises(ConfigError, match=f"is of the stack {other.name}, and {own.name} is installed here") as raised:
        stacks.resolve_image(f"registry.example/taxiway:1-{other.name}-gpu")
    assert f"make image STACK={own.name}" in raised.value.remedy
    monkeypatch.setattr(stacks, "find_installed_stack", lambda: None)
    assert stacks.resolve_image(f"taxiway:1-{other.name}") == f"taxiway:1-{other.name}"


def test_what_is_said_of_the_stack_and_what_the_code_does_go_by_the_same_one():
    assert stacks.find_installed_stack().name == stack_seam.name_stack()


def test_every_stack_answers_for_the_same_abilities():
    [names] = {tuple(ability.name for ability in stack.abilities) for stack in stacks.STACKS}
    assert names == ("TF-TRT", "filter_query")
