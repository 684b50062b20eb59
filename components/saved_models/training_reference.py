"""What a pushed version carries of its training, for its traffic to be compared with. No TensorFlow.

In `assets.extra/`: `training_statistics.pb` has TFDV's statistics of the split that trained, `training_schema.pbtxt`
the schema, `training_reference.json` the label, the classes and the model's scores on rows of `eval`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from google.protobuf import text_format
from google.protobuf.message import DecodeError
from pydantic import ValidationError
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from taxiway.components.config_section import Section
from taxiway.components.contract import (
    TRAINING_REFERENCE_FILE,
    TRAINING_SCHEMA_FILE,
    TRAINING_STATISTICS_FILE,
    Task,
)
from taxiway.components.errors import ServingError

_REMEDY = "The folder was changed after the push. Roll back to another version, or push again."
MOST_SCORES = 2000


class ReferenceScores(Section):
    """What `training_reference.json` holds."""

    version: Literal[1] = 1
    label: str
    """The label's column."""
    task: Task
    classes: tuple[str, ...] = ()
    """In the order of their indices; empty for a regression, and for examples of another ExampleGen."""
    output: str
    """The output that holds the scores."""
    split: str
    """Whose rows were scored."""
    scores: tuple[tuple[float, ...], ...]
    """`[rows, 1]` or `[rows, classes]`, at most `MOST_SCORES` rows."""


@dataclass(frozen=True)
class TrainingReference:
    """What a version's traffic is compared with.

    Attributes:
        statistics: TFDV's statistics of the training split.
        schema: The schema; an empty one where the version has none.
        scores: Label and scores; None where the version has none.
        place: Where the statistics were found, in words.
    """

    statistics: statistics_pb2.DatasetFeatureStatisticsList
    schema: schema_pb2.Schema
    scores: ReferenceScores | None
    place: str


def read_reference(version: str | Path, statistics_file: Path | None = None) -> TrainingReference | None:
    """The reference of a version; None where there are no training statistics.

    Args:
        version: The version's folder.
        statistics_file: Statistics that lie elsewhere, for a version that carries none.

    Raises:
        ServingError: A file of it is damaged.
    """
    folder = Path(version)
    own = folder / TRAINING_STATISTICS_FILE
    file = own if own.is_file() else statistics_file
    if file is None:
        return None
    try:
        statistics = statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes())
    except (DecodeError, OSError) as error:
        raise ServingError(f"{file} cannot be read: {error}.", _REMEDY) from error
    place = "carried by the version" if file == own else f"kept in {file}"
    return TrainingReference(statistics, _read_schema(folder / TRAINING_SCHEMA_FILE), read_scores(folder), place)


def read_scores(version: Path) -> ReferenceScores | None:
    """Label and scores of a version; None where it has none.

    Raises:
        ServingError: The file is damaged.
    """
    path = version / TRAINING_REFERENCE_FILE
    try:
        return ReferenceScores.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValidationError, OSError) as error:
        raise ServingError(f"{path} cannot be read: {error}.", _REMEDY) from error


def _read_schema(path: Path) -> schema_pb2.Schema:
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), schema_pb2.Schema())
    except (FileNotFoundError, NotADirectoryError):
        return schema_pb2.Schema()
    except (text_format.ParseError, OSError, UnicodeDecodeError) as error:
        raise ServingError(f"{path} cannot be read: {error}.", _REMEDY) from error


def write_scores(folder: Path, scores: ReferenceScores) -> None:
    """Writes label and scores below a folder that becomes a version's `assets.extra/`."""
    path = folder / TRAINING_REFERENCE_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(scores.model_dump_json(), encoding="utf-8")


def write_training_data(
    folder: Path,
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    schema: schema_pb2.Schema | None,
    columns: Collection[str] = (),
) -> None:
    """Writes statistics and schema below a folder that becomes a version's `assets.extra/`.

    Args:
        folder: The folder.
        statistics: TFDV's statistics of the training split.
        schema: The schema; None: there is none.
        columns: Columns that are written; empty: all. What a model does not see, such as names of people, need not
            travel with it.
    """
    path = folder / TRAINING_STATISTICS_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_select_statistics(statistics, columns).SerializeToString(deterministic=True))
    if schema is not None:
        text = text_format.MessageToString(_select_features(schema, columns))
        (folder / TRAINING_SCHEMA_FILE).write_text(text, encoding="utf-8")


def _select_statistics(
    statistics: statistics_pb2.DatasetFeatureStatisticsList, columns: Collection[str]
) -> statistics_pb2.DatasetFeatureStatisticsList:
    chosen = statistics_pb2.DatasetFeatureStatisticsList()
    for dataset in statistics.datasets:
        kept = chosen.datasets.add()
        kept.CopyFrom(dataset)
        del kept.features[:]
        kept.features.extend(f for f in dataset.features if not columns or (f.name or ".".join(f.path.step)) in columns)
        del kept.cross_features[:]
    return chosen


def _select_features(schema: schema_pb2.Schema, columns: Collection[str]) -> schema_pb2.Schema:
    """The features of the columns, and the domains that they name."""
    chosen = schema_pb2.Schema()
    chosen.feature.extend(feature for feature in schema.feature if not columns or feature.name in columns)
    named = {feature.domain for feature in chosen.feature}
    chosen.string_domain.extend(domain for domain in schema.string_domain if domain.name in named)
    return chosen
