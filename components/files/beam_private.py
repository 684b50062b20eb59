"""What is changed in Apache Beam: its local file system reads names as names. Beam is imported when it is asked for.

Where a release of Beam has moved what is changed, `patch_beam_matching` raises a `TaxiwayError` that says so;
`tests/components/files/test_beam_private.py` finds it before users do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

from taxiway.components.errors import TaxiwayError
from taxiway.components.files import patterns
from taxiway.components.stack_seam import name_lock


def patch_beam_matching() -> None:
    """Makes Beam, in this process, take local names for names before it takes them for patterns. Again is harmless.

    Beam reads TFX's artifacts by `<folder>/*`, and deletes what a file's name matches before it writes there. Below a
    root called `run?` that would reach into `run1` beside it.

    Missing in Beam's public API: a way to quote a name. `FileSystems.match` takes every path for a pattern, and a file
    system of our own would need a scheme of its own, which TFX's paths do not have.

    Raises:
        TaxiwayError: Beam's local file system is another one.
    """
    system = _find_local_system()
    original = getattr(system.match, "original", system.match)

    def match_paths(self: Any, patterns: list[str], limits: list[int | None] | None = None) -> Any:
        odd = [any(special in pattern.rpartition("/")[0] for special in "*?[") for pattern in patterns]
        if not any(odd):
            return original(self, patterns, limits)
        return [_match_name_first(self, p, n) for p, n in zip(patterns, limits or [None] * len(patterns), strict=True)]

    match_paths.original = original  # type: ignore[attr-defined]
    system.match = match_paths


def _match_name_first(system: Any, pattern: str, limit: int | None) -> Any:
    from apache_beam.io.filesystem import FileMetadata, MatchResult

    pattern = f"{pattern}*" if pattern.endswith("/") else pattern
    named = [pattern] if os.path.exists(pattern) else []  # noqa: PTH110 - also a folder, which Beam means to delete
    files = named or [path for path in _find_with_hidden(patterns.quote_existing_part(pattern)) if os.path.isfile(path)]  # noqa: PTH113
    matches = [FileMetadata(path, os.path.getsize(path), os.path.getmtime(path)) for path in files]  # noqa: PTH202,PTH204
    return MatchResult(pattern, matches[:limit])


def _find_with_hidden(pattern: str) -> Iterator[str]:
    """As `find_paths`, and files with a dot before their name, which Beam's own temporary files have."""
    folder, _, last = pattern.rpartition("/")
    if "**" in pattern:
        yield from patterns.find_paths(pattern)
        return
    name = re.compile(patterns.build_regex(last), re.DOTALL)
    for place in patterns.find_paths(folder or "."):
        if os.path.isdir(place):  # noqa: PTH112
            yield from (os.path.join(place, n) for n in sorted(os.listdir(place)) if name.fullmatch(n))  # noqa: PTH118,PTH208


def _find_local_system() -> Any:
    try:
        from apache_beam.io.localfilesystem import LocalFileSystem

        _ = LocalFileSystem.match
        return LocalFileSystem
    except (ImportError, AttributeError) as error:
        raise TaxiwayError(
            f"This Apache Beam has no local file system that matches patterns ({error}).",
            f"Install the version that this Taxiway was made for ({name_lock()}), or adapt "
            "taxiway/components/files/beam_private.py to this one.",
        ) from error
