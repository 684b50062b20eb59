"""Our side of the quality benchmark on a small table, for real: init, run, and the error of the model's answers."""

from types import SimpleNamespace

import numpy as np
import pytest

from taxiway.components.contract import PREDICTED_LABEL, serving_model_dir
from taxiway.pipeline.bench.children import quality_ours
from taxiway.pipeline.bench.quality import benchmark, ours
from taxiway.pipeline.bench.quality.tables import Table
from taxiway.pipeline.root import Root

ROWS = 600
SMALL = ("model.hidden_units=[16]", "model.members=2", "training.epochs=4", "training.tensorboard=false")


@pytest.fixture
def package(tmp_path):
    """A folder as an unpacked package is, with a table: amounts as people write them, missing values, two labels.

    The rarer one, which is positive, is the first by the alphabet.
    """
    import pandas

    folder, draw = tmp_path / "package", np.random.default_rng(7)
    folder.mkdir()
    price, number = draw.lognormal(7, 1, ROWS), draw.normal(size=ROWS)
    word, missing = draw.choice(["red", "green", "blue"], ROWS), draw.random(ROWS) < 0.1
    score = np.log(price) - 7 + number + 2 * (word == "red") + draw.normal(0, 0.5, ROWS)
    written = np.where(missing, None, [f"${value:,.2f}" for value in price])
    columns = {"price": written, "number": number.round(3), "word": word}
    table = pandas.DataFrame({**columns, "outcome": np.where(score > 1.5, "lost", "sold")})
    table.to_csv(folder / "deals.csv", index=False)
    return folder


def encode(row):
    """A row as `tf.Example`, by what this test knows of the table: no reading rules."""
    import tensorflow as tf

    values = {"number": tf.train.Feature(float_list=tf.train.FloatList(value=[row["number"]]))}
    values["word"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[row["word"].encode()]))
    if row["price"] is not None:
        amount = float(row["price"].replace("$", "").replace(",", ""))
        values["price"] = tf.train.Feature(float_list=tf.train.FloatList(value=[amount]))
    return tf.train.Example(features=tf.train.Features(feature=values)).SerializeToString()


def test_the_error_is_scikit_learns_of_the_served_answers(package, tmp_path):
    import pandas
    import tensorflow as tf
    from sklearn import metrics

    folder = tmp_path / "split"
    folder.mkdir()
    table = Table("binary", "outcome", 3, "deals", "deals.csv")
    found = benchmark._Split(table, str(package), 0, str(folder)).measure_taxiway(SMALL)
    test = pandas.read_parquet(folder / "test.parquet")
    rows = test.astype(object).where(test.notna(), None).to_dict("records")
    model, _ = ours.find_outputs(Root.at(folder / "root"))
    serve = tf.saved_model.load(serving_model_dir(str(model))).signatures["serving_default"]
    answers = serve(examples=tf.constant([encode(row) for row in rows]))
    scores, decided = answers["probabilities"].numpy()[:, 0], answers[PREDICTED_LABEL].numpy()
    positive = decided[scores.argmax()].decode()  # by what the model itself says, not by an order of classes
    expected = 1 - metrics.roc_auc_score(test["outcome"] == positive, scores)
    assert found["error"] == pytest.approx(expected, abs=1e-6) and expected < 0.25
    assert set(found["latency_ms"]) == {"1", "32"}
    assert 0 < found["train_cpu_seconds"] < found["pipeline_cpu_seconds"]


@pytest.mark.parametrize(
    ("task", "positive", "places"),
    [("binary", "lost", [1, 0]), ("binary", "sold", [0, 1]), ("binary", "", [1, 0]), ("multiclass", "", [1, 0])],
)
def test_the_truth_is_the_index_that_the_model_learned(tmp_path, task, positive, places):
    import pandas

    pandas.DataFrame({"outcome": ["lost", "sold"]}).to_parquet(tmp_path / "test.parquet")
    label = SimpleNamespace(task=task, classes=("sold", "lost"), positive=positive)
    job = {"test": str(tmp_path / "test.parquet"), "task": task, "label": "outcome"}
    assert quality_ours._read_truth({**job, "classes": list(ours._order_classes(label))}).tolist() == places
