"""The doctor says what is so, and never falls ill itself."""

import json
import sys

import pytest

from pipeline import cli, doctor


def test_this_machine_can_run_the_pipeline(capfd, tmp_path):
    assert cli.run(["doctor", "--json", "--root", str(tmp_path)]) == 0
    findings = {finding["name"]: finding for finding in json.loads(capfd.readouterr().out)}
    assert findings["Python"]["ok"]
    assert findings["tfx"]["detail"] == "1.16.0"
    assert findings["Keras 2"]["detail"].startswith("tf_keras 2.")
    assert all(finding["ok"] for finding in findings.values() if finding["needed"])
    assert {"GPU", "TensorRT library", "podman", "docker", "TensorFlow Serving", "C++ compiler"} <= set(findings)


def test_a_probe_that_aborts_is_a_finding(monkeypatch):
    answer, error = doctor.probe("import os; os.abort()")
    assert answer is None
    assert "ended with -6" in error
    monkeypatch.setattr(doctor, "TENSORFLOW_PROBE", "raise ImportError('no tensorflow here')")
    [finding] = doctor.tensorflow()
    assert (finding.ok, finding.needed) == (False, True)
    assert "no tensorflow here" in finding.detail


def test_a_probe_that_hangs_is_a_finding(monkeypatch):
    monkeypatch.setattr(doctor, "PROBE_TIMEOUT_SECONDS", 0.5)
    assert doctor.probe("import time; time.sleep(60)")[1] == "did not answer within 0.5 s"


def test_another_version_than_asked_for(monkeypatch):
    monkeypatch.setattr(doctor, "_asked_versions", lambda: {"tfx": "9.9"})
    finding = next(each for each in doctor.packages() if each.name == "tfx")
    assert not finding.ok
    assert "9.9 is asked for: make setup" in finding.detail


def test_a_package_that_is_not_there():
    finding = doctor._package("no-such-package", "1.0")
    assert (finding.ok, finding.detail) == (False, "not installed: make setup")


@pytest.mark.parametrize(("script", "words"), [("exit 1", "does not work"), ("sleep 60", "does not answer")])
def test_an_engine_that_does_not_work(tmp_path, monkeypatch, script, words):
    monkeypatch.setattr(doctor, "COMMAND_TIMEOUT_SECONDS", 0.5)
    engine = tmp_path / "podman"
    engine.write_text(f"#!/bin/sh\necho broken >&2\nexec {script}\n" if "sleep" in script else "#!/bin/sh\nexit 1\n")
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    finding = doctor._container_engine("podman")
    assert not finding.ok
    assert words in finding.detail


def test_a_disk_that_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    assert "cannot be written" in doctor.disk(tmp_path / "not" / "yet" / "there").detail


def test_python_is_this_one():
    assert sys.executable in doctor.python().detail
