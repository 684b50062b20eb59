"""`taxiway init`: inspects a table and writes a configuration for it. No tfx is imported."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from taxiway.components.contract import Task
from taxiway.components.errors import ConfigError, DataError, UsageError, suggest_matches
from taxiway.components.example_gen.config import DataConfig
from taxiway.components.files.durable_files import replace_file
from taxiway.components.files.patterns import quote_name
from taxiway.components.tables.config import PACKAGE_PREFIX, SPAN_PLACEHOLDER, CsvConfig, Format
from taxiway.components.tables.readers.bad_rows import check_bad_share
from taxiway.components.tables.readers.record_batches import read_column_names
from taxiway.components.tables.sources.files import select_source_files
from taxiway.components.tables.sources.open_files import is_remote
from taxiway.components.tables.sources.remote_addresses import check_address
from taxiway.components.text.printable import escape_text
from taxiway.pipeline.config import parse_config
from taxiway.pipeline.console import printing
from taxiway.pipeline.scaffold.commented_yaml import render_yaml
from taxiway.pipeline.scaffold.csv_dialect import sniff_dialect
from taxiway.pipeline.scaffold.profile import MAX_BAD_SHARE, TableProfile, profile_table
from taxiway.pipeline.scaffold.proposal import Proposal, propose_settings

MOST_ODD = 25
"""Findings that are printed; the file holds all."""
_DULL_NAMES = frozenset({"", "data", "dataset", "datasets", "rows", "table", "train", "part", "file", "csv"})
_HEADER = (
    "Made by `taxiway init`. Lines that begin with -> say what was found in the data.\n"
    "Every key is written out; those that you delete have their defaults.\n"
    "Run it with: taxiway run {file}"
)


@dataclass(frozen=True)
class WrittenConfig:
    """The proposal, its text, and the file that holds it."""

    file: Path | None
    text: str
    profile: TableProfile
    proposal: Proposal


def create_config(
    data: str,
    label: str,
    *,
    task: Task | None = None,
    file: Path | None = None,
    force: bool = False,
    form: Format = "auto",
    leave_out: Sequence[str] = (),
) -> WrittenConfig:
    """Proposes a configuration for a table and writes it.

    Args:
        data: File, folder or glob, as `data.path`.
        label: Column of the label, or an expression over columns.
        task: Task; inferred from the label where None.
        file: File to write; `NAME/NAME.yaml` where None.
        force: Whether to overwrite the file.
        form: Format of the files; `auto` detects it by their names and content.
        leave_out: Columns that are not read.

    Raises:
        ConfigError, DataError: The data cannot be read, or has no such label.
        UsageError: The file exists already, or cannot be written.
    """
    name = derive_model_name(data)
    file = file or Path(name, f"{name}.yaml")
    if file.exists() and not force:
        raise UsageError(f"{file} exists already.", "Give another file with -o, or --force to overwrite it.")
    section, odd = detect_data_config(data, form)
    section = _leave_out_columns(section, leave_out)
    with _mention_missing_header(section, odd):
        profile = profile_table(section, label, task)
    section = profile.data
    check_bad_share(profile.bad, profile.rows, MAX_BAD_SHARE)
    proposal = propose_settings(profile)
    for key, text in reversed(odd):
        proposal.odd.insert(0, (key, text))
        proposal.add_comments(key, text)
    if SPAN_PLACEHOLDER in data:
        proposal.add_comments("gates.drift.against", "previous_span stops a run whose span is unlike the one before")
    settings = make_settings(name, section, file, proposal)
    text = render_yaml(parse_config(settings), proposal.comments, _HEADER.format(file=file))
    _write_config(file, text)
    return WrittenConfig(file, text, profile, proposal)


def detect_data_config(path: str, form: Format = "auto") -> tuple[DataConfig, tuple[tuple[str, str], ...]]:
    """The section `data` with the csv dialect of the first file, and what was odd, by key."""
    check_address(path)
    try:
        data = DataConfig(path=path, format=form)
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UsageError(f"The data's path {path!r}: {problem}.", "Correct the name.") from error
    first = select_source_files(data)[0]
    if first.format != "csv":
        return data, ()
    dialect = sniff_dialect(first)
    return data.model_copy(update={"csv": dialect.config}), dialect.odd


@contextlib.contextmanager
def _mention_missing_header(data: DataConfig, odd: Sequence[tuple[str, str]]) -> Iterator[None]:
    """Adds to a refusal of the label's name that the file was taken for one without a header."""
    try:
        yield
    except (ConfigError, DataError) as error:
        said = next((text for key, text in odd if key == "data.csv.header"), "")
        if not said or "is no column of the data" not in error.problem:
            raise
        remedy = f"{error.remedy} Or write the names of the columns above the rows."
        raise type(error)(f"{error.problem} In {data.path} {said}.", remedy) from error


def _leave_out_columns(data: DataConfig, leave_out: Sequence[str]) -> DataConfig:
    """The section `data` without the columns that `--leave-out` names.

    Raises:
        UsageError: One is no column of the data.
    """
    if not leave_out:
        return data
    first = select_source_files(data)[0]
    names = read_column_names(first, data)
    for name in leave_out:
        if name not in names:
            raise UsageError(
                f"--leave-out names {name!r}, which is no column of the data.", suggest_matches(name, names)
            )
    return data.model_copy(update={"leave_out": tuple(dict.fromkeys(leave_out))})


def derive_model_name(path: str) -> str:
    """A model's name, after the data's file or folder."""
    parts = [re.sub(r"\{SPAN\}|[*?]", "", part) for part in re.split(r"[/\\]", path.removeprefix(PACKAGE_PREFIX))]
    telling = [part for part in parts if part.split(".")[0].strip("-_ ").lower() not in _DULL_NAMES]
    last = telling[-1] if telling else "model"
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", last.split(".")[0]).strip("_-")
    return (stem if stem[:1].isalpha() else f"model_{stem}" if stem else "model")[:63]


def make_settings(name: str, data: DataConfig, file: Path, proposal: Proposal) -> dict[str, Any]:
    """The proposal as the nested mapping that a configuration file holds."""
    nested: dict[str, Any] = {"name": name, "data": {"path": _make_relative(data.path, file.parent)}}
    if data.format != "auto":
        nested["data"]["format"] = data.format
    if data.csv != CsvConfig():
        nested["data"]["csv"] = data.csv.model_dump(mode="json", exclude_defaults=True)
    for key, value in proposal.settings.items():
        *sections, last = key.split(".")
        inner = nested
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = value
    return nested


def _make_relative(path: str, folder: Path) -> str:
    """A path relative to the configuration's folder where the data lies below it; else absolute."""
    if path.startswith(PACKAGE_PREFIX) or is_remote(path):
        return path
    whole = Path(path).expanduser().absolute()
    if whole.is_relative_to(folder.absolute()):
        return str(whole.relative_to(folder.absolute()))
    return str(whole if whole == Path(path).expanduser() else Path(quote_name(Path.cwd())) / path)


def _write_config(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, text)
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written: {error.strerror or error}.", "Give another file with -o."
        ) from error


def print_summary(written: WrittenConfig) -> None:
    """Prints what was found and what to do next."""
    console, profile = printing.make_console(), written.profile
    left_out: Mapping[str, str] = written.proposal.settings.get("features.leave_out", {})
    label = profile.label.config
    console.print(f"{profile.rows:,} rows, {len(profile.columns)} columns beside the label; task: {label.task}")
    for note in written.proposal.comments.get("label.positive", ()):
        console.print(f"positive class: {escape_text(note)} [label.positive]", markup=False)
    rows = [
        (
            escape_text(c.name),
            c.kind,
            f"{c.distinct:,}",
            f"{c.missing / c.rows:.0%}",
            f"{c.alone:.3f}",
            escape_text(left_out.get(c.name, "used")),
        )
        for c in sorted(profile.columns.values(), key=lambda c: -c.alone)
    ]
    score = {"binary": "AUC alone", "multiclass": "accuracy alone", "regression": "R2 alone"}[label.task]
    heads = ("column", "kind", "different", "missing", score, "")
    console.print(printing.make_table("", heads, rows, right=("different", "missing", score)), markup=False)
    for name, reason in {**profile.unsupported, **dict.fromkeys(profile.empty, "holds no value in any row")}.items():
        console.print(f"{escape_text(name)}: left out of the examples: it {escape_text(reason)}", markup=False)
    _print_findings(written)
    console.print(f"\nWritten: {written.file}. Read it, then: taxiway run {written.file}", markup=False)


def _print_findings(written: WrittenConfig) -> None:
    """Prints what looked odd, each with the key that changes it."""
    odd, console = written.proposal.odd, printing.make_console()
    if not odd:
        return
    console.print("\nLooked odd; the key in brackets changes it:", markup=False)
    for key, text in odd[:MOST_ODD]:
        console.print(f"- {escape_text(text)} [{key}]", markup=False)
    if len(odd) > MOST_ODD:
        console.print(f"- and {len(odd) - MOST_ODD} more, which the file names", markup=False)
