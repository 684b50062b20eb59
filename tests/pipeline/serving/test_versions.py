"""The serving directory from the command line: versions, rollback, labels, predictions' errors."""

import json

import pytest

from taxiway.components.processes.subprocesses import make_command
from taxiway.components.serving.versions import action_log
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.pipeline import cli


@pytest.fixture
def root(tmp_path):
    """A root with two pushed versions of other bytes."""
    now = 0.0
    directory = ServingDirectory(tmp_path / "root" / "serving" / "taxi", clock=lambda: now)
    for content in (b"first", b"second"):
        now += 100
        source = tmp_path / content.decode()
        source.mkdir()
        (source / "saved_model.pb").write_bytes(content)
        directory.push(source, {"version": 1, "run_id": f"run-{content.decode()}", "variant": "frozen"})
    return tmp_path / "root"


def listed(root, capfd):
    capfd.readouterr()
    assert cli.run(["versions", "--root", str(root), "--json"]) == 0
    return json.loads(capfd.readouterr().out)


def test_newest_first_with_their_origin(root, capfd):
    found = listed(root, capfd)
    assert [(version["version"], version["live"]) for version in found] == [(200, True), (100, False)]
    assert cli.run(["versions", "--root", str(root)]) == 0
    printed = capfd.readouterr().out
    assert "run run-second" in printed
    assert "frozen" in printed


def test_a_rollback_is_live_under_a_new_number(root, capfd):
    assert cli.run(["rollback", "--root", str(root), "--reason", "wrong prices", "--json"]) == 0
    made = json.loads(capfd.readouterr().out)
    assert made["not_recorded"] == "there is no metadata store"
    found = listed(root, capfd)
    assert found[0]["version"] == made["version"]
    assert found[0]["digest"] == found[-1]["digest"]
    assert cli.run(["versions", "--root", str(root)]) == 0
    assert "rollback of 200" in capfd.readouterr().out


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 4096])
def test_a_damaged_store_does_not_stop_a_rollback(root, capfd, content):
    (root / "metadata.db").write_bytes(content)
    assert cli.run(["rollback", "--root", str(root), "--json"]) == 0
    made = json.loads(capfd.readouterr().out)
    assert made["execution"] is None and "The rollback stands, but" in made["not_recorded"]
    assert str(root / "metadata.db") in made["not_recorded"]
    assert listed(root, capfd)[0]["version"] == made["version"]


def test_a_label_names_a_version(root, capfd):
    assert cli.run(["promote", "100", "--label", "canary", "--root", str(root)]) == 0
    assert listed(root, capfd)[1]["labels"] == ["canary"]
    assert cli.run(["promote", "7", "--label", "canary", "--root", str(root)]) == 1
    assert "has no version 7" in capfd.readouterr().err
    taken = ["promote", "--remove-label", "canary", "--reason", "no client asks for it", "--root", str(root)]
    assert cli.run([*taken, "--auto"]) == 2
    assert cli.run(taken) == 0
    assert capfd.readouterr().out == "canary: taken from version 100\n"
    assert listed(root, capfd)[1]["labels"] == []
    actions = action_log.read_action_log(root / "serving" / "taxi").actions
    assert (actions[0].kind, actions[0].version, actions[0].reason) == ("demote", 100, "no client asks for it")
    assert cli.run(taken) == 1
    assert "No version has the label 'canary'" in capfd.readouterr().err


def test_wrong_requests_are_sentences(root, tmp_path, capfd):
    assert cli.run(["rollback", "7", "--root", str(root)]) == 1
    assert cli.run(["verify", str(tmp_path / "nothing")]) == 2
    assert cli.run(["predict", str(tmp_path / "nothing.csv"), "--root", str(root)]) == 2
    printed = capfd.readouterr().err
    assert "There is no folder" in printed
    assert "There is no file" in printed
    assert "Traceback" not in printed


def test_serve_becomes_the_server_and_says_which(root, capfd, monkeypatch):
    """The process is replaced, so that signals and the exit code are the server's own."""
    started = []
    monkeypatch.setattr("taxiway.pipeline.serving.launch.os.execvpe", lambda *command: started.append(command))
    options = ["--rest-port", "0", "--grpc-port", "0", "--max-request-mb", "2", "--with", "embedded"]
    options += ["--max-rows", "7", "--allow-host", "models.example", "--allow-host", "taxi"]
    assert cli.run(["serve", "--root", str(root), *options]) == 0
    [(program, argv, environment)] = started
    given = dict(zip(argv[3::2], argv[4::2], strict=True))
    assert argv[:3] == make_command("taxiway.components.serving.server.embedded") and argv[0] == program
    assert given["--model-base-path"] == str(root / "serving" / "taxi") and given["--host"] == "127.0.0.1"
    assert given["--max-rows"] == "7" and given["--allow-host"] == "models.example,taxi"
    assert given["--max-request-mb"] == "2.0" and environment["TF_USE_LEGACY_KERAS"] == "1"
    assert "the embedded server" in capfd.readouterr().err
    monkeypatch.setenv("PATH", "")
    assert cli.run(["serve", "--root", str(root), "--with", "binary"]) == 1
    assert "There is no tensorflow_model_server on the PATH" in capfd.readouterr().err


def test_serve_holds_as_many_versions_as_the_last_push_said(root, capfd, monkeypatch):
    from taxiway.components.serving.config import ServingConfig
    from taxiway.components.serving.versions import server_files

    settings = ServingConfig(versions_served=2, allowed_ops=("Foreign",))
    server_files.write_files(ServingDirectory(root / "serving" / "taxi"), "taxi", settings)
    started = []
    monkeypatch.setattr("taxiway.pipeline.serving.launch.os.execvpe", lambda *command: started.append(command))
    assert cli.run(["serve", "--root", str(root), "--with", "embedded"]) == 0
    argv = started[0][1]
    assert argv[argv.index("--versions-served") + 1] == "2"
    assert "Foreign" not in argv  # who may write into the directory may not say what it may run


def test_versions_says_what_is_odd_about_their_numbers(root, capfd):
    for name in (str(2**62), "1_000"):
        (root / "serving" / "taxi" / name).mkdir()
    assert cli.run(["versions", "--root", str(root), "--json"]) == 0
    printed = capfd.readouterr()
    assert json.loads(printed.out)[0]["version"] == 2**62
    assert f"Version {2**62} is no time of a push" in printed.err and "'1_000' is no version" in printed.err
