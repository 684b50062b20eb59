"""Which files `data.path` means, how they are written, and the fingerprint of their content. No tfx."""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import importlib.util
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import unquote

from components import patterns
from components.errors import DataError, close_matches
from components.plain_files import check_is_file
from components.tables import content
from components.tables.addresses import check_address, expand_remote
from components.tables.config import PACKAGE_PREFIX, SPAN_PLACEHOLDER, TableConfig

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".tfrecord": "tfrecord",
    ".tfrecords": "tfrecord",
}
COMPRESSIONS = {".gz": "gzip", ".zip": "zip"}
_MAGIC = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip"}
_BLOCK = 1 << 20


@dataclass(frozen=True)
class SourceFile:
    """One file of rows.

    Attributes:
        path: Where it is; local, or a URL that TensorFlow's file system knows (`gs://`).
        format: csv, parquet, jsonl or tfrecord.
        compression: "", gzip or zip.
        span: The number that stood for `{SPAN}`; 0 where the path has none.
        member: The file inside a zip archive.
    """

    path: str
    format: str
    compression: str = ""
    span: int = 0
    member: str = ""

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"{self.path}:{self.member}" if self.member else self.path


@dataclass(frozen=True)
class Fingerprint:
    """The content of the data: the same digest means the same rows, whatever the files' names, order and times."""

    digest: str
    span: int
    files: int
    size_bytes: int


NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""What Hive and Spark call the folder of the rows that have no value."""


def folder_columns(file: SourceFile, data: TableConfig) -> dict[str, str | None]:
    """Columns that the folders just above a file give, `year=2024/region=north/`, as Hive and Spark write them.

    The number of a span, as in `day={SPAN}`, is no column: it would be another one in every run.
    """
    found: dict[str, str | None] = {}
    for folder in reversed(file.path.split("/")[:-1]):
        name, equals, value = folder.partition("=")
        if not (name and equals):
            break
        if f"{name}={SPAN_PLACEHOLDER}" not in data.path:
            found[unquote(name)] = None if value == NO_VALUE else unquote(value)
    return dict(reversed(list(found.items())))


def is_remote(path: str) -> bool:
    """Whether the path is a URL, which TensorFlow's file systems open."""
    return "://" in path and not path.startswith(PACKAGE_PREFIX)


def _gfile() -> Any:
    from tensorflow.io import gfile  # slow to import, and needed for URLs only

    return gfile


def open_binary(path: str) -> IO[bytes]:
    """Opens a local file or a URL for reading.

    Raises:
        DataError: it is a named pipe, a device or a socket.
    """
    if is_remote(path):
        return cast(IO[bytes], _gfile().GFile(path, "rb"))
    check_is_file(path, DataError)
    return open(path, "rb")


def open_archive(path: str) -> zipfile.ZipFile:
    """A zip archive, its directory read once for all members."""
    return _open_archive(path, _identity(path))


def _identity(path: str) -> tuple[int, ...]:
    if is_remote(path):
        found = _gfile().stat(path)
        return (int(found.length), int(found.mtime_nsec))
    local = Path(path).stat()
    return (local.st_dev, local.st_ino, local.st_size, local.st_mtime_ns)


@functools.lru_cache(maxsize=1)
def _open_archive(path: str, identity: tuple[int, ...]) -> zipfile.ZipFile:
    del identity  # of the file; another one under the same name is opened anew
    check_is_file(path, DataError)
    return zipfile.ZipFile(open_binary(path) if is_remote(path) else path)


def list_files(data: TableConfig) -> list[SourceFile]:
    """The files that the configuration means, in the order of their spans and names.

    Raises:
        DataError: nothing is there, formats are mixed or unknown, an archive cannot be read, a span is missing.
    """
    check_address(data.path)
    pattern = locate(data.path)
    pattern = pattern if is_remote(pattern) else _name_first(pattern)
    spans = _by_span(pattern)
    chosen = _choose_spans(spans, data.spans, data.path) if SPAN_PLACEHOLDER in pattern else sorted(spans)
    paths = [path for span in chosen for path in spans[span]]
    if not paths:
        raise _nothing_there(data.path, pattern)
    if data.format == "auto":
        _check_names_tell(paths)
    files = [_describe(path, data, span) for span in chosen for path in spans[span]]
    _check_one_format(files, data.path)
    return [member for file in files for member in _members(file)]


def _check_names_tell(paths: Sequence[str]) -> None:
    """Refuses files whose names do not tell the format beside others whose names do: a README is no table."""
    untold = [path for path in paths if not _name_tells(path)]
    if untold and len(untold) < len(paths):
        raise DataError(
            f"{untold[0]}: the name does not say which format the file has, those of others beside it do.",
            "Use a glob that takes the files of rows alone, or set data.format (init --format).",
        )


def _name_tells(path: str) -> bool:
    suffixes = [s.lower() for s in Path(path).suffixes]
    return any(suffix in FORMATS or suffix == ".zip" for suffix in suffixes[-2:])


def locate(path: str) -> str:
    """The pattern on this machine: `package://` names are looked up without importing the package."""
    if not path.startswith(PACKAGE_PREFIX):
        return path if is_remote(path) or not path.startswith("~") else _at_home(path)
    package, _, inner = path.removeprefix(PACKAGE_PREFIX).partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            f"data.path {path!r}: there is no installed package {package!r}.",
            f"Install it (pip install {package}), or give the path of a file, a folder or a glob.",
        )
    return f"{patterns.quote(next(iter(spec.submodule_search_locations)))}/{inner}"


def _at_home(path: str) -> str:
    home, separator, rest = path.partition("/")
    return f"{patterns.quote(Path(home).expanduser())}{separator}{rest}"


def _name_first(pattern: str) -> str:
    """A name that holds `[`, `*` or `{SPAN}` is a name first, where there is such a file or folder."""
    for name in (pattern, patterns.unquote(pattern)):
        if Path(name).exists():
            return patterns.quote(name)
    return pattern


ROOT_MARK = ".run.lock"
"""A folder that holds it is a root of runs, `taxiway-root` for example."""
NO_DATA = frozenset({".yaml", ".yml", ".pbtxt", ".py", ".pyc"})
"""What a configuration's folder holds beside the data."""


def _by_span(pattern: str) -> dict[int, list[str]]:
    """Paths by span; without `{SPAN}` all are of span 0."""
    spans: dict[int, list[str]] = {}
    matcher = _span_matcher(pattern)
    for path in _expand(pattern.replace(SPAN_PLACEHOLDER, "*")):
        match = matcher.match(path)
        if match or SPAN_PLACEHOLDER not in pattern:
            span = int(match["span"]) if match and SPAN_PLACEHOLDER in pattern else 0
            spans.setdefault(span, []).extend(_inside(path))
    return spans


def _span_matcher(pattern: str) -> re.Pattern[str]:
    """A pattern whose group `span` is the number; a second `{SPAN}` must be the same text."""
    first, *rest = (patterns.regex(part) for part in pattern.rstrip("/").split(SPAN_PLACEHOLDER))
    if not rest:
        return re.compile(first)
    return re.compile(first + r"(?P<span>\d+)" + r"(?P=span)".join(rest) + r"\Z")


def _expand(pattern: str) -> list[str]:
    if is_remote(pattern):
        return expand_remote(pattern)
    # A glob means rows: `_SUCCESS` is none, unless the pattern asks for such names.
    return [p for p in patterns.find(pattern) if Path(p).name[0] not in "._" or Path(pattern).name[:1] in "._"]


def _inside(path: str) -> list[str]:
    """The path itself, or the files of a folder that are data.

    Hidden ones (`.x`, `_SUCCESS`) are not, nor the configuration with its schema and code, nor a root of runs.
    """
    if is_remote(path):
        names = _gfile().listdir(path) if _gfile().isdir(path) else None
        return [path] if names is None else sorted(f"{path.rstrip('/')}/{n}" for n in names if _is_data(Path(n)))
    folder = Path(path)
    if not folder.is_dir():
        return [path]
    roots = {lock.parent for lock in folder.rglob(ROOT_MARK)}
    found = (p for p in folder.rglob("*") if p.is_file() and roots.isdisjoint(p.parents))
    return sorted(str(p) for p in found if _is_data(p.relative_to(folder)))


def _is_data(path: Path) -> bool:
    return not any(part[0] in "._" for part in path.parts) and path.suffix.lower() not in NO_DATA


def _choose_spans(spans: dict[int, list[str]], wanted: str, path: str) -> list[int]:
    known = sorted(span for span, paths in spans.items() if paths)
    if not known or wanted == "all":
        return known
    if wanted == "latest":
        return known[-1:]
    first, _, last = wanted.partition("..")
    chosen = [span for span in known if int(first) <= span <= int(last or first)]
    if not chosen:
        raise DataError(
            f"data.spans is {wanted}, but {path!r} has no such span.",
            f"There are: {', '.join(map(str, known[-20:]))}. Accepted are latest, all, a number, or a range 3..7.",
        )
    return chosen


def _nothing_there(path: str, pattern: str) -> DataError:
    where = "" if pattern == path else f" (that is {patterns.unquote(pattern)})"
    folder = Path(patterns.unquote(pattern).split("*")[0].split("{")[0]).parent
    siblings = [p.name for p in folder.iterdir()] if not is_remote(pattern) and folder.is_dir() else []
    offer = close_matches(Path(pattern).name, siblings) if siblings else ""
    return DataError(
        f"data.path {patterns.unquote(path)!r}{where}: no such file, or a folder or glob without files.",
        f"Give a file, a folder, a glob, or package://PACKAGE/FILE. {offer}".rstrip(),
    )


def _describe(path: str, data: TableConfig, span: int) -> SourceFile:
    """Format by configuration, name or content; compression by the first bytes, because names lie."""
    compression = _compression(path)
    suffixes = [s.lower() for s in Path(path).suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        _check_compression(path, suffixes.pop(), compression)
    known = data.format if data.format != "auto" else FORMATS.get(suffixes[-1] if suffixes else "")
    start = b"" if compression == "zip" else _decompressed_start(path, compression)
    _refuse(content.foreign(start, path, told=data.format != "auto"), path)
    if known is None and compression != "zip":
        known = content.format_of(start)
    if known == "":
        raise DataError(
            f"{path}: neither its name nor its content says which format the file has.",
            "Set data.format (init --format) to csv, parquet, jsonl or tfrecord, or use one of the endings "
            f"{', '.join(FORMATS)} (and .gz or .zip after them).",
        )
    return SourceFile(path, known or "csv", compression, span)


def _decompressed_start(path: str, compression: str) -> bytes:
    with contextlib.suppress(OSError, EOFError, zlib.error), open_binary(path) as raw:
        if compression != "gzip":
            return content.read_start(raw)
        with gzip.open(raw) as stream:
            return content.read_start(cast(IO[bytes], stream))
    return b""


def _refuse(found: tuple[str, str] | None, path: str) -> None:
    if found:
        raise DataError(f"{path} is {found[0]}: Taxiway reads csv, Parquet, JSON and TFRecord.", found[1])


def _compression(path: str) -> str:
    try:
        with open_binary(path) as file:
            start = file.read(4)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}.", "Check the path and its rights."
        ) from error
    if not start:
        raise DataError(f"{path} is empty.", "Give a file with rows, or take it out of data.path.")
    return next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), "")


def _check_compression(path: str, suffix: str, found: str) -> None:
    expected = COMPRESSIONS[suffix]
    if expected != found:
        raise DataError(
            f"{path} is named {suffix} but is {f'a {found} file' if found else f'not a {expected} file'}.",
            "Rename it after what it is, or make it again: it may be damaged or half downloaded.",
        )


def _check_one_format(files: list[SourceFile], path: str) -> None:
    formats = {file.format: file.path for file in files}
    if len(formats) > 1:
        listed = "; ".join(f"{kind}: {name}" for kind, name in sorted(formats.items()))
        raise DataError(f"data.path {path!r} holds files of several formats ({listed}).", "Use a glob that takes one.")


def _members(file: SourceFile) -> list[SourceFile]:
    """The files of rows inside a zip archive; other files are themselves."""
    if file.compression != "zip":
        return [file]
    try:
        archive = open_archive(file.path)
        document = content.foreign_archive(archive)
        infos = [i for i in archive.infolist() if not i.is_dir() and not _is_hidden(i.filename)]
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise DataError(f"{file.path} is not a readable zip archive: {error}.", "Make it again.") from error
    _refuse(document, file.path)
    if any(info.flag_bits & 1 for info in infos):
        raise DataError(f"{file.path} is encrypted.", "Give an archive without a password.")
    named = [i.filename for i in infos if FORMATS.get(Path(i.filename).suffix.lower()) == file.format]
    names = sorted(named or [i.filename for i in infos])
    if not names:
        raise DataError(f"{file.path} holds no files.", "Give an archive with at least one file of rows.")
    return [SourceFile(file.path, file.format, "zip", file.span, name) for name in names]


def _is_hidden(name: str) -> bool:
    return any(part[:1] in "._" and part != ".." for part in Path(name).parts)


def fingerprint(data: TableConfig) -> Fingerprint:
    """Digest of the content of the files that `data` means.

    It reads every byte: size and modification time say nothing about a file written again within a second. Names and
    times do not count, so that a moved or touched file is the same data.

    Raises:
        DataError: as `list_files`.
    """
    files = list_files(data)
    paths = sorted({file.path for file in files})
    digests, size = [], 0
    for path in paths:
        digest, length = _digest(path)
        digests.append(f"{files[0].format} {digest}")
        size += length
    whole = hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()
    return Fingerprint(whole[:32], max(file.span for file in files), len(paths), size)


def _digest(path: str) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    for block in _blocks(path):
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size


def _blocks(path: str) -> Iterator[bytes]:
    try:
        with open_binary(path) as file:
            while block := file.read(_BLOCK):
                yield block
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}.", "Check the path and its rights."
        ) from error


def names(files: Iterable[SourceFile]) -> str:
    """The first few files, for a message."""
    listed = [file.name for file in files]
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return ", ".join(listed[:3]) + more
