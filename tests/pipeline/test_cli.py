"""The command line itself: light, plain errors, JSON alone on standard output."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from taxiway.pipeline import cli

REPOSITORY = Path(__file__).parents[2]
MODEL_VERSION = "1700000000"
COMMANDS = ("run", "runs", "show", "versions", "predict", "doctor", "bench")

LIGHT = """
import json, sys
from taxiway.pipeline import cli
cli.run({arguments!r})
heavy = sorted({{"tensorflow", "tfx", "apache_beam", "tensorflow_model_analysis", "pandas"}} & set(sys.modules))
print(json.dumps(heavy), file=sys.stderr)
"""


@pytest.fixture
def root(tmp_path):
    """A root with one pushed version and no run."""
    version = tmp_path / "root" / "serving" / "taxi" / MODEL_VERSION
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(b"x" * 1000)
    return tmp_path / "root"


@pytest.mark.parametrize("arguments", [["--help"], ["runs"], ["versions"], ["run", "--help"]])
def test_neither_tfx_nor_tensorflow_is_loaded(root, arguments):
    if arguments[0] in ("runs", "versions"):
        arguments = [*arguments, "--root", str(root)]
    code = LIGHT.format(arguments=arguments)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, timeout=300, check=True
    )
    assert json.loads(done.stderr.splitlines()[-1]) == []


def test_help_lists_every_command(capfd):
    assert cli.run(["--help"]) == 0
    printed = capfd.readouterr().out
    assert all(f" {command} " in printed for command in COMMANDS)
    assert "Exit codes" in printed


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capfd):
    assert cli.run([command, "--help"]) == 0
    assert "Usage" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rnu"], "No such command 'rnu'"),
        (["run", "--form", "Trainer"], "No such option"),
        (["run", "--orchestrator", "airflow"], "airflow"),
        (["run", "no-such.yaml"], "no-such.yaml"),
        (["run", "--set", "trainig.epochs=3"], "Did you mean 'training' or 'tuning'?"),
        (["runs", "--root", "no-such-root"], "There is no root"),
        (["versions", "--root", "no-such-root"], "Nothing has been pushed"),
    ],
)
def test_wrong_usage_is_a_sentence_and_exit_code_2(arguments, words, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.run(arguments) == 2
    printed = capfd.readouterr()
    assert words in printed.err
    assert "Traceback" not in printed.err
    assert not (tmp_path / "taxiway-root").exists()


def test_a_bug_leaves_its_traceback_in_a_file(monkeypatch, capfd, root):
    def broken(*_):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("taxiway.pipeline.serving.versions.list_versions", broken)
    assert cli.run(["versions", "--root", str(root)]) == 1
    printed = capfd.readouterr().err
    assert "ZeroDivisionError: by zero" in printed
    path = Path(printed.strip().rsplit(" ", 1)[1].rstrip("."))
    assert "Traceback" in path.read_text()
    path.unlink()


def test_a_closed_pipe_is_no_error(root):
    words = ["versions", "--root", str(root), "--json"]
    code = f"import sys; from taxiway.pipeline import cli; sys.exit(cli.run({words!r}))"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, cwd=REPOSITORY, timeout=300, check=False
    )
    os.close(write)
    assert b"Traceback" not in done.stderr


def test_versions(root, capfd):
    assert cli.run(["versions", "--root", str(root), "--json"]) == 0
    [version] = json.loads(capfd.readouterr().out)
    assert (version["version"], version["live"], version["bytes"]) == (int(MODEL_VERSION), True, 1000)
    assert cli.run(["versions", "--root", str(root)]) == 0
    printed = capfd.readouterr().out
    assert MODEL_VERSION in printed
    assert "live" in printed


def test_an_unknown_model_comes_with_close_matches(root, capfd):
    assert cli.run(["versions", "--root", str(root), "--model", "taxy"]) == 2
    assert "Did you mean 'taxi'?" in capfd.readouterr().err


def test_every_listing_takes_json():
    for command in ("runs", "show", "versions", "predict", "doctor"):
        parameters = cli.get_command(cli.app).commands[command].params
        assert "--json" in {option for parameter in parameters for option in parameter.opts}, command


def test_optimize_names_a_report_that_is_not_there(tmp_path):
    """`--reproduce REPORT VARIANT`, as the page on optimization writes it."""
    done = subprocess.run(
        [sys.executable, "-m", "taxiway", "optimize", "--reproduce", str(tmp_path / "none"), "frozen"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert str(tmp_path / "none") in done.stderr
