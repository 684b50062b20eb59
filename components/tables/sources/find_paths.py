"""The paths that `data.path` means: packages, globs, folders, spans."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from taxiway.components.errors import DataError, suggest_matches
from taxiway.components.files import patterns
from taxiway.components.files.object_stores import ObjectFolder, is_object_url
from taxiway.components.tables.config import PACKAGE_PREFIX, SPAN_PLACEHOLDER
from taxiway.components.tables.sources.open_files import import_gfile, is_remote, translate_store_errors
from taxiway.components.tables.sources.remote_addresses import list_remote_files


def resolve_pattern(path: str) -> str:
    """The pattern on this machine: `package://` names are looked up without importing the package."""
    if not path.startswith(PACKAGE_PREFIX):
        return path if is_remote(path) or not path.startswith("~") else _expand_home(path)
    package, _, inner = path.removeprefix(PACKAGE_PREFIX).partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            f"data.path {path!r}: there is no installed package {package!r}.",
            f"Install it (pip install {package}), or give the path of a file, a folder or a glob.",
        )
    return f"{patterns.quote_name(next(iter(spec.submodule_search_locations)))}/{inner}"


def _expand_home(path: str) -> str:
    home, separator, rest = path.partition("/")
    return f"{patterns.quote_name(Path(home).expanduser())}{separator}{rest}"


def prefer_literal_name(pattern: str) -> str:
    """A name that holds `[`, `*` or `{SPAN}` is a name first, where there is such a file or folder."""
    for name in (pattern, patterns.unquote_pattern(pattern)):
        if Path(name).exists():
            return patterns.quote_name(name)
    return pattern


ROOT_MARK = ".run.lock"
"""A folder that holds it is a root of runs, `taxiway-root` for example."""
NO_DATA = frozenset({".yaml", ".yml", ".pbtxt", ".py", ".pyc"})
"""What a configuration's folder holds beside the data."""


def group_by_span(pattern: str) -> dict[int, list[str]]:
    """Paths by span; without `{SPAN}` all are of span 0."""
    spans: dict[int, list[str]] = {}
    matcher = _compile_span_pattern(pattern)
    for path in _expand_glob(pattern.replace(SPAN_PLACEHOLDER, "*")):
        match = matcher.match(path)
        if match or SPAN_PLACEHOLDER not in pattern:
            span = int(match["span"]) if match and SPAN_PLACEHOLDER in pattern else 0
            spans.setdefault(span, []).extend(_list_folder(path))
    return spans


def _compile_span_pattern(pattern: str) -> re.Pattern[str]:
    """A pattern whose group `span` is the number; a second `{SPAN}` must be the same text."""
    first, *rest = (patterns.build_regex(part) for part in pattern.rstrip("/").split(SPAN_PLACEHOLDER))
    if not rest:
        return re.compile(first)
    return re.compile(first + r"(?P<span>\d+)" + r"(?P=span)".join(rest) + r"\Z")


def _expand_glob(pattern: str) -> list[str]:
    if is_remote(pattern):
        return list_remote_files(pattern)
    # A glob means files of rows: `_SUCCESS` is no such file, unless the pattern asks for such names.
    return [p for p in patterns.find_paths(pattern) if Path(p).name[0] not in "._" or Path(pattern).name[:1] in "._"]


def _list_folder(path: str) -> list[str]:
    """The path itself, or the files of a folder that are data.

    Hidden ones (`.x`, `_SUCCESS`) are not, nor the configuration with its schema and code, nor a root of runs.
    """
    if is_object_url(path):
        with translate_store_errors(path):
            names_below = ObjectFolder(path).list_names()
        return sorted(f"{path.rstrip('/')}/{n}" for n in names_below if _is_data_file(Path(n))) or [path]
    if is_remote(path):
        names = import_gfile().listdir(path) if import_gfile().isdir(path) else None
        return [path] if names is None else sorted(f"{path.rstrip('/')}/{n}" for n in names if _is_data_file(Path(n)))
    folder = Path(path)
    if not folder.is_dir():
        return [path]
    roots = {lock.parent for lock in folder.rglob(ROOT_MARK)}
    paths = (p for p in folder.rglob("*") if p.is_file() and roots.isdisjoint(p.parents))
    return sorted(str(p) for p in paths if _is_data_file(p.relative_to(folder)))


def _is_data_file(path: Path) -> bool:
    return not any(part[0] in "._" for part in path.parts) and path.suffix.lower() not in NO_DATA


def choose_spans(spans: dict[int, list[str]], wanted: str, path: str) -> list[int]:
    available = sorted(span for span, paths in spans.items() if paths)
    if not available or wanted == "all":
        return available
    if wanted == "latest":
        return available[-1:]
    first, _, last = wanted.partition("..")
    chosen = [span for span in available if int(first) <= span <= int(last or first)]
    if not chosen:
        raise DataError(
            f"data.spans is {wanted}, but {path!r} has no such span.",
            f"There are: {', '.join(map(str, available[-20:]))}. Accepted are latest, all, a number, or a range 3..7.",
        )
    return chosen


def make_missing_files_error(path: str, pattern: str) -> DataError:
    where = "" if pattern == path else f" (that is {patterns.unquote_pattern(pattern)})"
    folder = Path(patterns.unquote_pattern(pattern).split("*")[0].split("{")[0]).parent
    siblings = [p.name for p in folder.iterdir()] if not is_remote(pattern) and folder.is_dir() else []
    offer = suggest_matches(Path(pattern).name, siblings) if siblings else ""
    return DataError(
        f"data.path {patterns.unquote_pattern(path)!r}{where}: no such file, or a folder or glob without files.",
        f"Give a file, a folder, a glob, or package://PACKAGE/FILE. {offer}".rstrip(),
    )
