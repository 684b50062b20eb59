"""The told weights of `kind: linear`: what they name adds up to the model's served answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras

from taxiway.components.contract import COLUMNS_FILE, Task
from taxiway.components.saved_models.decision_rule import DecisionRule
from taxiway.components.training.job import LabelScale, TrainingJob
from taxiway.components.training.model import linear_weights
from taxiway.components.training.model.build import build_model
from taxiway.components.training.model.export import calibrate_logits
from taxiway.components.training.model.linear_weights import describe_linear_weights

SHAPES = {"numeric": 2, "missing": 2, "words": 6, "calendar": 5}
IDS = {"buckets": (2, 8), "categories": (2, 4 + 3), "hashes": (1, 5)}
"""Positions, and ids of all of them together."""
COLUMNS = {
    "version": 3, "numeric": ["fare", "km"], "categorical": ["kind", "zone"], "hashed": ["who"], "text": ["note"],
    "calendar": ["when"], "calendar_parts": {"when": ["month", "hour"]},
    "vocabulary": "categories", "categories": "taxiway_categories", "unseen_ids": 4,
}  # fmt: skip
LINES = ["0:bus: fast", "1:__missing__", "0:taxi"]


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """What the built-in preprocessing writes, without the graph itself."""
    schema = [
        f'feature {{ name: "taxiway_{name}" type: FLOAT shape {{ dim {{ size: {size} }} }} }}'
        for name, size in SHAPES.items()
    ] + [
        f'feature {{ name: "taxiway_{name}" type: INT int_domain {{ max: {rows - 1} is_categorical: true }} '
        f"shape {{ dim {{ size: {size} }} }} }}"
        for name, (size, rows) in IDS.items()
    ]
    for folder in ("transformed_metadata", "transform_fn/assets"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "transformed_metadata/schema.pbtxt").write_text(
        "\n".join([*schema, 'feature { name: "y" type: INT shape { } }'])
    )
    (tmp_path / "transform_fn/assets/categories").write_text("\n".join(LINES))
    (tmp_path / COLUMNS_FILE).write_text(json.dumps(COLUMNS))
    return tmp_path


def make_model(graph: Path, task: Task, **fields: Any) -> tuple[tf_keras.Model, TrainingJob]:
    job = TrainingJob.model_validate({
        "transform_graph": str(graph), "train_files": (), "eval_files": (), "label": "y", "task": task,
        "model": {"kind": "linear"}, **fields,
    })  # fmt: skip
    model = build_model(job)
    generator = np.random.default_rng(0)
    model.set_weights([generator.normal(size=weight.shape) for weight in model.get_weights()])
    return model, job


def add_up(told: dict[str, Any], row: dict[tuple[Any, ...], float]) -> np.ndarray:
    """The answer that a person computes from the named weights; `row`: by column, kind and value."""
    terms = {(each["column"], each["kind"], each.get("value")): each["weights"] for each in told["weights"]}
    return np.array(told["bias"]) + sum(number * np.array(terms[term]) for term, number in row.items())


ROW = {
    "numeric": [0.5, -2.0], "missing": [0.0, 1.0], "words": [0, 0.6, 0, 0, 0.8, 0], "calendar": [0.1, 0.2, 0.3, 0.4, 0],
    "buckets": [2, 7], "categories": [6, 3], "hashes": [4],
}  # fmt: skip
BY_NAME = {
    ("fare", "z_score", None): 0.5, ("km", "z_score", None): -2.0, ("km", "missing", None): 1.0,
    ("note", "text", 1): 0.6, ("note", "text", 4): 0.8, ("when", "calendar", "sine of month"): 0.1,
    ("when", "calendar", "cosine of month"): 0.2, ("when", "calendar", "sine of hour"): 0.3,
    ("when", "calendar", "cosine of hour"): 0.4, ("fare", "bucket", 2): 1, ("km", "bucket", None): 1,
    ("kind", "word", "taxi"): 1, ("zone", "unseen", 1): 1, ("who", "hash", 4): 1,
}  # fmt: skip
RULE = DecisionRule(temperature=1.7, offsets=(0.4, -0.3))
CASES: list[tuple[Task, dict[str, Any]]] = [
    ("binary", {"decision_rule": RULE, "classes": 2, "class_labels": ("no", "yes")}),
    ("multiclass", {"decision_rule": RULE.model_copy(update={"offsets": (0.4, -0.3, 0.1)}), "classes": 3}),
    ("regression", {"label_scale": LabelScale(mean=500, scale=20)}),
]


@pytest.mark.parametrize(("task", "fields"), CASES)
def test_the_named_weights_add_up_to_the_served_answer(graph: Path, task: Task, fields: dict[str, Any]) -> None:
    model, job = make_model(graph, task, **fields)
    told = json.loads(json.dumps(describe_linear_weights(model, job)))
    inputs = {f"taxiway_{name}": np.array([row], "int64" if name in IDS else "float32") for name, row in ROW.items()}
    logits = model(inputs)
    served = logits if task == "regression" else calibrate_logits(logits, job)
    np.testing.assert_allclose(add_up(told, BY_NAME), served[0], rtol=1e-4, atol=1e-4)
    names = {(each["column"], each["kind"], each.get("value")) for each in told["weights"]}
    assert {("zone", "word", None), ("kind", "word", "bus: fast"), ("when", "missing", None)} < names
    assert len(names) == 15 + 8 + 7 + 5 and told["left_out"] == 0


def test_the_largest_come_first_and_the_rest_is_counted(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, job = make_model(graph, "multiclass", classes=3)
    whole = describe_linear_weights(model, job)
    assert whole is not None
    sizes = [max(map(abs, each["weights"])) for each in whole["weights"]]
    assert sizes == sorted(sizes, reverse=True)
    monkeypatch.setattr(linear_weights, "MOST_NUMBERS", 3 * 4)
    few = describe_linear_weights(model, job)
    assert few is not None and few["weights"] == whole["weights"][:4]
    assert (few["left_out"], few["largest_left_out"]) == (31, sizes[4])
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    none = describe_linear_weights(model, job)
    assert none is not None and (none["weights"], none["left_out"], none["largest_left_out"]) == ([], 0, None)


def test_no_other_kind_has_them(graph: Path) -> None:
    _, job = make_model(graph, "binary")
    for changed in ({"kind": "wide_and_deep"}, {"kind": "linear", "function": "a.function"}):
        other = job.model_copy(update={"model": job.model.model_validate(changed)})
        assert describe_linear_weights(None, other) is None


def test_a_graph_from_before_names_its_calendar_by_position(graph: Path) -> None:
    (graph / COLUMNS_FILE).write_text(json.dumps({**COLUMNS, "calendar_parts": {}}))
    told = describe_linear_weights(*make_model(graph, "binary"))
    assert told is not None
    assert {each["value"] for each in told["weights"] if each["column"] == "taxiway_calendar"} == set(range(5))
