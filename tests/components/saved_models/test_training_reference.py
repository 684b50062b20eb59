"""What a version carries of its training is read as it was written; columns that the model does not see stay out."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from taxiway.components.contract import TRAINING_REFERENCE_FILE, TRAINING_SCHEMA_FILE, TRAINING_STATISTICS_FILE
from taxiway.components.errors import ServingError
from taxiway.components.saved_models.training_reference import (
    ReferenceScores,
    read_reference,
    write_scores,
    write_training_data,
)

STATISTICS = text_format.Parse(
    'datasets { num_examples: 10 features { path { step: "fare" } } features { path { step: "customer" } '
    'string_stats { rank_histogram { buckets { label: "Ms Example" sample_count: 3 } } } } features { name: "tip" } }',
    statistics_pb2.DatasetFeatureStatisticsList(),
)
SCHEMA = text_format.Parse(
    'feature { name: "fare" type: FLOAT } feature { name: "customer" type: BYTES domain: "people" } '
    'feature { name: "tip" type: INT } string_domain { name: "people" value: "Ms Example" }',
    schema_pb2.Schema(),
)
SCORES = ReferenceScores(label="tip", task="binary", output="probabilities", split="eval", scores=((0.25,), (0.5,)))


def test_only_the_named_columns_are_written(tmp_path: Path) -> None:
    write_training_data(tmp_path, STATISTICS, SCHEMA, {"fare", "tip"})
    write_scores(tmp_path, SCORES)
    assert all(b"Ms Example" not in file.read_bytes() for file in (tmp_path / "assets.extra").iterdir())
    found = read_reference(tmp_path)
    assert found is not None and found.scores == SCORES and found.place == "carried by the version"
    assert [feature.name for feature in found.schema.feature] == ["fare", "tip"]
    assert len(found.statistics.datasets[0].features) == 2 and found.statistics.datasets[0].num_examples == 10
    write_training_data(tmp_path, STATISTICS, SCHEMA)
    whole = read_reference(tmp_path)
    assert whole is not None and whole.schema == SCHEMA and whole.statistics == STATISTICS


def test_a_version_without_statistics_has_no_reference_unless_they_lie_elsewhere(tmp_path: Path) -> None:
    assert read_reference(tmp_path) is None
    (tmp_path / "0-abc.pb").write_bytes(STATISTICS.SerializeToString())
    found = read_reference(tmp_path, tmp_path / "0-abc.pb")
    assert found is not None and found.scores is None and len(found.schema.feature) == 0
    assert found.place == f"kept in {tmp_path / '0-abc.pb'}"


@pytest.mark.parametrize(
    ("name", "content"),
    [(TRAINING_STATISTICS_FILE, b"\xff\xff"), (TRAINING_SCHEMA_FILE, b"feature {"), (TRAINING_REFERENCE_FILE, b"{}")],
)
def test_damage_names_the_file(tmp_path: Path, name: str, content: bytes) -> None:
    write_training_data(tmp_path, STATISTICS, SCHEMA)
    write_scores(tmp_path, SCORES)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ServingError, match=f"{name} cannot be read"):
        read_reference(tmp_path)
