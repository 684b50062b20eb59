"""How training read its rows, as a file that travels with the model: who reads rows for the model reads them so.

`ExampleGen` writes it beside the splits, the Pusher puts it into the version (`contract.READING_RULES_FILE`). Nothing
in it names a place: it holds no path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import field_serializer, field_validator

from components.configuration import Section
from components.contract import READING_RULES_FILE
from components.errors import ServingError
from components.tables.config import TableConfig
from components.tables.words import KnownWords

RULES_FILE = Path(READING_RULES_FILE).name
VERSION = 1
_OF_THE_PLACE = frozenset({"path", "spans"})
KINDS = {"string": "string", "bool": "bool"}
"""By dtype of an input, for a version without rules; `int64` and `float32` by their beginnings."""


class ReadingRules(Section):
    """The rules by which the rows of a model were read."""

    version: int = VERSION
    """Of this file's form."""
    format: str = ""
    """Of the files that trained: csv, parquet, jsonl or tfrecord; empty: not known."""
    table: dict[str, Any] = {}
    """`TableConfig` without `path` and `spans`."""
    kinds: dict[str, str] = {}
    """Kind of every column of the data, as inferred or configured; see `columns`."""
    label: str = ""
    """Column of the label."""
    words: dict[str, KnownWords] = {}
    """The words of the text columns that have few."""

    @field_validator("table")
    @classmethod
    def _known_keys(cls, table: dict[str, Any]) -> dict[str, Any]:
        TableConfig(path="-", **table)
        return table

    @field_serializer("words")
    def _sorted(self, words: dict[str, KnownWords]) -> dict[str, Any]:
        return {
            name: {
                "words": sorted(known.words),
                "held_words": sorted(known.held_words),
                "unseen_share": known.unseen_share,
            }
            for name, known in words.items()
        }

    def table_of(self, path: str, file_format: str = "auto") -> TableConfig:
        """How a file of rows for the model is read.

        Args:
            path: A file, a folder or a glob.
            file_format: `auto`: by its name.
        """
        return TableConfig(path=path, **{**self.table, "format": file_format})

    @property
    def reading(self) -> str:
        """In words, for a message."""
        csv = self.table_of("-").csv
        return f"csv with the delimiter {csv.delimiter!r}, the quote {csv.quote!r} and the encoding {csv.encoding}"


def rules_of(
    data: TableConfig, file_format: str, kinds: Mapping[str, str], label: str, words: Mapping[str, KnownWords]
) -> ReadingRules:
    """The rules of a training's data."""
    kept = set(TableConfig.model_fields) - _OF_THE_PLACE
    table = data.model_dump(mode="json", include=kept)
    return ReadingRules(format=file_format, table=table, kinds=dict(kinds), label=label, words=dict(words))


def default_rules(dtypes: Mapping[str, str]) -> ReadingRules:
    """For a version that carries none: the default ways of csv, kinds after the dtypes of the model's inputs."""
    return ReadingRules(kinds={column: _kind(dtype) for column, dtype in dtypes.items()})


def _kind(dtype: str) -> str:
    return KINDS.get(dtype) or ("float" if dtype.startswith("float") else "int")


def read_rules(version_folder: str | Path) -> ReadingRules | None:
    """The rules that a version carries; None where it carries none.

    Raises:
        ServingError: They are damaged, or of a newer Taxiway.
    """
    file = Path(version_folder, READING_RULES_FILE)
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        form = content["version"]
        if form == VERSION:
            return ReadingRules.model_validate(content)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        remedy = f"Copy the version again; see: taxiway verify {version_folder}"
        raise ServingError(f"{file} cannot be read: {error}.", remedy) from error
    raise ServingError(
        f"{file} is of form {form!r}; this Taxiway reads form {VERSION}.",
        "Use the Taxiway that pushed the version, or a newer one.",
    )
