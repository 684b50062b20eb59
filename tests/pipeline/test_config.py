"""The configuration file: what is accepted, and what is said about what is not."""

import pytest
import yaml

from taxiway.components.errors import ConfigError
from taxiway.pipeline import config

GOOD = {"name": "m", "data": {"path": "rows.csv"}, "label": {"column": "y"}}


@pytest.fixture
def write(tmp_path):
    def write(content, name="m.yaml"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    return write


def test_the_taxi_example_is_the_default():
    loaded = config.load_config()
    assert loaded.name == "taxi"
    assert loaded.label.column == "big_tipper"
    assert "tips" in loaded.features.leave_out
    assert loaded.schema_path.name == "schema.pbtxt"


def test_relative_data_paths_are_beside_the_file(write, tmp_path):
    loaded = config.load_config(write(GOOD))
    assert loaded.data.path == str(tmp_path / "rows.csv")
    assert loaded.schema_path == tmp_path / "schema.pbtxt"


def test_overrides_are_yaml(write):
    loaded = config.load_config(
        write(GOOD), ["training.epochs=3", "evaluation.slices=[[a], [a, b]]", "label.task=multiclass"]
    )
    assert loaded.training.epochs == 3
    assert loaded.evaluation.slices == (("a",), ("a", "b"))
    assert loaded.label.task == "multiclass"


def test_a_kind_by_hand_trains_as_it_is_meant_to_and_the_configuration_shows_how(write):
    before = config.load_config().training
    assert (before.epochs, before.ema_decay, before.optimizer.name) == (6, 0, "adam")
    taxi = config.load_config(None, ["model.kind=tabular"]).training
    assert (taxi.epochs, taxi.ema_decay, taxi.optimizer.name) == (6, 0.99, "adamw"), "its file gives the epochs"
    loaded = config.load_config(write(GOOD), ["model.kind=tabular", "training.ema_decay=0"])
    assert (loaded.training.epochs, loaded.training.ema_decay) == (100, 0)
    assert config.PipelineConfig.model_validate(loaded.model_dump()).training == loaded.training, "as a run records it"
    written = GOOD | {"model": loaded.model.model_dump(), "training": before.model_dump()}
    assert config.load_config(write(written)).training == before, "a file with all keys, such as init writes"


def test_a_configuration_is_frozen(write):
    with pytest.raises(ValueError, match="frozen"):
        config.load_config(write(GOOD)).name = "other"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainin.epochs=3", r"unknown key 'trainin'. Did you mean 'training'"),
        ("training.epoch=3", r"unknown key 'training\.epoch'. Did you mean 'epochs'"),
        ("training.epochs=many", r"training\.epochs: .*'many'"),
        ("evaluation.thresholds.acc.min=1", r"metric 'acc'"),
        ("evaluation.thresholds.auc={max_drop: 1, max_rise: 1}", r"exclude each other"),
        ("training", r"not of the form NAME=VALUE"),
        ("training.epochs=[1", r"not a YAML value"),
        ("name.x=1", r"'name' is a value, not a section"),
        ("name='a/b'", r"name: .*'a/b'"),
    ],
)
def test_a_wrong_override_names_the_key(write, override, message):
    with pytest.raises(ConfigError, match=message):
        config.load_config(write(GOOD), [override])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- a\n- b", r"holds list, not a mapping"),
        ("a: [", r"is not YAML"),
        ("", r"holds NoneType"),
        ({"name": "m", "label": {"column": "y"}}, r"the key 'data' is missing"),
    ],
)
def test_a_file_that_is_no_configuration(write, content, message):
    with pytest.raises(ConfigError, match=message):
        config.load_config(write(content))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="taxiway init"):
        config.load_config(tmp_path / "none.yaml")


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "m.yaml"
    path.write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(ConfigError, match="UTF-8"):
        config.load_config(path)


@pytest.mark.parametrize(
    ("task", "key", "setting"),
    [
        ("multiclass", "training.decision", "training.decision.goal=f1"),
        ("regression", "training.decision", "training.decision.threshold=0.3"),
        ("binary", "training.regression_loss", "training.regression_loss=huber"),
        ("regression", "training.class_weights", "training.class_weights=balanced"),
        ("regression", "training.label_smoothing", "training.label_smoothing=0.1"),
    ],
)
def test_a_setting_of_training_that_means_nothing_for_the_task_is_refused(write, task, key, setting):
    with pytest.raises(ConfigError, match=f"{key} has a meaning only for label.task .*, not {task}"):
        config.load_config(write(GOOD), [f"label.task={task}", setting])
