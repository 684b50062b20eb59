"""What starts `taxiway watch --once` without a process of ours that waits: a systemd timer, a Kubernetes CronJob."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from taxiway.components.errors import ConfigError, UsageError
from taxiway.components.files.durable_files import replace_file
from taxiway.components.serving.versions.kubernetes_manifest import dump_documents, make_dns_name, make_object
from taxiway.pipeline.config import PipelineConfig
from taxiway.pipeline.cron import CronSchedule
from taxiway.pipeline.images import resolve_images
from taxiway.pipeline.resources.pod_template import CONTAINER, make_pod_template

_WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_NODE = "Trainer"
"""The pod of a CronJob runs every node: it gets what the largest of them may use."""


def write_files(folder: Path, files: dict[str, str]) -> list[Path]:
    """Writes the files, each whole, and returns their paths.

    Raises:
        UsageError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            replace_file(folder / name, text)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror or error}.", "Name another --output.") from error
    return [folder / name for name in files]


# ---- systemd ----


def make_systemd_units(
    model: str, arguments: Sequence[str], schedule: CronSchedule | None, look_seconds: float, *, polls: bool
) -> dict[str, str]:
    """A service of type oneshot and the timer that starts it.

    Args:
        model: Name of the model.
        arguments: What is typed after `taxiway`, with absolute paths.
        schedule: Moments at which the timer fires too; None: none.
        look_seconds: Time between two looks.
        polls: Whether spans or verdicts are looked for, which takes a look now and then.

    Returns:
        Text by name of the file.
    """
    name = f"taxiway-watch-{model}"
    times = [f"OnCalendar={calendar}" for calendar in (to_calendars(schedule) if schedule else ())]
    if polls:
        times += ["OnBootSec=1min", f"OnUnitInactiveSec={look_seconds:.0f}s"]
    command = " ".join(map(_quote_word, [sys.executable, "-m", "taxiway", *arguments]))
    service = f"""\
[Unit]
Description=Taxiway: runs the pipeline of {model} when something is due
After=network-online.target
Wants=network-online.target

[Service]
Type=oneshot
WorkingDirectory={_escape_specifiers(str(Path.cwd()))}
ExecStart={command}
# 3: a gate said no. The live model stays, and nothing is to be mended here.
SuccessExitStatus=3
# A stop reaches the run through the watch, and training saves its checkpoint.
KillMode=mixed
TimeoutStartSec=infinity
TimeoutStopSec=120
"""
    timer = f"""\
[Unit]
Description=Taxiway: looks whether a run of {model} is due

[Timer]
{chr(10).join(times)}
Persistent=true
AccuracySec=1s

[Install]
WantedBy=timers.target
"""
    return {f"{name}.service": service, f"{name}.timer": timer}


def _quote_word(word: str) -> str:
    """One word of a command as systemd reads it (systemd.service(5), "Command lines"; `%` and `$` are its own)."""
    escaped = _escape_specifiers(word).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    plain = all(letter.isalnum() or letter in "-_./=:,@+" for letter in word)
    return word if plain and word else f'"{escaped}"'


def _escape_specifiers(text: str) -> str:
    return text.replace("%", "%%")


def to_calendars(schedule: CronSchedule) -> list[str]:
    """The schedule in systemd's calendar events (systemd.time(7)).

    A calendar event wants day and weekday both; a crontab that names both is content with one of them: two events.
    """
    weekdays = "" if len(schedule.weekdays) == 7 else ",".join(_WEEKDAYS[day] for day in sorted(schedule.weekdays))
    days = _list_numbers(schedule.days, 31)
    if not schedule.either_day:
        return [_make_calendar(schedule, weekdays, days)]
    return [_make_calendar(schedule, "", days), _make_calendar(schedule, weekdays, "*")]


def _make_calendar(schedule: CronSchedule, weekdays: str, days: str) -> str:
    months, hours = _list_numbers(schedule.months, 12), _list_numbers(schedule.hours, 24)
    time = f"{hours}:{_list_numbers(schedule.minutes, 60)}:00"
    return " ".join(part for part in (weekdays, f"*-{months}-{days}", time, schedule.zone.key) if part)


def _list_numbers(numbers: Iterable[int], all_count: int) -> str:
    chosen = sorted(numbers)
    return "*" if len(chosen) == all_count else ",".join(f"{number:02d}" for number in chosen)


# ---- Kubernetes ----


def make_cron_job(
    config: PipelineConfig,
    arguments: Sequence[str],
    schedule: CronSchedule | None,
    look_seconds: float,
    *,
    polls: bool,
    namespace: str = "",
) -> str:
    """A CronJob that looks and runs, one at a time, with the image, volumes and machines of `resources.kubeflow`.

    Args:
        config: The configuration.
        arguments: What is typed after `taxiway`, with paths of the cluster.
        schedule: When it looks; with `polls`, it looks every few minutes too, and the command knows what is due.
        look_seconds: Time between two looks.
        polls: Whether spans or verdicts are looked for.
        namespace: Namespace; empty: that of whoever applies it.

    Raises:
        ConfigError: The configuration names no image, one of another stack, or no volume.
    """
    kubeflow = resolve_images(config.resources.kubeflow)
    if not kubeflow.image or not kubeflow.default.volumes:
        raise ConfigError(
            "resources.kubeflow names no image and no volume claim for the root: a CronJob has nothing to run.",
            "This writes both: taxiway compile CONFIG --write-resources --image IMAGE --claim CLAIM",
        )
    name = make_dns_name(f"taxiway-watch-{config.name}")
    template = make_pod_template(kubeflow, _NODE)
    container = template["spec"]["containers"][0]
    assert container["name"] == CONTAINER
    container |= {"name": "watch", "command": ["python", "-m", "taxiway"], "args": list(arguments)}
    text, zone = _choose_cron(schedule, look_seconds, polls=polls)
    job = make_object("batch/v1", "CronJob", name, namespace) | {
        "spec": {
            "schedule": text,
            "timeZone": zone,
            "concurrencyPolicy": "Forbid",
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {"spec": {"backoffLimit": 0, "template": template}},
        }
    }
    return dump_documents([job])


def _choose_cron(schedule: CronSchedule | None, look_seconds: float, *, polls: bool) -> tuple[str, str]:
    """Cron text and time zone, as Kubernetes' own reader takes them: its Sunday is 0 only."""
    if schedule is None or polls:
        minutes = max(1, round(look_seconds / 60))
        return (f"*/{minutes} * * * *" if minutes < 60 else "0 * * * *"), "Etc/UTC"
    fields = schedule.text.split() if not schedule.text.startswith("@") else []
    if not fields:
        return schedule.text, schedule.zone.key
    weekdays = "*" if fields[4] in ("*", "?") else ",".join(map(str, sorted(schedule.weekdays)))
    return " ".join([*fields[:4], weekdays]), schedule.zone.key


def format_arguments(arguments: Sequence[str]) -> str:
    """The command as a person types it."""
    return shlex.join(["taxiway", *arguments])
