"""The component in TFX's local runner: stock components read its artifact, and TFX's cache sees the data's content."""

import json
import os
from pathlib import Path

import pytest
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from taxiway.components.beam.options import BEAM_OPTIONS
from taxiway.components.contract import SPLITS
from taxiway.components.errors import DataError
from taxiway.components.example_gen.config import DataConfig, LabelConfig
from tests.components.example_gen.rows import read_all, write

TABLE = {"x": list(range(200)), "y": [i % 2 for i in range(200)]}


def run(root, path, schema=None, **data):
    from tfx import v1 as tfx

    from taxiway.components.example_gen.component import TabularExampleGen

    section, label = DataConfig(path=str(path), **data), LabelConfig(column="y")
    node = TabularExampleGen(data=section, label=label, column_rules=schema).with_id("ExampleGen")
    connection = tfx.orchestration.metadata.sqlite_metadata_connection_config(str(root / "metadata.db"))
    pipeline = tfx.dsl.Pipeline(
        pipeline_name="test",
        pipeline_root=str(root / "artifacts"),
        components=[node],
        enable_cache=True,
        metadata_connection_config=connection,
        beam_pipeline_args=list(BEAM_OPTIONS),
    )
    tfx.orchestration.LocalDagRunner().run(pipeline)


def store(root):
    return metadata_store.MetadataStore(
        mlmd.ConnectionConfig(sqlite=mlmd.SqliteMetadataSourceConfig(filename_uri=str(root / "metadata.db")))
    )


def states(root):
    return [mlmd.Execution.State.Name(e.last_known_state) for e in store(root).get_executions()]


def test_a_standard_artifact(tmp_path):
    from tfx.components.util import tfxio_utils
    from tfx.types import standard_artifacts

    for half in ("a", "b"):
        write(tmp_path / "d" / f"{half}.csv", TABLE)
    run(tmp_path / "root", tmp_path / "d")
    [found] = store(tmp_path / "root").get_artifacts_by_type("Examples")
    properties = {k: v.string_value or v.int_value for k, v in found.custom_properties.items()}
    assert json.loads(found.properties["split_names"].string_value) == ["train", "eval", "test"]
    assert properties["file_format"] == "tfrecords_gzip" and properties["payload_format"] == "FORMAT_TF_EXAMPLE"
    assert properties["classes"] == '["0", "1"]' and len(properties["input_fingerprint"]) == 32
    assert sum(properties[f"rows_{split}"] for split in SPLITS) == 400
    assert {split: sum(rows) for split, rows in json.loads(properties["class_rows"]).items()} == {
        split: properties[f"rows_{split}"] for split in SPLITS
    }
    assert len(read_all(found.uri)) == 400
    assert sorted(path.name for path in Path(found.uri).iterdir()) == [
        "Columns-eval",
        "Columns-test",
        "Columns-train",
        "Split-eval",
        "Split-test",
        "Split-train",
        "ingest.json",
        "reading_rules.json",
    ]
    artifact = standard_artifacts.Examples()
    artifact.set_mlmd_artifact(found)
    tfxio_utils.get_tfxio_factory_from_artifact([artifact], telemetry_descriptors=[])


def test_the_cache_sees_content(tmp_path):
    path = write(tmp_path / "t.csv", TABLE)
    root = tmp_path / "root"
    run(root, path)
    os.utime(path, (1, 1))
    run(root, path)
    assert states(root) == ["COMPLETE", "CACHED"]
    stat = path.stat()
    path.write_bytes(path.read_bytes().replace(b"\n7,1", b"\n9,1"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    run(root, path)
    assert states(root) == ["COMPLETE", "CACHED", "COMPLETE"]
    run(root, path, split={"by": "entity", "column": "x"})
    assert states(root)[-1] == "COMPLETE"


def test_a_schema_of_the_same_data_is_no_reason_to_read_it_again(tmp_path):
    path = write(tmp_path / "t.csv", TABLE)
    root = tmp_path / "root"
    run(root, path)
    [first] = store(root).get_artifacts_by_type("Examples")
    assert json.loads(first.custom_properties["kinds"].string_value) == {"x": "int", "y": "int"}
    rules = {"kinds": {"x": "float"}, "inferred_from": first.custom_properties["input_fingerprint"].string_value}
    run(root, path, schema=rules)
    assert states(root) == ["COMPLETE", "CACHED"]
    run(root, path, schema={**rules, "inferred_from": "other data"})
    assert states(root)[-1] == "COMPLETE"
    last = max(store(root).get_artifacts_by_type("Examples"), key=lambda artifact: artifact.id)
    assert json.loads(last.custom_properties["kinds"].string_value)["x"] == "float"
    assert {type(row["x"]) for row in read_all(last.uri)} == {float}


def test_unreadable_data_is_a_failed_execution(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"x,y\n1,2,3\n")
    with pytest.raises(DataError, match="cannot be read"):
        run(tmp_path / "root", path)
    with pytest.raises(DataError, match="no such file"):
        run(tmp_path / "root", tmp_path / "nothing.csv")
    assert states(tmp_path / "root") == ["FAILED", "FAILED"]
