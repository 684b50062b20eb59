"""`taxiway run` in which only what judges can read the split `test`: `python -m tests.e2e.guarded ARGUMENTS...`.

While any other node runs, every file of that split holds garbage, under the same name and with the same length.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tfx.orchestration.local import runner_utils  # noqa: F401 - TFX before anything patches it

from taxiway.components.contract import TEST_SPLIT
from taxiway.components.tables.examples.shards import COLUMNS_PREFIX, SPLIT_PREFIX
from taxiway.pipeline import cli
from taxiway.pipeline.runs.launching import runners

JUDGES = ("Evaluator", "OptimizedEvaluator", "ModelExplainer")
GUARDED_FILE = "guarded.txt"
"""In the root: a line for each node that ran while the split was unreadable."""


class GuardedHooks:
    """A runner's hooks, with the files of `test` put away while a node runs that must not read them."""

    def __init__(self, hooks, root):
        self._hooks, self._root = hooks, root
        self._kept = root.parent / "kept-test-split"
        self._moved = {}

    def node_started(self, node):
        self._hooks.node_started(node)
        if node not in JUDGES and self._hide():
            with open(self._root / GUARDED_FILE, "a") as file:
                file.write(f"{node}\n")

    def node_finished(self, *end):
        self._restore()
        self._hooks.node_finished(*end)

    def node_failed(self, *end):
        self._restore()
        self._hooks.node_failed(*end)

    def _hide(self):
        """Whether there are files of the split, which now hold garbage."""
        for file in self._list_files():
            kept = self._kept / f"{len(self._moved):04d}"
            kept.parent.mkdir(exist_ok=True)
            size = file.stat().st_size
            file.rename(kept)  # a rename keeps the time by which digests know an unchanged file
            file.write_bytes(b"?" * size)
            self._moved[file] = kept
        return bool(self._moved)

    def _list_files(self):
        """Files below any folder of an artifact that has the split's name: records and columns, raw or transformed."""
        folders = [f"{prefix}{TEST_SPLIT}" for prefix in (SPLIT_PREFIX, COLUMNS_PREFIX)]
        return [file for name in folders for file in self._root.glob(f"artifacts/**/{name}/**/*") if file.is_file()]

    def _restore(self):
        for file, kept in self._moved.items():
            kept.rename(file)
        self._moved.clear()


def main(arguments: list[str]) -> int:
    root = Path(arguments[arguments.index("--root") + 1])
    run = runners.run_compiled
    runners.run_compiled = lambda ir, hooks, *options: run(ir, GuardedHooks(hooks, root), *options)
    return cli.run([*arguments, "--set", "resources.concurrency=1"])  # one node at a time sees the split or not


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
