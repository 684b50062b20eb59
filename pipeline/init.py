"""`taxiway init`: looks at a table and writes a configuration for it. No tfx."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from components.contract import Task
from components.errors import ConfigError, DataError, UsageError, close_matches
from components.example_gen.config import DataConfig
from components.example_gen.dialect import sniff
from components.example_gen.profile import MAX_BAD_SHARE, Profile, look
from components.patterns import quote
from components.printable_text import visible
from components.tables.addresses import check_address
from components.tables.bad_rows import check_table
from components.tables.config import PACKAGE_PREFIX, SPAN_PLACEHOLDER, CsvConfig, Format
from components.tables.files import is_remote, list_files
from components.tables.reading import column_names
from pipeline import config as configuration
from pipeline import output
from pipeline.init_choices import Proposal, choose
from pipeline.init_yaml import render

MOST_ODD = 25
"""Findings that are printed; the file holds all."""
_DULL_NAMES = frozenset({"", "data", "dataset", "datasets", "rows", "table", "train", "part", "file", "csv"})
_HEADER = (
    "Made by `taxiway init`. Lines that begin with -> say what was found in the data.\n"
    "Every key is written out; those that you delete have their defaults.\n"
    "Run it with: taxiway run {file}"
)


@dataclass(frozen=True)
class Written:
    """What was proposed, and where it was written (None: nowhere)."""

    file: Path | None
    text: str
    profile: Profile
    proposal: Proposal


def init(
    data: str,
    label: str,
    *,
    task: Task | None = None,
    file: Path | None = None,
    force: bool = False,
    form: Format = "auto",
    leave_out: Sequence[str] = (),
) -> Written:
    """Proposes a configuration for a table and writes it.

    Args:
        data: File, folder or glob, as `data.path`.
        label: A column, or an expression over columns.
        task: None to infer it.
        file: Where to write; `NAME/NAME.yaml` where None.
        force: Overwrite the file.
        form: How the files are written; `auto` goes by their names and content.
        leave_out: Columns that are not to be read.

    Raises:
        ConfigError, DataError: the data cannot be read, or has no such label.
        UsageError: the file exists already, or cannot be written.
    """
    name = model_name(data)
    file = file or Path(name, f"{name}.yaml")
    if file.exists() and not force:
        raise UsageError(f"{file} exists already.", "Give another file with -o, or --force to overwrite it.")
    section, odd = described(data, form)
    section = _without(section, leave_out)
    with _told_of_no_header(section, odd):
        profile = look(section, label, task)
    section = profile.data
    check_table(profile.bad, profile.rows, MAX_BAD_SHARE)
    proposal = choose(profile)
    for key, text in reversed(odd):
        proposal.odd.insert(0, (key, text))
        proposal.note(key, text)
    if SPAN_PLACEHOLDER in data:
        proposal.note("gates.drift.against", "previous_span stops a run whose span is unlike the one before")
    settings = settings_of(name, section, file, proposal)
    text = render(configuration.parse(settings), proposal.comments, _HEADER.format(file=file))
    _write(file, text)
    return Written(file, text, profile, proposal)


def described(path: str, form: Format = "auto") -> tuple[DataConfig, tuple[tuple[str, str], ...]]:
    """The data's section, the csv dialect sniffed from the first file; and what was odd, by key."""
    check_address(path)
    try:
        data = DataConfig(path=path, format=form)
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UsageError(f"The data's path {path!r}: {problem}.", "Correct the name.") from error
    first = list_files(data)[0]
    if first.format != "csv":
        return data, ()
    dialect = sniff(first)
    return data.model_copy(update={"csv": dialect.config}), dialect.odd


@contextlib.contextmanager
def _told_of_no_header(data: DataConfig, odd: Sequence[tuple[str, str]]) -> Iterator[None]:
    """Who asks for a label by its name must know where the file is taken to name no columns."""
    try:
        yield
    except (ConfigError, DataError) as error:
        said = next((text for key, text in odd if key == "data.csv.header"), "")
        if not said or "is no column of the data" not in error.problem:
            raise
        remedy = f"{error.remedy} Or write the names of the columns above the rows."
        raise type(error)(f"{error.problem} In {data.path} {said}.", remedy) from error


def _without(data: DataConfig, leave_out: Sequence[str]) -> DataConfig:
    """The data without columns that the command names.

    Raises:
        UsageError: one is no column of the data.
    """
    if not leave_out:
        return data
    first = list_files(data)[0]
    names = column_names(first, data)
    for name in leave_out:
        if name not in names:
            raise UsageError(f"--leave-out names {name!r}, which is no column of the data.", close_matches(name, names))
    return data.model_copy(update={"leave_out": tuple(dict.fromkeys(leave_out))})


def model_name(path: str) -> str:
    """A servable's name after the data's file or folder."""
    parts = [re.sub(r"\{SPAN\}|[*?]", "", part) for part in re.split(r"[/\\]", path.removeprefix(PACKAGE_PREFIX))]
    telling = [part for part in parts if part.split(".")[0].strip("-_ ").lower() not in _DULL_NAMES]
    last = telling[-1] if telling else "model"
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", last.split(".")[0]).strip("_-")
    return (stem if stem[:1].isalpha() else f"model_{stem}" if stem else "model")[:63]


def settings_of(name: str, data: DataConfig, file: Path, proposal: Proposal) -> dict[str, Any]:
    """The proposal as the nested mapping that a configuration file holds."""
    nested: dict[str, Any] = {"name": name, "data": {"path": _relative(data.path, file.parent)}}
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


def _relative(path: str, folder: Path) -> str:
    """A path as the configuration's folder sees it, where the data lies below it; else absolute."""
    if path.startswith(PACKAGE_PREFIX) or is_remote(path):
        return path
    whole = Path(path).expanduser().absolute()
    if whole.is_relative_to(folder.absolute()):
        return str(whole.relative_to(folder.absolute()))
    return str(whole if whole == Path(path).expanduser() else Path(quote(Path.cwd())) / path)


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written: {error.strerror or error}.", "Give another file with -o."
        ) from error


def show(written: Written) -> None:
    """Prints what was found and what to do next."""
    console, profile = output.console(), written.profile
    left_out: Mapping[str, str] = written.proposal.settings.get("features.leave_out", {})
    label = profile.label.config
    console.print(f"{profile.rows:,} rows, {len(profile.columns)} columns beside the label; task: {label.task}")
    for note in written.proposal.comments.get("label.positive", ()):
        console.print(f"positive class: {visible(note)} [label.positive]", markup=False)
    rows = [
        (
            visible(c.name),
            c.kind,
            f"{c.distinct:,}",
            f"{c.missing / c.rows:.0%}",
            f"{c.alone:.3f}",
            visible(left_out.get(c.name, "used")),
        )
        for c in sorted(profile.columns.values(), key=lambda c: -c.alone)
    ]
    score = {"binary": "AUC alone", "multiclass": "accuracy alone", "regression": "R2 alone"}[label.task]
    heads = ("column", "kind", "different", "missing", score, "")
    console.print(output.table("", heads, rows, right=("different", "missing", score)), markup=False)
    for name, reason in {**profile.unsupported, **dict.fromkeys(profile.empty, "holds no value in any row")}.items():
        console.print(f"{visible(name)}: left out of the examples: it {visible(reason)}", markup=False)
    _show_odd(written)
    console.print(f"\nWritten: {written.file}. Read it, then: taxiway run {written.file}", markup=False)


def _show_odd(written: Written) -> None:
    """The guesses, each with the key that changes it."""
    odd, console = written.proposal.odd, output.console()
    if not odd:
        return
    console.print("\nLooked odd; the key in brackets changes it:", markup=False)
    for key, text in odd[:MOST_ODD]:
        console.print(f"- {visible(text)} [{key}]", markup=False)
    if len(odd) > MOST_ODD:
        console.print(f"- and {len(odd) - MOST_ODD} more, which the file names", markup=False)
