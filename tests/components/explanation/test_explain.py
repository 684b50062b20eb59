"""The whole explanation of a SavedModel of the contract, through the component's executor and its child process."""

import json

import numpy as np
import pytest

from taxiway.components.errors import ConfigError, DataError
from taxiway.components.explanation import explain as explain_module
from taxiway.components.explanation.config import ExplanationConfig
from taxiway.components.explanation.executor import ModelExplainerExecutor, summarize_explanation
from taxiway.components.explanation.explain import draw_rows, explain_model
from taxiway.components.explanation.job import ExplanationJob
from taxiway.components.explanation.rows import read_value, split_rows
from taxiway.components.explanation.scored_model import Deadline, ScoredModel
from tests.components.explanation.rows import make_rows, read_table
from tests.components.serving.models import COMPANIES, write_model

ROWS = 400


def draw_columns(positives=None):
    random = np.random.default_rng(6)
    fare = random.normal(0, 8, ROWS)
    company = [COMPANIES[index] for index in random.integers(0, 3, ROWS)]
    bias = {"Blue": 0.5, "Yellow": -0.5, "Größe": 1.0}
    logits = 0.25 * fare + np.array([bias[name] for name in company])
    labels = (random.random(ROWS) < 1 / (1 + np.exp(-logits))).astype(int)
    if positives is not None:
        labels = (np.arange(ROWS) < positives).astype(int)
    return {
        "Fare (USD)": [float(np.float32(value)) for value in fare],
        "company": company,
        "seats": [1] * ROWS,
        "unread": random.integers(0, 9, ROWS).tolist(),
        "y": labels.tolist(),
    }


def write_examples(folder, columns):
    import tensorflow as tf

    folder.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(folder / "rows.gz"), "GZIP") as out:
        for row in make_rows(**columns).encode():
            out.write(row)


@pytest.fixture(scope="module")
def explanation(tmp_path_factory):
    from tfx.types import standard_artifacts

    from taxiway.components.artifacts import ModelExplanation

    folder = tmp_path_factory.mktemp("explained")
    write_model(folder / "model/Format-Serving")
    write_examples(folder / "examples/Split-test", draw_columns())
    model, examples, written = standard_artifacts.Model(), standard_artifacts.Examples(), ModelExplanation()
    model.uri, examples.uri, written.uri = (str(folder / name) for name in ("model", "examples", "explanation"))
    examples.split_names = '["train", "eval", "test"]'
    properties = {
        "config": ExplanationConfig(repeats=3, largest_errors=5).model_dump_json(),
        "label": "y",
        "task": "binary",
        "metric": "auc",
        "classes": '["no", "yes"]',
        "calendar": "{}",
        "split": "",
    }
    ModelExplainerExecutor().Do({"model": [model], "examples": [examples]}, {"explanation": [written]}, properties)
    assert written.get_string_custom_property("error") == ""
    assert written.get_string_custom_property("split") == "test"
    return json.loads((folder / "explanation/explanation.json").read_text())


def test_what_the_model_reads_is_found(explanation):
    names = [each["name"] for each in explanation["importance"]]
    assert names == ["Fare (USD)", "company", "seats"]  # of the columns that the model reads
    fare, company, seats = explanation["importance"]
    assert fare["mean"] > 0.15 > company["mean"] > 0.0 and fare["limits"][0] < fare["mean"] < fare["limits"][1]
    assert seats["mean"] == 0.0  # it is the same in every row
    assert explanation["rows"] == {"read": ROWS, "drawn": ROWS, "scored": ROWS, "shuffled": ROWS}
    assert explanation["cut_short"] == [] and explanation["few"] == ""
    assert summarize_explanation(explanation) == "most important: Fare (USD), company, seats"


def test_dependence_goes_the_way_the_model_goes(explanation):
    fare, company, seats = explanation["dependence"]
    means = [point["mean"][0] for point in fare["points"]]
    assert fare["is_number"] and means == sorted(means) and means[-1] - means[0] > 0.8
    by_word = {point["value"]: point["mean"][0] for point in company["points"]}
    assert by_word["Yellow"] < by_word["Blue"] < by_word["Größe"]
    assert [point["value"] for point in seats["points"]] == [1]


def test_the_largest_errors_are_those_of_the_metric_s_loss(explanation):
    worst = explanation["largest_errors"]
    assert len(worst) == 5 and worst[0]["error"] == max(each["error"] for each in worst)
    assert worst[0]["label"] in ("no", "yes") and set(worst[0]["values"]) == {"Fare (USD)", "company", "seats"}
    assert worst[0]["predicted"] == pytest.approx(np.exp(-worst[0]["error"]))


def predict(serialized):
    return 1 / (1 + np.exp(-read_table(serialized, "Fare (USD)") / 4))


def explain(folder, columns, **config):
    write_examples(folder / "rows", columns)
    job = ExplanationJob(
        model_folder=str(folder),
        files=(str(folder / "rows/rows.gz"),),
        split="eval",
        label="y",
        task="binary",
        metric="auc",
        config=ExplanationConfig(**config),
    )
    return explain_model(job, ScoredModel(predict, "binary", "auc"), Deadline(60))


def test_nine_rows_of_a_class_have_no_importance(tmp_path):
    found = explain(tmp_path, draw_columns(positives=9))
    assert (found["few"], found["importance"]) == ("9 rows of class 1", [])
    assert len(found["dependence"]) == 4 and len(found["largest_errors"]) == 20
    assert summarize_explanation(found) == "no importance: too few rows (9 rows of class 1)"


def test_groups_are_those_of_the_model(tmp_path):
    found = explain(tmp_path, draw_columns(), groups={"both": ("Fare (USD)", "seats")}, repeats=3)
    assert found["importance"][0]["columns"] == ["Fare (USD)", "seats"]
    with pytest.raises(ConfigError, match=r"(?s)explanation.groups.g names the column 'sets'.*seats"):
        explain(tmp_path / "again", draw_columns(), groups={"g": ("sets",)})


def write_sorted_files(folder, rows):
    for number in range(3):
        places = np.arange(number * rows, (number + 1) * rows)
        write_examples(folder / str(number), {"place": places.tolist()})
    return [str(folder / f"{number}/rows.gz") for number in range(3)]


def read_places(sample):
    return [read_value(entry) for entry in split_rows(list(sample.rows)).entries["place"]]


def test_rows_are_drawn_from_the_whole_split(tmp_path, monkeypatch):
    monkeypatch.setattr(explain_module, "MOST_ROWS_SCORED", 300)
    monkeypatch.setattr(explain_module, "_READ_ROWS", 100)
    files = write_sorted_files(tmp_path, 1000)
    (sample, read), (again, _), (other, _) = (
        draw_rows(files, np.random.default_rng(seed), Deadline(60)) for seed in (1, 1, 2)
    )
    places = read_places(sample)
    assert (len(places), sample.available, read) == (300, 3000, 3)
    thirds = np.histogram(places, [0, 1000, 2000, 3000])[0]
    assert thirds.min() > 70, "each file's rows are as likely"
    assert read_places(again) == places != read_places(other)


def test_where_the_time_to_read_is_over_the_explanation_says_from_what_it_drew(tmp_path, monkeypatch):
    monkeypatch.setattr(explain_module, "_READ_ROWS", 100)
    files = write_sorted_files(tmp_path, 250)
    ticks = iter(range(100))
    sample, read = draw_rows(files, np.random.default_rng(1), Deadline(23, lambda: float(next(ticks))))
    assert (sample.available, read) == (450, 1), "five batches: three of the first file, two of the next"
    said = explain_module._list_what_was_not_read(sample, read, 3)
    assert said == ["rows were drawn from 450, not from the whole split: 1 of 3 files were read to their end"]


def test_a_slow_model_is_asked_for_fewer_rows():
    asked, ticks = [], iter(range(100))

    def predict_slowly(rows):
        asked.append(len(rows))
        return np.zeros((len(rows), 1))

    rows = np.full(5000, b"", object)
    scores = ScoredModel(predict_slowly, "binary", "auc").score_rows(rows, Deadline(1.5, lambda: float(next(ticks))))
    assert asked == [2048, 2048] and scores.shape == (4096, 1)


def test_a_column_without_any_value_is_one_of_the_model(tmp_path):
    columns = draw_columns()
    del columns["unread"]
    write_model(tmp_path / "model")
    write_examples(tmp_path / "rows", {**columns, "seats": [None] * ROWS})
    config = ExplanationConfig(groups={"both": ("company", "seats")}, repeats=3)
    job = ExplanationJob(
        model_folder=str(tmp_path / "model"),
        files=(str(tmp_path / "rows/rows.gz"),),
        split="eval",
        label="y",
        task="binary",
        metric="auc",
        config=config,
    )
    found = explain_model(job, ScoredModel(predict, "binary", "auc"), Deadline(60))
    assert sorted(each["name"] for each in found["importance"]) == ["Fare (USD)", "both"]
    assert found["largest_errors"][0]["values"]["seats"] is None


def test_rows_without_a_label_and_no_rows_are_refused(tmp_path):
    columns = draw_columns()
    with pytest.raises(DataError, match="no label in the column 'y'"):
        explain(tmp_path / "a", {**columns, "y": [None, *columns["y"][1:]]})
    with pytest.raises(DataError, match="no rows to explain"):
        explain(tmp_path / "b", {"y": []})


def test_a_column_in_two_groups_is_refused():
    with pytest.raises(ValueError, match="'a' stands in groups twice"):
        ExplanationConfig(groups={"one": ("a", "b"), "two": ("a",)})
