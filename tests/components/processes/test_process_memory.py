"""Memory of processes, one limit for a group of them, and which processes there are."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from taxiway.components.optimizer.building import fork
from taxiway.components.processes import process_memory
from taxiway.components.processes.process_memory import (
    GroupMemory,
    measure_proportional_bytes,
    measure_resident_bytes,
)


def start_holder(megabytes):
    """A child that holds so much memory until it gets a line."""
    code = f"block = bytearray(b'x' * {megabytes}_000_000); print('ready', flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"ready\n"
    return child


def hold_two_below_a_limit():
    """Two children that pass a limit together, of which the larger ends: what the group says of them."""
    alone = measure_proportional_bytes(process_memory.list_processes())
    children = [start_holder(120), start_holder(160)]
    try:
        memory = GroupMemory(alone + 220e6)
        said = [
            memory.is_exceeded(),
            memory.find_largest_child() == children[1].pid,
            GroupMemory(alone + 700e6).is_exceeded(),
        ]
        children[1].communicate(b"\n", timeout=60)
        return [*said, memory.is_exceeded()]
    finally:
        for child in children:
            child.kill()
            child.wait()


def test_one_limit_holds_for_a_process_and_its_children_together():
    """Each of two children is below a limit that both together pass; the larger is named, and its end is seen."""
    # In a process of its own: this one may have children of other tests, of which one is the largest.
    held = asyncio.run(fork.run_fork(hold_two_below_a_limit, 250))
    assert held.ok and held.value == [True, True, False, False], held


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="the kernel knows no proportional sizes")
def test_a_page_that_processes_share_counts_once():
    code = (
        "import os; block = bytearray(b'x' * 150_000_000); pid = os.fork(); "
        "os.read(0, 1) if pid == 0 else (print('ready', flush=True), os.waitpid(pid, 0))"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"ready\n"
    both = [psutil.Process(child.pid), *psutil.Process(child.pid).children()]
    resident, proportional = measure_resident_bytes(both), measure_proportional_bytes(both)
    child.communicate(b"\n", timeout=60)
    assert len(both) == 2 and resident > 300e6 and 150e6 < proportional < 200e6


@pytest.mark.parametrize("lists", [True, False])
def test_children_of_children_are_listed(monkeypatch, lists):
    """By the kernel's lists of children, and by psutil where there are none."""
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout.readline() == b"1\n"
        expected = {os.getpid(), child.pid, *(each.pid for each in psutil.Process(child.pid).children())}
        if not lists:
            monkeypatch.setattr(process_memory, "has_child_lists", lambda _: False)
        assert {process.pid for process in process_memory.list_processes()} >= expected and len(expected) == 3
    finally:
        child.communicate(b"\n", timeout=60)
