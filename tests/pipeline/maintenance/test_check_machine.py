"""The doctor says what is so, and never falls ill itself."""

import json
from importlib import metadata

import pytest

from taxiway.pipeline import cli, stacks
from taxiway.pipeline.maintenance import check_machine


def test_this_machine_can_run_the_pipeline(capfd, tmp_path):
    assert cli.run(["doctor", "--json", "--root", str(tmp_path)]) == 0
    findings = {finding["name"]: finding for finding in json.loads(capfd.readouterr().out)}
    assert findings["Python"]["ok"]
    assert findings["tfx"]["detail"] == metadata.version("tfx")
    assert findings["stack"]["detail"].startswith(f"{stacks.find_installed_stack().name}, supported until ")
    assert findings["Keras 2"]["detail"].startswith("tf_keras 2.")
    assert all(finding["ok"] for finding in findings.values() if finding["needed"])
    pyarrow = findings.get(f"pyarrow {metadata.version('pyarrow')}", {"advisories": []})
    assert len(pyarrow["advisories"]) == {"tf216": 1, "current": 0}[stacks.find_installed_stack().name]
    assert {"GPU", "TensorRT library", "podman", "docker", "TensorFlow Serving", "C++ compiler"} <= set(findings)


@pytest.mark.parametrize(
    ("how", "words"),
    [("abort", "was ended by SIGABRT"), ("hang", "did not end within 3 s"), ("raise", "no tensorflow here")],
)
def test_a_probe_that_does_not_answer_is_a_finding(monkeypatch, how, words):
    monkeypatch.setattr(check_machine, "PROBE_MODULE", "tests.pipeline.maintenance.broken_probe")
    monkeypatch.setattr(check_machine, "PROBE_TIMEOUT_SECONDS", 3.0 if how == "hang" else 60.0)
    monkeypatch.setenv("BROKEN", how)
    [finding] = check_machine.check_tensorflow()
    assert (finding.ok, finding.needed) == (False, True)
    assert words in finding.detail


@pytest.mark.parametrize(("script", "words"), [("exit 1", "does not work"), ("sleep 60", "does not answer")])
def test_an_engine_that_does_not_work(tmp_path, monkeypatch, script, words):
    monkeypatch.setattr(check_machine, "COMMAND_TIMEOUT_SECONDS", 0.5)
    engine = tmp_path / "podman"
    engine.write_text(f"#!/bin/sh\necho broken >&2\nexec {script}\n" if "sleep" in script else "#!/bin/sh\nexit 1\n")
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    finding = check_machine._check_container_engine("podman")
    assert not finding.ok
    assert words in finding.detail


def test_a_disk_that_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(check_machine.os, "access", lambda *_: False)
    assert "cannot be written" in check_machine.check_disk(tmp_path / "not" / "yet" / "there").detail
