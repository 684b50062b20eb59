"""What the processes of a run do, and when: one JSON line a span, in the file that an environment variable names.

`taxiway run --profile` sets the variable, children inherit it. Where it is not set nothing is recorded, nothing is
wrapped, and `record_phase` costs a look into the environment.
"""

from __future__ import annotations

import builtins
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from taxiway.components.processes import tensorflow_private

FILE_VARIABLE = "TAXIWAY_PROFILE_FILE"
COMPONENT_VARIABLE = "TAXIWAY_PROFILE_COMPONENT"
RUN = "run"
"""The component of what belongs to no node: the start, the plan, the report."""
Phase = Literal["import", "read", "trace", "compile", "execute", "write"]
SHORTEST_SECONDS = 0.003
"""Imports and traces below this are not worth a line."""

_here = threading.local()


@dataclass
class OpenSpan:
    """A span that goes on; its phase may be changed until it ends, when what happened is known."""

    phase: Phase


@contextlib.contextmanager
def record_phase(phase: Phase, what: str, component: str = "") -> Iterator[OpenSpan]:
    """Records what the block does.

    Args:
        phase: Kind of the work.
        what: Words for the timeline, such as `open the training rows`.
        component: Node id; by default that of `enter_component`, here or in the process that started this one.
    """
    span, started = OpenSpan(phase), time.time()
    try:
        yield span
    finally:
        write_span(span.phase, what, started, time.time(), component)


def write_span(phase: Phase, what: str, started: float, ended: float, component: str = "") -> None:
    """Appends one span; times are seconds since 1970."""
    path = os.environ.get(FILE_VARIABLE)
    if not path:
        return
    span = {"process": os.getpid(), "program": _name_program(), "component": component or find_component()}
    _append_line(path, {**span, "phase": phase, "what": what, "start": started, "end": ended})


def record_packages() -> None:
    """Records the packages that this process has imported until now."""
    path = os.environ.get(FILE_VARIABLE)
    if path:
        names = {name.partition(".")[0] for name, module in list(sys.modules.items()) if module is not None}
        packages = sorted(names - set(sys.stdlib_module_names))  # a module that is None is one that may not be imported
        _append_line(path, {"process": os.getpid(), "program": _name_program(), "packages": packages})


def _append_line(path: str, content: dict[str, Any]) -> None:
    with open(path, "a", encoding="utf-8") as out:  # O_APPEND: short lines from several processes stay whole
        out.write(json.dumps(content) + "\n")


def _name_program() -> str:
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    return str(spec.name if spec else Path(sys.argv[0] or "python").name)


@contextlib.contextmanager
def enter_component(component: str) -> Iterator[None]:
    """Spans of this thread, and of the children that it starts, belong to this component."""
    before = getattr(_here, "component", "")
    _here.component = component
    try:
        yield
    finally:
        _here.component = before


def find_component() -> str:
    """The component that this thread works for."""
    return getattr(_here, "component", "") or os.environ.get(COMPONENT_VARIABLE, "") or RUN


def name_component_for_child() -> dict[str, str]:
    """The variable by which a child knows its component; empty where nothing is recorded."""
    return {COMPONENT_VARIABLE: find_component()} if os.environ.get(FILE_VARIABLE) else {}


def watch_process() -> None:
    """Records the start of this process, and its imports and traces from here on."""
    import psutil

    write_span("import", "Python starts", psutil.Process().create_time(), time.time())
    time_imports()


def time_imports() -> None:
    """Records imports and traces until `stop_watching`."""
    if not isinstance(builtins.__import__, _TimedImport):
        builtins.__import__ = _TimedImport(builtins.__import__)


def stop_watching() -> None:
    """Undoes `time_imports`."""
    if isinstance(builtins.__import__, _TimedImport):
        builtins.__import__ = builtins.__import__.original


class _TimedImport:
    """Python's `__import__`, which records each import that is not inside of another one."""

    def __init__(self, original: Callable[..., Any]) -> None:
        self.original = original

    def __call__(self, name: str, *arguments: Any, **more: Any) -> Any:
        if getattr(_here, "importing", False):
            return self.original(name, *arguments, **more)
        _here.importing, started = True, time.time()
        try:
            return self.original(name, *arguments, **more)
        finally:
            _here.importing = False
            ended = time.time()
            if ended - started >= SHORTEST_SECONDS:
                write_span("import", name, started, ended)
                tensorflow_private.watch_traces(_record_trace)


def _record_trace(name: str, started: float, ended: float) -> None:
    if ended - started >= SHORTEST_SECONDS:
        write_span("trace", name, started, ended)
