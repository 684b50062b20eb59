"""What `kind: tabular` knows of the built-in features: bins of the quantile positions, words of each column.

`columns.json` and the vocabulary beside the transform graph say it. A user's own preprocessing has neither: then every
float feature is a plain number, and every position of a categorical one has the ids of the whole feature.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow_transform as tft

from taxiway.components.contract import COLUMNS_FILE

_WORD = re.compile(rb"(\d+):")


@dataclass(frozen=True)
class Words:
    """The words of the categorical columns.

    Attributes:
        feature: The transformed feature that holds their ids.
        unseen: Ids below it are unseen words.
        columns: The column of each id from `unseen` on.
    """

    feature: str
    unseen: int
    columns: tuple[int, ...]

    def count_words(self) -> Counter[int]:
        """Words of each column."""
        return Counter(self.columns)

    def list_places(self) -> list[int]:
        """The place of each id among its column's words; -1 for unseen ones."""
        places, seen = [-1] * self.unseen, Counter[int]()
        for column in self.columns:
            places.append(seen[column])
            seen[column] += 1
        return places


@dataclass(frozen=True)
class BuiltInColumns:
    """What is known of the built-in features; nothing of a user's own.

    Attributes:
        views: The name of each view of the numbers: `position`, `rank`, `robust`, `missing`.
        bins: Quantile bins of a position.
        words: The words, where there are categorical columns.
    """

    views: dict[str, str]
    bins: int = 0
    words: Words | None = None


def read_builtin_columns(transform_graph: str) -> BuiltInColumns:
    """What the built-in preprocessing wrote beside its graph."""
    file = Path(transform_graph, COLUMNS_FILE)
    if not file.exists():
        return BuiltInColumns({})
    content = json.loads(file.read_text(encoding="utf-8"))
    return BuiltInColumns(
        content.get("views", {}), content.get("quantile_bins", 0), _read_words(transform_graph, content)
    )


def _read_words(transform_graph: str, content: dict[str, Any]) -> Words | None:
    if "vocabulary" not in content:
        return None
    lines = tft.TFTransformOutput(transform_graph).vocabulary_by_name(content["vocabulary"])
    matches = (_WORD.match(line) for line in lines)  # TFT writes a line of its own where there is no word at all
    columns = tuple(int(match[1]) for match in matches if match)
    return Words(content["categories"], content["unseen_ids"], columns)
