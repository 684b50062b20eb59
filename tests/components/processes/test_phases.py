"""What a process and its children record of themselves."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from taxiway.components.processes import phases, subprocesses


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    file = tmp_path / "profile.jsonl"
    monkeypatch.setenv(phases.FILE_VARIABLE, str(file))
    return lambda: [json.loads(line) for line in file.read_text().splitlines()]


def test_nothing_is_recorded_without_a_file(tmp_path, monkeypatch):
    monkeypatch.delenv(phases.FILE_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    with phases.enter_component("Trainer"), phases.record_phase("read", "rows"):
        assert phases.name_component_for_child() == {}
    assert not list(tmp_path.iterdir())


def test_a_span_belongs_to_the_component_of_its_thread(recorded):
    def work():
        with phases.record_phase("write", "in another thread"):
            pass

    with phases.enter_component("Trainer"):
        with phases.record_phase("execute", "steps") as span:
            span.phase = "compile"
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    spans = {span["what"]: span for span in recorded()}
    assert spans["steps"]["component"] == "Trainer"
    assert spans["steps"]["phase"] == "compile"
    assert spans["steps"]["process"] == os.getpid()
    assert spans["in another thread"]["component"] == phases.RUN


def test_a_span_that_fails_is_recorded_too(recorded):
    with pytest.raises(ZeroDivisionError), phases.record_phase("read", "rows"):
        time.sleep(0.01)
        raise ZeroDivisionError
    [span] = recorded()
    assert span["end"] - span["start"] >= 0.01


def test_a_child_records_its_start_its_imports_and_its_work(recorded):
    with phases.enter_component("Trainer"):
        outcome = subprocesses.run_module("tests.components.children", {"imports": ["pydantic"]}, None)
    assert outcome.ok, outcome.log_tail
    *spans, packages = recorded()
    assert "pydantic" in packages["packages"] and "json" not in packages["packages"]
    assert {span["component"] for span in spans} == {"Trainer"}
    assert {span["program"] for span in spans[1:]} == {"tests.components.children"}
    assert spans[0]["what"] == "Python starts" and spans[0]["phase"] == "import"
    assert {span["phase"] for span in spans} == {"import", "execute"}
    assert spans[-1]["what"] == "work"
    assert all(span["process"] != os.getpid() for span in spans)


def test_a_module_that_may_not_be_imported_is_no_package(recorded, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf_keras_forbidden", None)
    phases.record_packages()
    [packages] = recorded()
    assert "pytest" in packages["packages"] and "tf_keras_forbidden" not in packages["packages"]


def test_only_the_outermost_import_is_recorded(recorded, tmp_path, monkeypatch):
    (tmp_path / "slow_inner_for_phases.py").write_text("import time; time.sleep(0.02)\n")
    (tmp_path / "slow_outer_for_phases.py").write_text("import slow_inner_for_phases\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    phases.time_imports()
    try:
        import slow_outer_for_phases  # noqa: F401
    finally:
        phases.stop_watching()
    assert [(span["what"], span["phase"]) for span in recorded()] == [("slow_outer_for_phases", "import")]


TRACED = """
import os, sys
import taxiway.environment
from taxiway.components.processes import phases
taxiway.environment.set_environment()
phases.time_imports()
import tensorflow as tf
@tf.function
def doubled(x):
    for _ in range(300):
        x = x + 1.0
    return x
doubled(tf.constant(1.0))
doubled(tf.constant(2.0))
"""


def test_traces_are_recorded_once_tensorflow_is_there(recorded):
    done = subprocess.run([sys.executable, "-c", TRACED], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    spans = recorded()
    assert [span["what"] for span in spans if span["phase"] == "trace"] == ["doubled"]
    assert any(span["what"] == "tensorflow" and span["end"] - span["start"] > 0.5 for span in spans)


def test_a_child_is_known_by_its_module_from_its_start_on(recorded, tmp_path):
    """What it imports before its module runs is its own too."""
    (tmp_path / "text.json").write_text("{}")
    command = subprocesses.make_command("json.tool", str(tmp_path / "text.json"))
    subprocess.run(command, check=True, timeout=60)
    assert {line["program"] for line in recorded()} == {"json.tool"}
