"""What starts a watch elsewhere: read by systemd and by the models of the Kubernetes API."""

import datetime
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from taxiway.pipeline import cli, stacks
from taxiway.pipeline.cron import parse_schedule
from taxiway.pipeline.watching.schedulers import to_calendars
from tests.deploy.kubernetes_objects import find_mistakes

SYSTEMD = shutil.which("systemd-analyze")


def write(place, kind, *words):
    out = place.folder / "out"
    code = cli.run(
        ["watch", str(place.config), "--write", kind, "-o", str(out), "--root", str(place.root.path), *words]
    )
    assert code == 0
    return {file.name: file for file in out.iterdir()}


@pytest.mark.skipif(not SYSTEMD, reason="systemd-analyze is not installed here")
@pytest.mark.parametrize("name", ["trips", "trips 100% $HOME \"quoted\" 'x'"])
def test_systemd_takes_the_units(place, name):
    place.config = place.config.rename(place.folder / f"{name}.yaml")
    files = write(
        place, "systemd", "--every", "0 6 13 * 5", "--time-zone", "Europe/Berlin", "--set", "training.epochs=1"
    )
    assert set(files) == {"taxiway-watch-trips.service", "taxiway-watch-trips.timer"}
    checked = subprocess.run(
        [SYSTEMD, "verify", "--man=no", *files.values()], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "--once" in files["taxiway-watch-trips.service"].read_text()


@pytest.mark.skipif(not SYSTEMD, reason="systemd-analyze is not installed here")
@pytest.mark.parametrize("text", ["0 6 * * 1", "*/20 6-8 * 1,3 *", "0 6 13 * 5", "0 0 29 2 *", "@monthly", "5 4 * * 7"])
def test_systemd_reads_the_same_next_moment(text):
    schedule = parse_schedule(text, "Europe/Berlin")
    base = datetime.datetime(2026, 11, 30, 6, 30, tzinfo=datetime.UTC)
    moments = []
    for calendar in to_calendars(schedule):
        told = subprocess.run(
            [SYSTEMD, "calendar", "--base-time", "2026-11-30 06:30:00 UTC", calendar],
            capture_output=True,
            text=True,
            check=True,
            env={"TZ": "UTC", "LC_ALL": "C"},
        ).stdout
        line = next(line for line in told.splitlines() if "(in UTC)" in line or "Next elapse" in line)
        moments.append(datetime.datetime.strptime(line.split(": ", 1)[1].strip(), "%a %Y-%m-%d %H:%M:%S UTC"))
    assert min(moments).replace(tzinfo=datetime.UTC) == schedule.find_next(base)


def test_kubernetes_takes_the_cron_job(place):
    place.config.write_text(
        place.config.read_text()
        + "resources: {kubeflow: {image: 'registry/taxiway:1-{stack}', default: {memory_gb: 4, "
        + "volumes: [{claim: taxiway, mount_path: /taxiway}]}}}\n"
    )
    [file] = write(
        place, "cronjob", "--every", "30 6 * * 5-7", "--time-zone", "Europe/Berlin", "--no-verdicts", "--no-spans"
    ).values()
    job = yaml.safe_load(file.read_text())
    assert find_mistakes(job) == []
    spec = job["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["concurrencyPolicy"]) == (
        "30 6 * * 0,5,6",
        "Europe/Berlin",
        "Forbid",
    )
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["args"][:5] == ["watch", "/opt/taxiway/config/trips.yaml", "--once", "--root", "/taxiway"]
    assert container["image"] == f"registry/taxiway:1-{stacks.find_installed_stack().name}"
    assert pod["restartPolicy"] == "Never" and container["volumeMounts"][0]["mountPath"] == "/taxiway"
    [file] = write(place, "cronjob").values()
    assert yaml.safe_load(file.read_text())["spec"]["schedule"] == "*/1 * * * *", "spans and verdicts are looked for"


KUBEFLOW = (
    "resources: {kubeflow: {image: 'registry/taxiway:1', root: ROOT, config_folder: FOLDER, "
    "default: {volumes: [{claim: taxiway, mount_path: ROOT}]}}}\n"
)


def test_what_the_scheduler_starts_is_the_watch(place, command_environment):
    """The command of the container and that of the unit, word by word, as processes."""
    places = {"ROOT": str(place.root.path), "FOLDER": str(place.folder)}
    text = KUBEFLOW
    for name, value in places.items():
        text = text.replace(name, value)
    place.config.write_text(place.config.read_text() + text)
    files = {**write(place, "cronjob"), **write(place, "systemd")}
    job = yaml.safe_load(files["taxiway-watch-trips.yaml"].read_text())
    [container] = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    unit = files["taxiway-watch-trips.service"].read_text()
    [line] = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    commands = [[*container["command"], *container["args"]], shlex.split(line.removeprefix("ExecStart="))]
    environment = {**command_environment, "PATH": f"{Path(sys.executable).parent}:{command_environment['PATH']}"}
    for command in commands:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "") and "nothing is due" in done.stdout, command
    assert (place.state_folder / "state.json").is_file()


def test_writing_says_when_the_first_look_is_and_makes_none(place, capsys):
    place.add_span(1, 2)
    write(place, "systemd", "--settle", "0", "--every", "@daily")
    told = " ".join(capsys.readouterr().out.split())
    assert "its first start is the first look" in told and "were it now: span 2" in told
    assert "those since 10 minutes before it" in told and not place.root.path.exists()
    damaged = place.root.monitoring / "trips/1/verdict.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    write(place, "systemd", "--settle", "0")
    assert "were it now, it would fail: " in " ".join(capsys.readouterr().out.split())
    damaged.unlink()
    place.run()
    write(place, "systemd", "--settle", "0")
    assert "it goes on from" in " ".join(capsys.readouterr().out.split())


def test_a_cron_job_without_an_image_is_refused_with_the_command_that_names_one(place, capsys):
    assert cli.run(["watch", str(place.config), "--write", "cronjob"]) == 2
    assert "taxiway compile CONFIG --write-resources" in capsys.readouterr().err


def test_a_cron_job_with_an_image_of_another_stack_is_refused(place, capsys):
    other = next(stack for stack in stacks.STACKS if stack is not stacks.find_installed_stack())
    text = (
        KUBEFLOW.replace("taxiway:1", f"taxiway:1-{other.name}").replace("ROOT", "/root").replace("FOLDER", "/config")
    )
    place.config.write_text(place.config.read_text() + text)
    assert cli.run(["watch", str(place.config), "--write", "cronjob"]) == 2
    assert f"is of the stack {other.name}" in " ".join(capsys.readouterr().err.split())


def test_kubeflow_wants_a_schedule(place, capsys):
    assert cli.run(["watch", str(place.config), "--write", "kfp"]) == 2
    assert "--every" in capsys.readouterr().err


def test_the_status_shows_what_is_due_and_changes_nothing(place, capsys):
    place.add_span(1, 2)
    words = [
        "watch",
        str(place.config),
        "--root",
        str(place.root.path),
        "--status",
        "--settle",
        "0",
        "--every",
        "@daily",
    ]
    assert cli.run(words) == 0
    shown = capsys.readouterr().out
    assert "span 2" in shown and "next moment" in shown and not place.root.path.exists()
    place.codes = [3]
    place.run()
    place.add_span(3)
    assert cli.run(words) == 0
    shown = capsys.readouterr().out
    assert "span 3" in shown and "blocked" in shown and "code 3" in shown
