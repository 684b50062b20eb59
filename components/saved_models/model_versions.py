"""What TensorFlow Serving takes for a version, and which one is live. Used by serving, the baseline, the pipeline.

A version is any child of the serving directory whose name parses as an integer; `007` equals `7`. Live is the highest
number, because that is what TensorFlow Serving serves by default. Reading takes no lock: a version appears and goes
with one rename.
"""

from __future__ import annotations

import re
from pathlib import Path

from taxiway.components.errors import ServingError

_INTEGER = re.compile(r"[ \t\n\v\f\r]*[+-]?[0-9]+[ \t\n\v\f\r]*", re.ASCII)
_INT64 = 2**63
MAX_VERSION = _INT64 - 1
"""The highest number that TensorFlow Serving reads."""


def parse_version(name: str) -> int | None:
    """The number that TensorFlow Serving reads in a folder's name (`absl::SimpleAtoi` on 64 bits), or None."""
    if not _INTEGER.fullmatch(name):
        return None
    number = int(name)
    return number if -_INT64 <= number < _INT64 else None


def list_version_folders(base: str | Path) -> dict[int, Path]:
    """The versions in a serving directory, by number, ascending. Empty where there is no such directory.

    Of two names for one number the alphabetically last counts, as in TensorFlow Serving.
    """
    try:
        children = sorted(Path(base).iterdir(), key=lambda child: child.name)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    folders = {}
    for child in children:
        number = parse_version(child.name)
        if number is not None:
            folders[number] = child
    return dict(sorted(folders.items()))


def choose_version(base: str | Path, number: int | None = None) -> tuple[int, Path]:
    """Number and folder of a version.

    Args:
        base: The serving directory.
        number: Number of the version; None: the live one.

    Raises:
        ServingError: There is none of that number, or none at all.
    """
    folders = list_version_folders(base)
    if number is None and not folders:
        raise ServingError(f"{base} has no version.", "Push one first: taxiway run.")
    chosen = max(folders) if number is None else number
    if chosen not in folders:
        present = ", ".join(map(str, folders)) or "none"
        raise ServingError(f"{base} has no version {chosen}.", f"Present: {present}.")
    return chosen, folders[chosen]


def find_live_version(base: str | Path) -> tuple[int, Path] | None:
    """Number and folder of the live version, or None where nothing was ever pushed."""
    folders = list_version_folders(base)
    return max(folders.items()) if folders else None


def explain_misleading_names(base: str | Path) -> list[str]:
    """A sentence for each name in a serving directory that a person may take for another version than the server does.

    Names that look like numbers and are none for TensorFlow Serving (`1_000`, digits of other scripts, more than 64
    bits), and several names for one number.
    """
    try:
        names = sorted(child.name for child in Path(base).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    notes = [
        f"{name!r} is no version: TensorFlow Serving reads no number in it." for name in names if _is_misleading(name)
    ]
    for number, path in list_version_folders(base).items():
        others = [name for name in names if name != path.name and parse_version(name) == number]
        if others:
            notes.append(f"Version {number} is the folder {path.name!r}; {', '.join(map(repr, others))} is not served.")
    return notes


def _is_misleading(name: str) -> bool:
    if parse_version(name) is not None:
        return False
    try:
        int(name)
    except ValueError:
        return False
    return True
