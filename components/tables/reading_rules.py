"""How training read its rows, as a file that travels with the model: rows for the model are read by the same rules.

`ExampleGen` writes it beside the splits, the Pusher puts it into the version (`contract.READING_RULES_FILE`). Nothing
in it names a place: it holds no path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import field_serializer, field_validator

from taxiway.components.config_section import Section
from taxiway.components.contract import READING_RULES_FILE
from taxiway.components.errors import ServingError
from taxiway.components.tables.config import TableConfig
from taxiway.components.tables.seen_words import KnownWords

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
    def _check_table_keys(cls, table: dict[str, Any]) -> dict[str, Any]:
        TableConfig(path="-", **table)
        return table

    @field_serializer("words")
    def _serialize_words(self, words: dict[str, KnownWords]) -> dict[str, Any]:
        return {
            name: {
                "words": sorted(known_words.words),
                "held_words": sorted(known_words.held_words),
                "unseen_share": known_words.unseen_share,
            }
            for name, known_words in words.items()
        }

    def make_table_config(self, path: str, file_format: str = "auto") -> TableConfig:
        """How a file of rows for the model is read.

        Args:
            path: A file, a folder or a glob.
            file_format: `auto`: by its name.
        """
        return TableConfig(path=path, **{**self.table, "format": file_format})

    @property
    def csv_description(self) -> str:
        """In words, for a message."""
        csv = self.make_table_config("-").csv
        return f"csv with the delimiter {csv.delimiter!r}, the quote {csv.quote!r} and the encoding {csv.encoding}"


def make_rules(
    data: TableConfig, file_format: str, kinds: Mapping[str, str], label: str, words: Mapping[str, KnownWords]
) -> ReadingRules:
    """The rules of a training's data."""
    kept = set(TableConfig.model_fields) - _OF_THE_PLACE
    table = data.model_dump(mode="json", include=kept)
    return ReadingRules(format=file_format, table=table, kinds=dict(kinds), label=label, words=dict(words))


def make_default_rules(dtypes: Mapping[str, str]) -> ReadingRules:
    """For a version that carries none: the default ways of csv, kinds after the dtypes of the model's inputs."""
    return ReadingRules(kinds={column: _find_dtype_kind(dtype) for column, dtype in dtypes.items()})


def _find_dtype_kind(dtype: str) -> str:
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
