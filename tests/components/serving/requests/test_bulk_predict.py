"""Rows by a server of the API, and files in bulk on Beam."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from taxiway.components.errors import DataError, ServingError
from taxiway.components.processes.subprocesses import ChildOutcome
from taxiway.components.serving.requests import bulk_predict, remote_predict
from taxiway.components.serving.requests.bulk_predict import score_files
from taxiway.components.serving.server.embedded import EmbeddedServer, ServerOptions
from taxiway.components.serving.versions.directory import ServingDirectory
from tests.components.serving import models
from tests.components.serving.learned import Learned

ROWS = models.rows(700)
EXPECTED = {round(row["Fare (USD)"], 9): models.probability(row) for row in ROWS}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, taxi_model: Path) -> Path:
    folder = tmp_path_factory.mktemp("serving") / "taxi"
    ServingDirectory(folder).push(taxi_model, {})
    return folder


def test_rows_by_a_server(base: Path) -> None:
    """More rows than one request takes; columns by their own names; missing values by JSON's null or left out."""
    with EmbeddedServer("taxi", base, ServerOptions(rest_port=0, grpc_port=0)) as server:
        url = f"http://127.0.0.1:{server.rest_port}"
        full = [{"company": "Other", "seats": -1, **row} for row in ROWS]
        scored = remote_predict.predict_remotely(url, "taxi", full)
        assert scored.version == ServingDirectory(base).find_live().number and scored.ignored == ["tip"]
        expected = [models.probability(row) for row in ROWS]
        np.testing.assert_allclose([a["probabilities"] for a in scored.answers], expected, atol=1e-6)
        with pytest.raises(DataError, match="missing in a row"):  # this model's signature has no defaults
            remote_predict.predict_remotely(url, "taxi", [{"Fare (USD)": 1.0}])
        with pytest.raises(ServingError, match="404"):
            remote_predict.predict_remotely(url, "half", ROWS[:1])
    with pytest.raises(ServingError, match="No server answers"):
        remote_predict.predict_remotely(url, "taxi", ROWS[:1])
    with pytest.raises(ServingError, match="no address"):
        remote_predict.predict_remotely("ftp://x", "taxi", ROWS[:1])


@pytest.mark.parametrize(
    ("proto", "dtype", "value"),
    [
        (None, "string", None),
        ({"string_val": [""]}, "string", ""),
        ({"int64_val": ["-9223372036854775808"]}, "int64", -(2**63)),
        ({"float_val": [2.5], "tensor_content": ""}, "float32", 2.5),
        ({"tensor_content": "AAAgQA=="}, "float32", 2.5),
    ],
)
def test_defaults_are_read_from_the_metadata(proto: object, dtype: str, value: object) -> None:
    assert remote_predict._read_default(proto, dtype) == value


def test_csv_and_json_lines_to_parquet_and_csv(base: Path, tmp_path: Path) -> None:
    columns = ["Fare (USD)", "company", "seats", "tip"]
    for part in range(2):
        with open(tmp_path / f"rows-{part}.csv", "w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, columns)
            writer.writeheader()
            writer.writerows(ROWS[part::2])
    made = score_files(base, str(tmp_path / "rows-*.csv"), tmp_path / "out" / "scored.parquet")
    assert made.rows == len(ROWS) and made.files
    scored = pyarrow.parquet.ParquetDataset(tmp_path / "out").read().to_pylist()
    assert len(scored) == len(ROWS) and list(scored[0]) == [*columns, "predicted_label", "probabilities"]
    for row in scored:
        assert abs(row["probabilities"] - EXPECTED[round(float(row["Fare (USD)"]), 9)]) < 1e-6
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS), encoding="utf-8")
    made = score_files(base, str(tmp_path / "rows.jsonl"), tmp_path / "scored.csv")
    lines = [row for file in made.files for row in csv.DictReader(Path(file).read_text("utf-8").splitlines())]
    assert made.rows == len(lines) == len(ROWS)
    for row in lines:
        assert abs(float(row["probabilities"]) - EXPECTED[round(float(row["Fare (USD)"]), 9)]) < 1e-6


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a child does is done in this process, whose XLA stays as it is: a child imports TensorFlow again."""
    monkeypatch.setattr("taxiway.components.serving.requests.bulk_beam.disable_xla", lambda: None)
    monkeypatch.setattr(
        "taxiway.components.processes.subprocesses.run_module",
        lambda module, job, log, **_: ChildOutcome(bulk_predict.main(job), 0, "", str(log), 0.0),
    )


@pytest.mark.usefixtures("here")
def test_files_and_a_server_by_the_rules_of_the_version(learned: Learned, tmp_path: Path) -> None:
    """Bulk and the client of a server give the answers that the examples get; the input's columns stay beside them."""
    for path in learned.files:
        made = score_files(learned.base, str(path), tmp_path / path.suffix[1:] / "scored.parquet")
        assert made.rows == len(learned.expected) and made.notes == ()
        scored = pyarrow.parquet.ParquetDataset(tmp_path / path.suffix[1:]).read().to_pylist()
        scored.sort(key=lambda row: int(row["id"]))
        np.testing.assert_allclose([row["probabilities"] for row in scored], learned.expected, atol=1e-6)
        assert set(scored[0]) == {"id", "Fare (USD)", "company", "seats", "y", "predicted_label", "probabilities"}
    with EmbeddedServer("taxi", learned.base, ServerOptions(rest_port=0, grpc_port=0)) as server:
        url = f"http://127.0.0.1:{server.rest_port}"
        with pytest.raises(DataError, match="missing in a row"):  # this model's signature has no defaults
            remote_predict.predict_remotely(url, "taxi", [{"seats": 1}], serving_directory=learned.base)
        full = [{"Fare (USD)": "1.5", "company": "Blue", "seats": "2.0", "seat": 1}]
        scored = remote_predict.predict_remotely(url, "taxi", full, serving_directory=learned.base)
        assert scored.answers[0]["probabilities"] == pytest.approx(
            models.probability({"Fare (USD)": 1.5, "company": "Blue", "seats": 2})
        )
        assert "Did you mean 'seats'" in scored.notes[0]
        assert "lies in no serving directory here" in remote_predict.predict_remotely(url, "taxi", full).notes[0]


@pytest.mark.usefixtures("here")
def test_bulk_says_what_the_rows_lack(learned: Learned, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(
        '{"seats": 1}\n{"seats": 2, "fair": "x", "company": "Violet"}\n{"seats": true}'
    )
    with pytest.raises(DataError, match="column 'seats' is no int"):
        score_files(learned.base, str(tmp_path / "rows.jsonl"), tmp_path / "out.csv")
    (tmp_path / "rows.jsonl").write_text('{"seats": 1}\n{"seats": 2, "fair": "x", "company": "Violet"}\n')
    made = score_files(learned.base, str(tmp_path / "rows.jsonl"), tmp_path / "out.csv")
    assert "'Fare (USD)': missing in all 2 rows." in made.notes[0]
    assert "'fair' is no column that training knew" in made.notes[1]
    assert "'company': 1 of 1 texts (100.0%) were never seen" in made.notes[2]


def test_says_what_is_wrong(base: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        score_files(base, str(tmp_path / "*.csv"), tmp_path / "out.csv")
    with pytest.raises(DataError, match="neither"):
        score_files(base, "x.csv", tmp_path / "out.txt")
    with pytest.raises(ServingError, match="has no version"):
        score_files(tmp_path / "none", "x.csv", tmp_path / "out.csv")
