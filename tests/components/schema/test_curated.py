"""The curated schema's file: who may write it, and when it counts as edited."""

import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from taxiway.components import schema_file
from taxiway.components.errors import DataError
from taxiway.components.schema import curated


@pytest.fixture
def inferred():
    content = schema_pb2.Schema()
    content.feature.add(name="fare", type=schema_pb2.FLOAT)
    content.feature.add(name="Größe (cm)", type=schema_pb2.INT)
    return content


def test_text_and_back(inferred):
    assert curated.parse_schema(curated.format_schema(inferred), "x") == inferred


def test_an_untouched_file_is_no_edit(inferred, tmp_path):
    path = tmp_path / "schema.pbtxt"
    assert curated.read_edited_text(path) == ""
    assert curated.write_if_absent(path, curated.format_schema(inferred))
    assert curated.read_edited_text(path) == ""


def test_an_edit_is_seen(inferred, tmp_path):
    path = tmp_path / "schema.pbtxt"
    curated.write_if_absent(path, curated.format_schema(inferred))
    path.write_text(path.read_text().replace("FLOAT", "BYTES"))
    assert "BYTES" in curated.read_edited_text(path)


def test_a_file_without_the_mark_is_somebodys_own(tmp_path):
    path = tmp_path / "schema.pbtxt"
    path.write_text('feature { name: "a" type: INT }')
    assert curated.read_edited_text(path) == path.read_text()


def test_an_existing_file_is_never_overwritten(inferred, tmp_path):
    path = tmp_path / "schema.pbtxt"
    path.write_text("mine")
    assert not curated.write_if_absent(path, curated.format_schema(inferred))
    assert path.read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["schema.pbtxt"]


def test_a_broken_file_is_named_with_its_line():
    with pytest.raises(DataError, match=r"config/schema\.pbtxt is not a schema.*1:1"):
        curated.parse_schema("featur { }", "config/schema.pbtxt")


def test_the_configurations_name_is_no_edit(tmp_path):
    path = tmp_path / "schema.pbtxt"
    path.write_text(curated.format_schema(schema_pb2.Schema(), "mine.yaml"))
    assert path.read_text().startswith("# configuration: mine.yaml\n")
    assert curated.read_edited_text(path) == ""


def rules(path, label="y"):
    return curated.derive_reading_rules(path, label)


def test_kinds_come_from_types_and_tags_and_not_from_the_label(inferred, tmp_path):
    inferred.feature.add(name="when", type=schema_pb2.INT)
    inferred.feature.add(name="flag", type=schema_pb2.INT)
    inferred.feature.add(name="word", type=schema_pb2.BYTES)
    inferred.feature.add(name="y", type=schema_pb2.INT)
    kinds = {
        "fare": "float",
        "Größe (cm)": "int",
        "when": "time:%d.%m.%Y",
        "flag": "bool",
        "word": "string",
        "y": "string",
    }
    schema_file.set_column_kinds(inferred, "y", kinds)
    path = tmp_path / "schema.pbtxt"
    assert curated.derive_reading_rules(path, "y") == {} == curated.derive_reading_rules(None, "y")
    path.write_text(curated.format_schema(inferred))
    assert rules(path)["kinds"] == {name: kind for name, kind in kinds.items() if name != "y"}


def test_the_data_of_the_first_run_needs_no_rules_until_a_type_is_edited(inferred, tmp_path):
    path = tmp_path / "schema.pbtxt"
    text = curated.format_schema(inferred, "mine.yaml", "abc123", "y")
    path.write_text(text)
    assert curated.read_edited_text(path) == ""
    assert rules(path)["inferred_from"] == "abc123"
    path.write_text(text.replace('name: "fare"', 'name: "fare" presence { min_count: 1 }'))
    assert curated.read_edited_text(path) and rules(path)["inferred_from"] == "abc123"
    path.write_text(text.replace("FLOAT", "BYTES"))
    assert rules(path) == {"kinds": {"Größe (cm)": "int", "fare": "string"}, "inferred_from": ""}


def test_a_type_that_was_edited_wins_over_its_tag(inferred):
    schema_file.set_column_kinds(inferred, "y", {"fare": "float", "Größe (cm)": "time"})
    assert schema_file.read_column_kinds(inferred, "y")["Größe (cm)"] == "time"
    inferred.feature[1].type = schema_pb2.FLOAT
    assert schema_file.read_column_kinds(inferred, "y")["Größe (cm)"] == "float"
