"""Kills hosts of a real training at random moments, and looks at how it ends: `python -m ... --rounds 10`.

Two hosts with addresses of their own train together. One is killed, or taken from the network; the other must notice
it and end with the code that asks to be started again. Both are started again and must end with the weights of an
undisturbed training, or refuse with a plain error. One round is a test (`test_hosts.py`); ten of ten take too long.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taxiway.components.training import TrainingJob, train
from taxiway.components.training.main import MODULE
from tests.components.training.children import weights
from tests.components.training.hosts import PORT, HostProcess, Hosts, find_obstacle, make_hosts
from tests.components.training.paused import checkpoint_steps
from tests.components.training.synthetic import make_job, write_dataset

SETTINGS: dict[str, Any] = {
    "epochs": 60,
    "global_batch_size": 60,
    "evaluate_every_steps": 100,
    "steps_per_loop": 10,
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "checkpoint": {"every_steps": 30},
}
STEP_TIMEOUT = 30.0


@dataclass(frozen=True)
class KillRound:
    """What is done in a round.

    Attributes:
        host: The number of the host that is lost; 0 is the chief.
        step: The checkpoint after which it is lost; 0: `delay` seconds after the start.
        delay: Seconds between that moment and the loss.
        own_disks: Whether each host has a disk of its own.
        unplugged: Whether the host is taken from the network, and not killed.
    """

    host: int
    step: int = 100
    delay: float = 0.0
    own_disks: bool = True
    unplugged: bool = False


def make_settings() -> dict[str, Any]:
    limits = {"workers": 2, "start_timeout_seconds": 240, "step_timeout_seconds": STEP_TIMEOUT, "threads_per_task": 1}
    return SETTINGS | {"strategy": "multi_worker_mirrored", "cluster": limits}


def train_undisturbed(data: Path, folder: Path) -> list[np.ndarray]:
    """The weights of the same training on one device, which nobody disturbs."""
    train(make_job(data, folder, training=SETTINGS), folder / "log")
    return weights(folder)


def play_round(hosts: Hosts, data: Path, plan: KillRound, expected: list[np.ndarray]) -> str:
    """Plays a round.

    Returns:
        `right`, `not hit` where training had ended before, or `refused: ...`.

    Raises:
        AssertionError: something else happened.
    """
    disk = hosts.folder / "disk"
    job = make_job(data, disk, training=make_settings(), fingerprint="one")
    chiefs = hosts.folder / "disk-0" if plan.own_disks else disk
    first = _start_all(hosts, job, disk if plan.own_disks else None)
    _await_moment(plan, chiefs / "checkpoints", first)
    _lose_host(hosts, first, plan)
    codes = [process.wait() for process in first]
    hosts.plug_in(plan.host)
    if set(codes) == {0}:
        return "not hit"
    assert codes[1 - plan.host] in (75, 0), (codes, first[1 - plan.host].log.read_text()[-3000:])
    again = _start_all(hosts, job, disk if plan.own_disks else None)
    codes = [process.wait() for process in again]
    if set(codes) == {1}:
        return f"refused: {again[0].answer.get('error')}"
    assert set(codes) == {0}, (codes, [process.log.read_text()[-3000:] for process in again])
    for one, other in zip(weights(chiefs), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=5e-4, rtol=5e-3)
    return "right"


def _start_all(hosts: Hosts, job: TrainingJob, disk: Path | None) -> list[HostProcess]:
    members = [f"{name}:{PORT}" for name in hosts.names]
    return [
        hosts.start(i, MODULE, job.model_dump(mode="json"), make_environment({"worker": members}, "worker", i), disk)
        for i in range(hosts.count)
    ]


def make_environment(members: dict[str, list[str]], kind: str, index: int) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": members, "task": {"type": kind, "index": index}})}


def _await_moment(plan: KillRound, checkpoints: Path, processes: list[HostProcess]) -> None:
    while plan.step and max(checkpoint_steps(checkpoints), default=0) < plan.step:
        if any(process.process.poll() is not None for process in processes):
            return
        time.sleep(0.02)
    time.sleep(plan.delay)


def _lose_host(hosts: Hosts, processes: list[HostProcess], plan: KillRound) -> None:
    if not plan.unplugged:
        processes[plan.host].end_group()
        return
    hosts.unplug(plan.host)
    deadline = time.monotonic() + 3 * STEP_TIMEOUT
    while time.monotonic() < deadline and processes[1 - plan.host].process.poll() is None:
        time.sleep(0.2)
    processes[plan.host].end_group()


def plan_round(number: int, own_disks: bool, seed: int) -> KillRound:
    """A round at a random moment: the hosts take turns; each third round begins before the first checkpoint."""
    generator = random.Random(seed * 1000 + number)
    early = number % 3 == 2
    step = 0 if early else generator.randrange(30, 560)
    delay = generator.uniform(0, 12 if early else 0.3)
    return KillRound(number % 2, step, delay, own_disks, unplugged=number % 5 == 4)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--disks", choices=("shared", "own"), default="own")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if obstacle := find_obstacle():
        print(obstacle)
        return 2
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="taxiway-hosts-") as name:
        write_dataset(Path(name), "binary", train_rows=(617,))
        expected = train_undisturbed(Path(name), Path(name, "undisturbed"))
        for number in range(options.rounds):
            plan = plan_round(number, options.disks == "own", options.seed)
            outcomes[_report_round(Path(name), number, plan, expected)] += 1
    print(dict(outcomes))
    return int("wrong" in outcomes)


def _report_round(data: Path, number: int, plan: KillRound, expected: list[np.ndarray]) -> str:
    folder, started = data / f"round-{number}", time.monotonic()
    folder.mkdir()
    try:
        with make_hosts(2, folder) as hosts:
            outcome = play_round(hosts, data, plan, expected)
    except Exception as error:  # one round must not end the others
        outcome = "wrong"
        print(f"{type(error).__name__}: {error}")
    print(f"round {number}: {plan}: {outcome} after {time.monotonic() - started:.0f} s", flush=True)
    return outcome.partition(":")[0]


if __name__ == "__main__":
    sys.exit(main())
