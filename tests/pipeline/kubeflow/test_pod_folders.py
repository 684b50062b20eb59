"""What a step writes: checked as the user that a cluster gives it, who is not the owner of a fresh volume."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import tempfile
from pathlib import Path

import pytest

from taxiway.components.errors import TaxiwayError, UsageError
from taxiway.pipeline.kubeflow import entrypoint, pod_folders

NOBODY = 54_321


@contextlib.contextmanager
def as_nobody():
    """As a user without a name and without rights; as this user where it is not root."""
    groups = os.getgroups()
    if os.geteuid() == 0:
        os.setgroups([])
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
    try:
        yield os.geteuid()
    finally:
        if os.geteuid() == NOBODY:
            os.seteuid(0)
            os.setegid(os.getgid())
            os.setgroups(groups)


@pytest.fixture()
def volume():
    """A fresh volume claim: of root, or at least not writable. pytest's own folders are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555 if os.getuid() else 0o755)
        yield Path(folder)
        Path(folder).chmod(0o755)


@pytest.mark.parametrize("inside", ["", "taxiway/root"])
def test_a_fresh_volume_claim_is_told_before_the_work(volume, inside):
    root = volume / inside
    with as_nobody() as user, pytest.raises(TaxiwayError) as refused:
        pod_folders.check_root(root)
    assert f"resources.kubeflow.root {root} cannot be written by user {user} " in refused.value.problem
    owner = f"{volume} belongs to user {os.getuid()} (group {os.getgid()}), mode {'555' if os.getuid() else '755'}"
    assert f"Permission denied. {owner}" in refused.value.problem
    assert pod_folders.GIVE_VOLUME in refused.value.remedy and "run_as_user: 0" in refused.value.remedy


def test_the_steps_log_ends_with_what_to_do(volume, monkeypatch, capsys):
    """The container's own command: no traceback, and nothing of the work was begun."""
    given = json.dumps({"inputs": {"parameterValues": {"taxiway_root": str(volume)}}})
    arguments = ["--node", "ExampleGen", "--executor_class_path", "x", "--json_serialized_invocation_args", given]
    monkeypatch.setattr(sys, "argv", ["entrypoint", *arguments, "--json_serialized_declared_outputs", "[]"])
    for name in ("HOME", "USER", "LOGNAME"):  # which the entry point sets
        monkeypatch.setenv(name, os.environ.get(name, "someone"))
    monkeypatch.setattr(entrypoint, "_load_tfx_executor", lambda: pytest.fail("the work was begun"))
    with as_nobody(), pytest.raises(SystemExit, match="1"):
        entrypoint.main()
    said = capsys.readouterr().err
    assert said.startswith(f"resources.kubeflow.root {volume} cannot be written") and "kubectl apply -f" in said


def test_a_root_that_can_be_written_is_left_as_it_was(tmp_path):
    pod_folders.check_root(tmp_path / "new" / "root")
    assert list((tmp_path / "new" / "root").iterdir()) == []


def test_a_read_only_volume_and_a_full_one_have_other_remedies(tmp_path, monkeypatch):
    for code, said in ((errno.EROFS, "Mount a volume there that can be written"), (errno.EDQUOT, "describe pvc")):

        def refuse(*_, code=code, **__):
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
        with pytest.raises(TaxiwayError, match=said):
            pod_folders.check_root(tmp_path)


def test_no_temporary_folder(monkeypatch):
    def refuse():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", refuse)
    with pytest.raises(TaxiwayError, match=r"empty_directories: \[\{mount_path: /tmp\}\]"):
        pod_folders.check_temporary_folder()


def test_a_user_without_home_and_name_gets_both(volume, monkeypatch):
    monkeypatch.setenv("HOME", str(volume))
    for name in ("USER", "LOGNAME"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    with as_nobody() as user:
        pod_folders.choose_home()
        (Path.home() / "x").touch()
        assert str(Path.home()) == f"{tempfile.gettempdir()}/home-{user}"
    assert user != NOBODY or os.environ["USER"] == f"user-{NOBODY}"


def test_a_home_that_can_be_written_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    pod_folders.choose_home()
    assert os.environ["HOME"] == str(tmp_path)


@pytest.mark.parametrize("root", ["", "taxiway", "gs://bucket/x"])
def test_a_root_that_is_no_absolute_path(root):
    """A person may leave the field of the run empty in Kubeflow's page."""
    with pytest.raises(UsageError, match="no absolute path"):
        pod_folders.prepare_pod(root)
