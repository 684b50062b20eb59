"""The advisories that are listed are true of the pins, and so is what is said to guard them."""

import re
from importlib import metadata
from pathlib import Path

import pytest
from google.protobuf.internal import api_implementation
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2
from pydantic import ValidationError

from taxiway.pipeline.console import printing
from taxiway.pipeline.maintenance import advisories, check_machine

REPOSITORY = Path(__file__).parents[3]
ENTRIES = advisories.read_advisories()
LISTED = [(entry.package, advisory) for entry in ENTRIES for advisory in entry.advisories]


LOCKS = ("requirements-tf216.lock", "requirements-current.lock")


def read_pins(package, locks=LOCKS):
    """The versions of a package that the locks have."""
    text = "".join((REPOSITORY / lock).read_text() for lock in locks)
    return re.findall(rf"^{re.escape(package)}==([^ ]+)", text, re.MULTILINE)


def find_uses(pattern):
    """Modules of ours with a line that matches."""
    folders = (REPOSITORY / name for name in ("components", "pipeline"))
    modules = (module for folder in folders for module in folder.rglob("*.py"))
    return [module.name for module in modules if re.search(pattern, module.read_text(), re.MULTILINE)]


@pytest.mark.parametrize(("package", "advisory"), LISTED, ids=[f"{package} {each.id}" for package, each in LISTED])
def test_a_pinned_version_has_every_advisory_that_is_listed(package, advisory):
    pinned = read_pins(package)
    assert pinned, f"no lock pins {package}: the entry is stale, remove it"
    affected = [version for version in pinned if advisory.affects(version)]
    stale = f"{package} {' and '.join(pinned)} do not have {advisory.id}: the entry is stale, remove it"
    assert affected or advisory.beside_locks, stale
    assert not (affected and advisory.beside_locks), f"a lock pins {package} {affected}, which has {advisory.id}"


def test_current_pins_nothing_with_a_listed_advisory_but_what_the_page_on_security_tells():
    pins = {package: read_pins(package, ("requirements-current.lock",)) for package, _ in LISTED}
    affected = {package for package, each in LISTED if any(map(each.affects, pins[package]))}
    assert affected == {"jsonpickle"}


def test_what_pip_installs_beside_the_lock_is_named_with_the_remedy(monkeypatch):
    """The wheel cannot override what TFX asks for; the lock's version is the one that the remedy names."""
    [locked] = [version for version in read_pins("pyarrow") if not version.startswith("10.")]
    monkeypatch.setattr(metadata, "version", {"pyarrow": "18.1.0"}.__getitem__)
    monkeypatch.setattr(advisories, "read_advisories", lambda: [each for each in ENTRIES if each.package == "pyarrow"])
    [found] = list_found()
    assert [each.id for each in found.advisories] == ["CVE-2026-25087"]
    assert f"`pip install --no-deps pyarrow=={locked}`" in found.to_text()


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry.package for entry in ENTRIES])
def test_an_entry_says_which_stack_holds_the_package_back(entry):
    assert re.search(r"[Ss]tacks?\b", entry.pinned)


def test_a_package_and_an_id_are_listed_once():
    for names in ([entry.package for entry in ENTRIES], [advisory.id for _, advisory in LISTED]):
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("version", "affected"),
    [("3.20.3", True), ("4.25.9", True), ("5.29.5", True), ("5.29.6", False), ("6.30.0rc1", True), ("6.33.5", False)],
)
def test_one_of_several_ranges_is_enough(version, affected):
    [advisory] = [each for _, each in LISTED if each.id == "CVE-2026-0994"]
    assert advisory.affects(version) is affected


def test_files_that_guards_name_are_there():
    named = {path for entry in ENTRIES for path in re.findall(r"`([\w/]+\.py)`", entry.guard)}
    assert len(named) >= 5
    assert not [path for path in named if not (REPOSITORY / path).is_file()]


def test_the_installed_protobuf_parses_in_compiled_code():
    assert api_implementation.Type() in ("cpp", "upb")


def test_protobuf_parses_json_of_compiled_pipelines_and_of_the_evaluators_configuration_alone():
    found = sorted(find_uses(r"json_format\.Parse(Dict)?\("))
    assert found == ["compiler.py", "executor.py", "launcher.py", "package.py", "platform.py"]


def test_the_evaluators_configuration_holds_no_any():
    from tensorflow_model_analysis.proto import config_pb2

    types = list_message_types(config_pb2.EvalConfig.DESCRIPTOR)
    assert "google.protobuf.DoubleValue" in types and "google.protobuf.Any" not in types


@pytest.mark.parametrize("message", ["PipelineSpec", "PipelineDeploymentConfig", "ExecutorOutput"])
def test_messages_of_compiled_pipelines_hold_no_any(message):
    types = list_message_types(getattr(pipeline_spec_pb2, message).DESCRIPTOR)
    assert "google.protobuf.Struct" in types and "google.protobuf.Any" not in types


def test_the_part_for_kubernetes_holds_no_any():
    types = list_message_types(kubernetes_executor_config_pb2.KubernetesExecutorConfig.DESCRIPTOR)
    assert len(types) > 10 and "google.protobuf.Any" not in types


def list_message_types(descriptor, seen=frozenset()):
    """Names of a message's type and of all types inside."""
    seen = seen | {descriptor.full_name}
    for inner in descriptor.fields:
        if inner.message_type and inner.message_type.full_name not in seen:
            seen = list_message_types(inner.message_type, seen)
    return seen


@pytest.mark.parametrize(
    "pattern",
    [
        r"^\s*(import|from) keras\b",
        r"^\s*(import|from) IPython\b",
        r"^\s*(import|from) (cryptography|httplib2|jsonpickle)\b",
        r"\bapache_beam\.ml\b",
        r"\brequest\.url\b",
        r"\bonnx\.hub\b",
        r"external_data",
        r"\bversion_converter\b",
    ],
)
def test_no_module_of_ours_reaches_what_is_said_to_be_unreached(pattern):
    assert find_uses(pattern) == []


def test_the_page_on_security_names_the_file_and_every_package():
    page = (REPOSITORY / "docs" / "security.md").read_text()
    assert "pipeline/maintenance/advisories.yaml" in page
    assert not [entry.package for entry in ENTRIES if entry.package not in page]


def test_the_doctor_notes_them_without_failing(capsys):
    findings = check_machine.list_advisories()
    own = [(entry, metadata.version(entry.package)) for entry in ENTRIES if is_affected(entry)]
    assert [finding.name for finding in findings] == [f"{entry.package} {version}" for entry, version in own]
    assert all(finding.ok and not finding.needed for finding in findings)
    assert all(f"Guard: {entry.guard}" in finding.detail for finding, (entry, _) in zip(findings, own, strict=True))
    printing.print_renderable(check_machine.make_findings_table(findings))
    printed = capsys.readouterr().out
    entry, version = own[0]
    assert printed.splitlines()[1].split()[:3] == ["note", entry.package, version]
    listed = [each for entry, version in own for each in entry.advisories if each.affects(version)]
    assert all(each.id in printed for each in listed)


def is_affected(entry):
    """Whether the installed version has one of the entry's advisories."""
    try:
        version = metadata.version(entry.package)
    except metadata.PackageNotFoundError:
        return False
    return any(each.affects(version) for each in entry.advisories)


def test_only_what_the_installed_version_has_is_noted(monkeypatch):
    installed = {"protobuf": "4.25.9", "pyarrow": "23.0.1", "onnx": "1.21.0"}

    def find_version(name):
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "version", find_version)
    found = {each.entry.package: [advisory.id for advisory in each.advisories] for each in list_found()}
    assert found == {"protobuf": ["CVE-2026-0994"], "onnx": ["CVE-2026-44512"]}
    assert "CVE-2026-34447" not in list_found()[1].to_text()


def list_found():
    return list(advisories.find_installed_advisories())


@pytest.mark.parametrize("id_", ["CVE-2026", "cve-2026-0994", "PYSEC-2023-238", ""])
def test_an_id_is_one_of_a_published_advisory(id_):
    with pytest.raises(ValidationError):
        advisories.Advisory(id=id_, affected=("<1",), allows="nothing")
