"""The number of cores goes by what the scheduler gives, not by what the machine has."""

import os

from taxiway.components.processes import usable_cores


def test_cores_that_are_not_given_do_not_count(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 3}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert usable_cores.count_usable_cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores.count_usable_cores() == 64
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores.count_usable_cores() == 1
