"""Statistics are those of TFX's own component on the same rows, to the last digits of doubles."""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.components.statistics_gen import executor as tfx_executor
from tfx.types import standard_artifacts

from taxiway.components.beam.options import BEAM_OPTIONS, NOTHING_TO_STAGE
from taxiway.components.errors import ConfigError, DataError
from taxiway.components.example_gen.config import DataConfig, LabelConfig
from taxiway.components.example_gen.ingest import ingest_data
from taxiway.components.gates.statistics import build_stats_options
from taxiway.components.statistics.compute import find_obstacle
from taxiway.components.statistics.executor import Executor
from taxiway.components.tables.examples.shards import COLUMNS_PREFIX

ROWS = 4000


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> standard_artifacts.Examples:
    """Taxi trips with texts, numbers and missing values; the label is one of several classes."""
    folder = tmp_path_factory.mktemp("statistics")
    package = importlib.util.find_spec("tfx")
    assert package and package.submodule_search_locations
    data = Path(package.submodule_search_locations[0], "examples/chicago_taxi_pipeline/data/simple/data.csv")
    with data.open() as source:
        rows = [row for _, row in zip(range(ROWS + 1), csv.reader(source), strict=False)]
    (folder / "t.csv").write_text("\n".join(",".join(row) for row in rows))
    label = LabelConfig(column="payment_type", task="multiclass")
    ingest_data(
        DataConfig(path=str(folder / "t.csv"), types={"pickup_census_tract": "int"}), label, str(folder / "examples")
    )
    artifact = standard_artifacts.Examples()
    artifact.uri, artifact.split_names, artifact.span = str(folder / "examples"), '["train", "eval"]', 7
    artifact.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")
    artifact.set_string_custom_property("file_format", "tfrecords_gzip")
    return artifact


PROPERTIES = {"stats_options_json": build_stats_options("payment_type", "multiclass").to_json(), "exclude_splits": "[]"}


def _compute(
    executor: type, examples: standard_artifacts.Examples, folder: Path, schema: Path | None = None, **properties: str
) -> standard_artifacts.ExampleStatistics:
    statistics, schemas = standard_artifacts.ExampleStatistics(), [standard_artifacts.Schema()]
    schemas[0].uri = str(schema or "")
    statistics.uri = str(folder)
    executor(executor.Context(beam_pipeline_args=[*BEAM_OPTIONS, NOTHING_TO_STAGE])).Do(
        {"examples": [examples], "schema": schemas if schema else []},
        {"statistics": [statistics]},
        {**PROPERTIES, **properties},
    )
    return statistics


@pytest.fixture(scope="module")
def stock(examples: standard_artifacts.Examples, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return _compute(tfx_executor.Executor, examples, tmp_path_factory.mktemp("stock"))


def _load_features(folder: str, split: str) -> dict[str, statistics_pb2.FeatureNameStatistics]:
    message = tfdv.load_stats_binary(f"{folder}/Split-{split}/FeatureStats.pb")
    (dataset,) = message.datasets
    assert dataset.num_examples
    return {feature.path.step[0]: feature for feature in dataset.features}


def _iterate_values(message: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for field, value in message.ListFields():
        repeated = hasattr(value, "__len__") and not isinstance(value, (str, bytes))
        for i, one in enumerate(value) if repeated else [(0, value)]:
            at = f"{path}.{field.name}[{i}]"
            yield from _iterate_values(one, at) if hasattr(one, "ListFields") else [(at, one)]


def _assert_equal(folder: str, stock_folder: str, splits: tuple[str, ...] = ("train", "eval")) -> None:
    for split in splits:
        own, expected = _load_features(folder, split), _load_features(stock_folder, split)
        assert own.keys() == expected.keys()
        for name in own:
            values = dict(_iterate_values(own[name]))
            wanted = dict(_iterate_values(expected[name]))
            assert values.keys() == wanted.keys(), name
            for at, value in values.items():
                if isinstance(value, float):
                    assert value == pytest.approx(wanted[at], rel=1e-12, abs=1e-12), (name, at)
                else:
                    assert value == wanted[at], (name, at)


def test_statistics_equal_those_of_the_stock_component(
    examples: standard_artifacts.Examples, stock: Any, tmp_path: Path
) -> None:
    own = _compute(Executor, examples, tmp_path)
    _assert_equal(own.uri, stock.uri)
    label = _load_features(own.uri, "train")["payment_type"]
    assert label.string_stats.unique > 2, "a class index is counted class by class"
    assert (own.split_names, own.span) == (stock.split_names, 7)
    rates = [json.loads(each.get_json_value_custom_property("sample_rate_by_split")) for each in (own, stock)]
    assert rates[0] == rates[1]


def test_examples_without_a_copy_give_the_same(
    examples: standard_artifacts.Examples, stock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taxiway.components.tables.examples.shards.COLUMNS_PREFIX", f"no-{COLUMNS_PREFIX}")
    _assert_equal(_compute(Executor, examples, tmp_path).uri, stock.uri)


def test_the_way_of_an_engine_gives_the_same(
    examples: standard_artifacts.Examples, stock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taxiway.components.statistics.executor.runs_on_engine", lambda pipeline: True)
    own = _compute(Executor, examples, tmp_path, exclude_splits='["train"]')
    assert own.split_names == '["eval"]'
    _assert_equal(own.uri, stock.uri, ("eval",))


def test_a_schema_that_is_an_input_says_which_numbers_are_categories(
    examples: standard_artifacts.Examples, tmp_path: Path
) -> None:
    (tmp_path / "schema").mkdir()
    text = 'feature { name: "trip_start_hour" type: INT int_domain { is_categorical: true } }'
    (tmp_path / "schema" / "schema.pbtxt").write_text(text)
    some = {"exclude_splits": '["train"]', "stats_options_json": tfdv.StatsOptions().to_json()}
    own = _compute(Executor, examples, tmp_path / "own", tmp_path / "schema", **some)
    assert _load_features(own.uri, "eval")["trip_start_hour"].HasField("string_stats")
    expected = _compute(tfx_executor.Executor, examples, tmp_path / "stock", tmp_path / "schema", **some)
    _assert_equal(own.uri, expected.uri, ("eval",))
    with pytest.raises(ConfigError, match="a schema as an input and one in stats_options"):
        _compute(Executor, examples, tmp_path / "both", tmp_path / "schema")


def test_what_needs_beam_is_named() -> None:
    assert find_obstacle(tfdv.StatsOptions()) == ""
    assert find_obstacle(tfdv.StatsOptions(sample_rate=0.5)) == "a sample"
    assert find_obstacle(tfdv.StatsOptions(weight_feature="w")) == "weights"
    sliced = tfdv.StatsOptions()
    sliced.experimental_slice_sqls = ["SELECT STRUCT(a) FROM example"]  # an option of one of the two stacks
    assert find_obstacle(sliced) == "slices"


def test_a_split_without_files_is_an_error(examples: standard_artifacts.Examples, tmp_path: Path) -> None:
    empty = standard_artifacts.Examples()
    empty.uri, empty.split_names = str(tmp_path), json.dumps(["train"])
    with pytest.raises(DataError, match="no files of the split 'train'"):
        _compute(Executor, empty, tmp_path / "out")
