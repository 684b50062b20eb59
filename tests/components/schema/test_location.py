"""Two configurations in one folder have two schemas."""

from taxiway.components.schema.location import SHARED_NAME, format_owner_line, locate_schema


def inferred_for(folder, name):
    (folder / SHARED_NAME).write_text(f"{format_owner_line(name)}# Inferred\nfeature {{ }}\n")


def test_the_first_configuration_has_the_plain_name(tmp_path):
    (tmp_path / "a.yaml").touch()
    assert locate_schema(tmp_path / "a.yaml").name == "schema.pbtxt"
    inferred_for(tmp_path, "a.yaml")
    assert locate_schema(tmp_path / "a.yaml").name == "schema.pbtxt"


def test_a_second_one_has_its_own(tmp_path):
    (tmp_path / "a.yaml").touch()
    inferred_for(tmp_path, "a.yaml")
    assert locate_schema(tmp_path / "b.yaml").name == "b.schema.pbtxt"


def test_its_own_comes_first(tmp_path):
    (tmp_path / "b.schema.pbtxt").touch()
    (tmp_path / SHARED_NAME).write_text("feature { }\n")
    assert locate_schema(tmp_path / "b.yaml").name == "b.schema.pbtxt"


def test_one_of_a_configuration_that_is_gone_or_of_nobody_is_everybodys(tmp_path):
    inferred_for(tmp_path, "renamed.yaml")
    assert locate_schema(tmp_path / "b.yaml").name == "schema.pbtxt"
    (tmp_path / SHARED_NAME).write_text("feature { }\n")
    assert locate_schema(tmp_path / "b.yaml").name == "schema.pbtxt"
