"""Restricted pods: what a process may still do. Skipped, with the reason, where this machine cannot restrict any."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from taxiway.components.errors import UsageError
from taxiway.pipeline.emulator import commands
from taxiway.pipeline.emulator.pods import restricted
from taxiway.pipeline.emulator.pods.processes import Mount, Pod
from taxiway.pipeline.emulator.pods.restricted import RestrictedRuntime, find_obstacle
from tests.pipeline.emulator.sample import text, two_tasks

LOOK = """
import json, os, pathlib
def try_writing(folder):
    try:
        pathlib.Path(folder, "x").write_text("1")
        return "written"
    except OSError as error:
        return error.strerror
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
folders = ["/", "/usr", "/var/tmp", os.environ["HOME"], *FOLDERS]
print(json.dumps({
    "user": [os.getuid(), os.getgid()], "groups": os.getgroups(), "place": os.getcwd(),
    "capabilities": [int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapBnd")],
    "privileges": int(status["NoNewPrivs"]), "folders": {folder: try_writing(folder) for folder in folders},
}))
"""


@pytest.fixture(scope="module")
def able():
    obstacle = find_obstacle()
    if obstacle:
        pytest.skip(f"this machine cannot restrict processes: {obstacle}")


def make_pod(folder, code, **changes):
    (folder / "pod").mkdir()
    values = {
        "name": "look(0)", "image": "image:1", "command": ("python", "-c", code), "environment": {},
        "folder": folder / "pod", "log": folder / "log.txt",
    }  # fmt: skip
    return Pod(**{**values, **changes})


def test_it_may_write_where_a_pod_may_and_nowhere_else(able, tmp_path):
    volumes = {name: tmp_path / name for name in ("claim", "secret")}
    for folder in volumes.values():
        folder.mkdir()
        os.chmod(folder, 0o777)  # noqa: PTH101
    mounts = (
        Mount("claim", "/mnt/deep/claim"),
        Mount("secret", "/etc/secret", read_only=True),
        Mount("", "/opt/scratch"),
    )
    writable = ["/tmp", "/minio", "/.cache", "/dev/shm", "/mnt/deep/claim", "/opt/scratch"]
    code = LOOK.replace("FOLDERS", repr([*writable, "/etc/secret", str(tmp_path)]))
    assert RestrictedRuntime(volumes).run_pod(make_pod(tmp_path, code, mounts=mounts)) == 0, (
        tmp_path / "log.txt"
    ).read_text()
    seen = json.loads((tmp_path / "log.txt").read_text())
    assert seen["user"][0] != 0 and (os.getuid() != 0 or not seen["groups"])
    assert seen["capabilities"] == [0, 0, 0, 0] and seen["privileges"] == 1 and seen["place"] == "/"
    assert {folder for folder, said in seen["folders"].items() if said == "written"} == set(writable)
    assert (volumes["claim"] / "x").exists() and not list(volumes["secret"].iterdir())


def test_a_volume_below_a_link_stays_off_this_machine(able, tmp_path):
    """`/var/run` is a link to `/run`, an absolute one: followed too late, it would lead out of the pod."""
    link = next((path for path in map(Path, ("/var/run", "/var/lock", "/bin")) if path.is_symlink()), None)
    if link is None:
        pytest.skip("this machine has no such link")
    name = f"taxiway-{os.getpid()}"
    written, real = f"pathlib.Path('{link}/{name}/x')", f"pathlib.Path('{link.resolve()}/{name}/x')"
    code = f"import pathlib; {written}.write_text('1'); print({real}.read_text())"
    (tmp_path / "claim").mkdir(mode=0o777)
    os.chmod(tmp_path / "claim", 0o777)  # noqa: PTH101
    pod = make_pod(tmp_path, code, mounts=(Mount("claim", f"{link}/{name}"),))
    assert RestrictedRuntime({"claim": tmp_path / "claim"}).run_pod(pod) == 0, pod.log.read_text()
    assert pod.log.read_text() == "1\n" and not (link / name).exists()


def test_a_pod_may_name_its_user(able, tmp_path):
    if os.getuid() != 0:
        pytest.skip("only root can start a process as someone else")
    pod = make_pod(tmp_path, "import os; print(os.getuid(), os.getgid())", user=(4711, 4712))
    assert RestrictedRuntime({}).run_pod(pod) == 0
    assert pod.log.read_text() == "4711 4712\n"


def test_nothing_stays_mounted(able, tmp_path):
    RestrictedRuntime({}).run_pod(make_pod(tmp_path, "pass"))
    with open("/proc/self/mounts") as mounts:
        assert str(tmp_path) not in mounts.read()


def test_a_pipeline_whose_steps_are_restricted(able, tmp_path):
    file = tmp_path / "pipeline.yaml"
    file.write_text(text(two_tasks()))
    request = commands.EmulationRequest(file, tmp_path / "root", restricted=True)
    assert commands.run_package(request) == 0
    [data] = (tmp_path / "root" / "kfp" / "objects").rglob("use/*/copy/data")
    assert data.read_text() == "hello copied"


def test_a_machine_that_cannot_says_why_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(restricted, "find_obstacle", lambda: "the kernel does not give a namespace.")
    file = tmp_path / "pipeline.yaml"
    file.write_text(text(two_tasks()))
    with pytest.raises(UsageError, match="Pods cannot be restricted here: the kernel does not give a namespace"):
        commands.run_package(commands.EmulationRequest(file, tmp_path / "root", restricted=True))


def test_two_ways_to_run_a_pod(tmp_path):
    file = tmp_path / "pipeline.yaml"
    file.write_text(text(two_tasks()))
    request = commands.EmulationRequest(file, tmp_path / "root", restricted=True, in_containers=True)
    with pytest.raises(UsageError, match="--in-containers and --restricted"):
        commands.run_package(request)
