"""Which files of rows the configuration means. No tfx."""

from __future__ import annotations

from collections.abc import Sequence

from taxiway.components.errors import DataError
from taxiway.components.tables.config import SPAN_PLACEHOLDER, TableConfig
from taxiway.components.tables.sources.find_paths import (
    choose_spans,
    group_by_span,
    make_missing_files_error,
    prefer_literal_name,
    resolve_pattern,
)
from taxiway.components.tables.sources.inspect_file import has_known_suffix, inspect_file, list_members
from taxiway.components.tables.sources.open_files import is_remote
from taxiway.components.tables.sources.remote_addresses import check_address
from taxiway.components.tables.sources.source_file import SourceFile


def select_source_files(data: TableConfig) -> list[SourceFile]:
    """The files that the configuration means, in the order of their spans and names.

    Raises:
        DataError: nothing is there, formats are mixed or unknown, an archive cannot be read, a span is missing.
    """
    check_address(data.path)
    pattern = resolve_pattern(data.path)
    pattern = pattern if is_remote(pattern) else prefer_literal_name(pattern)
    spans = group_by_span(pattern)
    chosen = choose_spans(spans, data.spans, data.path) if SPAN_PLACEHOLDER in pattern else sorted(spans)
    paths = [path for span in chosen for path in spans[span]]
    if not paths:
        raise make_missing_files_error(data.path, pattern)
    if data.format == "auto":
        _check_known_suffixes(paths)
    files = [inspect_file(path, data, span) for span in chosen for path in spans[span]]
    _check_one_format(files, data.path)
    return [member for file in files for member in list_members(file)]


def _check_known_suffixes(paths: Sequence[str]) -> None:
    """Refuses files whose names do not tell the format beside others whose names do: a README is no table."""
    untold = [path for path in paths if not has_known_suffix(path)]
    if untold and len(untold) < len(paths):
        raise DataError(
            f"{untold[0]}: the name does not say which format the file has, those of others beside it do.",
            "Use a glob that takes the files of rows alone, or set data.format (init --format).",
        )


def _check_one_format(files: list[SourceFile], path: str) -> None:
    formats = {file.format: file.path for file in files}
    if len(formats) > 1:
        listed = "; ".join(f"{kind}: {name}" for kind, name in sorted(formats.items()))
        raise DataError(f"data.path {path!r} holds files of several formats ({listed}).", "Use a glob that takes one.")
