"""A table in several formats, ingested, and a model pushed with the rules by which its rows were read."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from taxiway.components.contract import SERVING_DEFAULT
from taxiway.components.example_gen.config import DataConfig, LabelConfig
from taxiway.components.example_gen.ingest import ingest_data
from taxiway.components.saved_models.session import SavedModelSession
from taxiway.components.serving.config import ServingConfig
from taxiway.components.serving.requests import from_examples
from taxiway.components.serving.versions import push
from taxiway.components.tables.reading_rules import RULES_FILE
from tests.components.serving import models


@dataclass(frozen=True)
class Learned:
    """What was learned.

    Attributes:
        base: The serving directory.
        files: The same rows, in the same order.
        expected: The model's answer to the example of each row.
    """

    base: Path
    files: list[Path]
    expected: list[float]


def learn(folder: Path, model: Path, rows: int = 60) -> Learned:
    """Writes the table, ingests its csv file and pushes the model."""
    table = [{"id": i, "y": i % 2, **row} for i, row in enumerate(models.rows(rows))]
    for row in table:
        row.pop("tip")
    names = ["id", "Fare (USD)", "company", "seats", "y"]
    files = [folder / "rows.csv", folder / "rows.parquet", folder / "rows.jsonl"]
    with files[0].open("w", encoding="utf-16", newline="") as out:
        writer = csv.writer(out, delimiter=";")
        writer.writerow([f" {name} " for name in names])
        writer.writerows([[row.get(name, "NA") for name in names] for row in table])
    pq.write_table(pa.table({name: [row.get(name) for row in table] for name in names}), files[1])
    files[2].write_text("\n".join(json.dumps({"company": "NA", **row}) for row in table), encoding="utf-8")
    data = DataConfig(path=str(files[0]), csv={"delimiter": ";", "encoding": "utf-16"})
    ingest_data(data, LabelConfig(column="y"), str(folder / "examples"))
    rules = folder / "examples" / RULES_FILE
    push.push_model(model, folder / "taxi", "taxi", {}, ServingConfig(), reading_rules=rules)
    return Learned(folder / "taxi", files, _answers(folder / "examples", model))


def _answers(examples: Path, model: Path) -> list[float]:
    found = from_examples.read_examples(sorted(examples.glob("Split-*/*")), 10_000)
    ids = [from_examples.read_cell(example, "id") for example in found]
    for example in found:  # this model's parser takes a missing value as an absent feature only
        for name in [n for n in example.features.feature if from_examples.read_cell(example, n) is None]:
            del example.features.feature[name]
    with SavedModelSession(model) as servable:
        answers = servable.run(SERVING_DEFAULT, {"examples": from_examples.serialize_examples(found)})["probabilities"][
            :, 0
        ]
    return [answer for _, answer in sorted(zip(ids, answers.tolist(), strict=True))]
