"""Patterns of files: `*`, `?`, `[...]`, and `{SPAN}` in `data.path`; what is only a name is quoted before it joins one.

A special character stands for itself in brackets, as in `[*]` or `[{]SPAN}`. Python's glob, TensorFlow's file systems,
Beam and fnmatch all read that alike. Neither TensorFlow nor Beam is imported unless it is asked for.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SPAN_PLACEHOLDER = "{SPAN}"
UNREADABLE = ("[", "\\")
"""What TensorFlow takes for a pattern even where it reads its own checkpoints: no model loads from such a path."""
_SPECIAL = re.compile(r"[*?[]|\{(?=SPAN\})")
_QUOTED = re.compile(r"\[([*?[{])\]")
_TOKENS = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^]]*\]|.", re.DOTALL)
_WILD = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def quote(name: str | Path) -> str:
    """The pattern that means this name and no other."""
    return _SPECIAL.sub(lambda found: f"[{found[0]}]", str(name))


def unquote(pattern: str) -> str:
    """The name that a quoted pattern means; other patterns come back as people wrote them."""
    return _QUOTED.sub(r"\1", pattern)


def names_first(pattern: str) -> str:
    """The same pattern, quoted as far as it is the name of what is there: `rows[1]/*` where a folder is called so."""
    if Path(pattern).exists():
        return quote(pattern)
    folder, separator, rest = pattern.rpartition("/")
    while folder and not os.path.isdir(folder):  # noqa: PTH112 - a pattern is no path yet
        folder, separator, more = folder.rpartition("/")
        rest = f"{more}/{rest}"
    return f"{quote(folder)}{separator}{rest}"


def regex(pattern: str) -> str:
    """A regular expression for the paths that a pattern without `{SPAN}` means."""
    return "".join(map(_translate, _TOKENS.findall(pattern)))


def _translate(token: str) -> str:
    if token in _WILD:
        return _WILD[token]
    if len(token) == 1:
        return re.escape(token)
    inside = re.sub(r"([\\\[&~|^])", r"\\\1", token[2:-1] if token[1] == "!" else token[1:-1])
    return f"[^/{inside}]" if token[1] == "!" else f"[{inside}]"


def matches(pattern: str, path: str) -> bool:
    """Whether a path is one that the pattern means; `{SPAN}` stands for any number."""
    parts = pattern.split(SPAN_PLACEHOLDER)
    return bool(re.fullmatch(r"\d+".join(map(regex, parts)), path, re.DOTALL))


def find(pattern: str) -> list[str]:
    """The local paths that are there, sorted."""
    return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  (Path.glob refuses absolute patterns)


def read_names_first() -> None:
    """Has Beam, in this process, take local names for names before it takes them for patterns.

    Beam reads TFX's artifacts by `<folder>/*`, and deletes what a file's name matches before it writes there. Below a
    root called `run?` that would reach into `run1` beside it.
    """
    from apache_beam.io import localfilesystem

    system = localfilesystem.LocalFileSystem
    original = getattr(system.match, "original", system.match)

    def match(self: Any, patterns: list[str], limits: list[int | None] | None = None) -> Any:
        odd = [any(special in pattern.rpartition("/")[0] for special in "*?[") for pattern in patterns]
        if not any(odd):
            return original(self, patterns, limits)
        return [_match(self, p, n) for p, n in zip(patterns, limits or [None] * len(patterns), strict=True)]

    match.original = original  # type: ignore[attr-defined]
    system.match = match


def _match(system: Any, pattern: str, limit: int | None) -> Any:
    from apache_beam.io.filesystem import FileMetadata, MatchResult

    pattern = f"{pattern}*" if pattern.endswith("/") else pattern
    named = [pattern] if os.path.exists(pattern) else []  # noqa: PTH110 - also a folder, which Beam means to delete
    files = named or [path for path in _below(names_first(pattern)) if os.path.isfile(path)]  # noqa: PTH113
    found = [FileMetadata(path, os.path.getsize(path), os.path.getmtime(path)) for path in files]  # noqa: PTH202,PTH204
    return MatchResult(pattern, found[:limit])


def _below(pattern: str) -> Iterator[str]:
    """As `find`, and files with a dot before their name, which Beam's own temporary files have."""
    folder, _, last = pattern.rpartition("/")
    if "**" in pattern:
        yield from find(pattern)
        return
    name = re.compile(regex(last), re.DOTALL)
    for place in find(folder or "."):
        if os.path.isdir(place):  # noqa: PTH112
            yield from (os.path.join(place, n) for n in sorted(os.listdir(place)) if name.fullmatch(n))  # noqa: PTH118,PTH208
