"""The roots that the pages show, by the short names of their addresses."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from taxiway.components.errors import UsageError
from taxiway.pipeline.root import Root
from taxiway.pipeline.serving.versions import list_models
from taxiway.pipeline.tracking.history import has_recorded_run

_RESERVED = frozenset({"static", "login"})
"""First parts of other addresses."""


@dataclass(frozen=True)
class ShownRoot:
    """A root and its name in addresses."""

    name: str
    root: Root

    @property
    def is_empty(self) -> bool:
        """Whether no run is recorded under it yet, and no version was pushed; it may not exist.

        Folders alone are nothing yet: a run makes them before its first record.

        Raises:
            StoreError: `metadata.db` is damaged or lost.
            OSError: A folder cannot be read.
        """
        return not (list_models(self.root) or has_recorded_run(self.root))

    @property
    def fill_command(self) -> str:
        """What makes the first run under it."""
        return f"taxiway run --root {shlex.quote(str(self.root.path))}"


def name_roots(paths: Iterable[str | Path]) -> Mapping[str, ShownRoot]:
    """The roots by name: of their folder, numbered where several folders are called the same.

    A root need not exist: its first run makes it.

    Raises:
        UsageError: It is no folder, or one that cannot be read.
    """
    named: dict[str, ShownRoot] = {}
    for root in dict.fromkeys(Root.at(path) for path in paths):
        _check_readable(root.path)
        name = _choose_name(root.path.name, named)
        named[name] = ShownRoot(name, root)
    return named


def _check_readable(path: Path) -> None:
    try:
        next(path.iterdir(), None)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(
            f"{path} cannot be shown: {error.strerror or error}.",
            "Name a folder that this user may read: the --root of runs, or one that the first run will make.",
        ) from error


def _choose_name(folder: str, taken: Mapping[str, ShownRoot]) -> str:
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", folder).strip("-") or "root"
    names = (plain, *(f"{plain}-{number}" for number in range(2, len(taken) + 4)))
    return next(name for name in names if name not in taken and name not in _RESERVED)
