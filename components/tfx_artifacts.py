"""What several executors read from the artifacts that TFX hands to them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tfx.components.statistics_gen import stats_artifact_utils
from tfx.types import Artifact, artifact_utils

from taxiway.components.long_properties import read_text, write_text

CLASS_ROWS_PROPERTY = "class_rows"
"""Text of examples (`long_properties`): the rows of each class by split, a JSON object; none for a regression."""


def read_statistics(input_dict: dict[str, list[Artifact]]) -> dict[str, Any]:
    """TFDV's statistics of the input `statistics`, by split."""
    statistics = artifact_utils.get_single_instance(input_dict["statistics"])
    splits = artifact_utils.decode_split_names(statistics.split_names)
    return {split: stats_artifact_utils.load_statistics(statistics, split).proto() for split in splits}


def read_classes(input_dict: dict[str, list[Artifact]]) -> tuple[str, ...]:
    """The classes of the input `examples`, in the order in which ExampleGen numbered them; none for a regression."""
    examples = artifact_utils.get_single_instance(input_dict["examples"])
    return tuple(json.loads(read_text(examples, "classes") or "[]"))


def write_class_rows(examples: Artifact, class_rows: Mapping[str, Sequence[int]]) -> None:
    """Keeps the rows of each class by split with the examples."""
    write_text(examples, CLASS_ROWS_PROPERTY, json.dumps(class_rows))


def read_class_rows(examples: Sequence[Artifact]) -> dict[str, list[int]]:
    """The rows of each class by split, as ExampleGen counted them; empty where one of the artifacts does not tell."""
    texts = [read_text(each, CLASS_ROWS_PROPERTY) for each in examples]
    if not all(texts) or not texts:
        return {}
    counted = [json.loads(text) for text in texts]
    return {
        split: [sum(counts) for counts in zip(*(each[split] for each in counted), strict=True)]
        for split in counted[0]
        if all(len(each.get(split, ())) == len(counted[0][split]) for each in counted)
    }
