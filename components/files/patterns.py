"""File patterns: `*`, `?`, `[...]`, and `{SPAN}` in `data.path`. A name is quoted before it becomes part of a pattern.

A special character stands for itself in brackets, as in `[*]` or `[{]SPAN}`. Python's glob, TensorFlow's file systems,
Beam and fnmatch all read that alike. Neither TensorFlow nor Beam is imported here.
"""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path

SPAN_PLACEHOLDER = "{SPAN}"
UNREADABLE = ("[", "\\")
"""Characters that TensorFlow reads as a pattern even in paths of its own checkpoints: no model loads from there."""
_SPECIAL = re.compile(r"[*?[]|\{(?=SPAN\})")
_QUOTED = re.compile(r"\[([*?[{])\]")
_TOKENS = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^]]*\]|.", re.DOTALL)
_WILD = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def quote_name(name: str | Path) -> str:
    """The pattern that matches this name and no other."""
    return _SPECIAL.sub(lambda found: f"[{found[0]}]", str(name))


def unquote_pattern(pattern: str) -> str:
    """The name that a quoted pattern matches; other patterns are returned unchanged."""
    return _QUOTED.sub(r"\1", pattern)


def quote_existing_part(pattern: str) -> str:
    """Quotes the part of a pattern that names an existing file or folder, such as `rows[1]` in `rows[1]/*`."""
    if Path(pattern).exists():
        return quote_name(pattern)
    folder, separator, rest = pattern.rpartition("/")
    while folder and not os.path.isdir(folder):  # noqa: PTH112 - a pattern is no path yet
        folder, separator, more = folder.rpartition("/")
        rest = f"{more}/{rest}"
    return f"{quote_name(folder)}{separator}{rest}"


def build_regex(pattern: str) -> str:
    """A regular expression for the paths that a pattern without `{SPAN}` matches."""
    return "".join(map(_translate_token, _TOKENS.findall(pattern)))


def _translate_token(token: str) -> str:
    if token in _WILD:
        return _WILD[token]
    if len(token) == 1:
        return re.escape(token)
    inside = re.sub(r"([\\\[&~|^])", r"\\\1", token[2:-1] if token[1] == "!" else token[1:-1])
    return f"[^/{inside}]" if token[1] == "!" else f"[{inside}]"


def matches_path(pattern: str, path: str) -> bool:
    """Whether a path matches the pattern; `{SPAN}` stands for any number."""
    parts = pattern.split(SPAN_PLACEHOLDER)
    return bool(re.fullmatch(r"\d+".join(map(build_regex, parts)), path, re.DOTALL))


def find_paths(pattern: str) -> list[str]:
    """The existing local paths that match, sorted."""
    return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  (Path.glob refuses absolute patterns)
