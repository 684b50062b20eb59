"""Rows in, answers out, with the live version."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from taxiway.components.contract import READING_RULES_FILE
from taxiway.components.errors import DataError, ServingError
from taxiway.components.processes.subprocesses import ChildOutcome
from taxiway.components.serving.requests.answer_values import split_answers
from taxiway.components.serving.requests.local_predict import predict_locally, score_rows
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.components.tables.prediction.row_source import RowSource
from tests.components.serving import models
from tests.components.serving.learned import Learned


def test_scores_rows_with_the_live_version(taxi_model: Path, tmp_path: Path) -> None:
    version = ServingDirectory(tmp_path / "taxi").push(taxi_model, {}).version
    rows = models.rows(1500)
    scored = predict_locally(tmp_path / "taxi", rows)
    assert scored.version == version and scored.ignored == ["tip"] and scored.signature == "serving_raw"
    expected = [models.probability(row) for row in rows]
    np.testing.assert_allclose([answer["probabilities"] for answer in scored.answers], expected, atol=1e-6)
    assert {answer["predicted_label"] for answer in scored.answers} == {"yes", "no"}


def test_says_what_is_wrong_with_a_row(taxi_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ServingError, match="has no version"):
        predict_locally(tmp_path / "taxi", [{"company": "Blue"}])
    ServingDirectory(tmp_path / "taxi").push(taxi_model, {})
    with pytest.raises(ServingError, match="has no version 3"):
        predict_locally(tmp_path / "taxi", [{"company": "Blue"}], version=3)
    with pytest.raises(DataError, match="column 'seats' is no int: 'many'"):
        predict_locally(tmp_path / "taxi", [{"seats": "many"}])
    assert predict_locally(tmp_path / "taxi", []).answers == []


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a child does is done in this process, whose XLA stays as it is: a child imports TensorFlow again."""
    monkeypatch.setattr("taxiway.components.saved_models.tensorflow_private.disable_xla", lambda: None)
    monkeypatch.setattr(
        "taxiway.components.processes.subprocesses.run_module",
        lambda module, job, log, **_: ChildOutcome(score_rows(job), 0, "", str(log), 0.0),
    )


@pytest.mark.usefixtures("here")
def test_a_file_gets_the_answers_that_its_examples_get(learned: Learned) -> None:
    """Csv with a padded header, null words and decimals, the same rows as Parquet and as JSON lines; by the version's
    rules, against the answers of `serving_default` to the examples that ExampleGen wrote."""
    for path in learned.files:
        scored = predict_locally(learned.base, RowSource(path=str(path)))
        found = [answer["probabilities"] for answer in scored.answers]
        np.testing.assert_allclose(found, learned.expected, atol=1e-6)
        assert scored.ignored == ["id", "y"] and scored.notes == ()
    first = predict_locally(learned.base, RowSource(path=str(learned.files[0]), limit=2))
    assert len(first.answers) == 2
    given = predict_locally(learned.base, [{"Fare (USD)": "NA", "company": "NA", "seats": "2.0", "seat": 1}])
    assert given.answers[0]["probabilities"] == pytest.approx(models.probability({"Fare (USD)": 0.0, "seats": 2}))
    assert given.notes == (
        "The model also takes 'Fare (USD)', 'company': missing in the row.",
        "'seat' is no column that training knew, and is not used. Did you mean 'seats'?",
    )


@pytest.mark.usefixtures("here")
def test_rules_travel_with_a_push_and_a_rollback(learned: Learned, taxi_model: Path, tmp_path: Path) -> None:
    directory = ServingDirectory(learned.base)
    live = directory.find_live()
    rules = (live.path / READING_RULES_FILE).read_bytes()
    other = models.write_model(tmp_path / "other", weight=0.5)
    assert directory.push(other, {}).pushed
    assert "carries no rules of reading" in predict_locally(learned.base, [{"seats": 1}]).notes[0]
    back = directory.rollback()
    assert (back.path / READING_RULES_FILE).read_bytes() == rules


def test_answers_are_plain_values() -> None:
    outputs = {
        "p": np.array([[0.5], [0.25]]),
        "m": np.array([[1, 2], [3, 4]]),
        "c": np.array([b"\xff", "ü".encode()], object),
    }
    assert split_answers(outputs) == [
        {"p": 0.5, "m": [1, 2], "c": {"b64": "/w=="}},
        {"p": 0.25, "m": [3, 4], "c": "ü"},
    ]
