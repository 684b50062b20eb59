"""Uses each part of `examples/own_parts`, which is installed, through Taxiway, and prints what came of it as JSON."""

import json
import sys
from pathlib import Path

from taxiway.environment import choose_legacy_keras

choose_legacy_keras()

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from taxiway.components.errors import TaxiwayError  # noqa: E402
from taxiway.components.evaluation.config import EvaluationConfig  # noqa: E402
from taxiway.components.evaluation.eval_config import build_eval_config, find_batch_obstacle  # noqa: E402
from taxiway.components.extensions import describe_extensions  # noqa: E402
from taxiway.components.optimizer.candidate import CandidateModel  # noqa: E402
from taxiway.components.optimizer.variants import load_technique  # noqa: E402
from taxiway.components.tables.config import TableConfig  # noqa: E402
from taxiway.components.tables.readers.bad_rows import BadRows  # noqa: E402
from taxiway.components.tables.readers.record_batches import read_record_batches  # noqa: E402
from taxiway.components.tables.sources.inspect_file import inspect_file  # noqa: E402
from taxiway.components.training.config import ModelConfig  # noqa: E402
from taxiway.components.training.data.features import TransformedFeature  # noqa: E402
from taxiway.components.training.model import build  # noqa: E402
from taxiway.pipeline.config import load_config  # noqa: E402

FOLDER = Path(sys.argv[1])


def use_technique():
    load_config(overrides=("optimization.variants=[rounded]",))
    module = tf.Module()
    module.weights = tf.Variable(np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32))
    module.serve = tf.function(lambda x: tf.matmul(x, module.weights), [tf.TensorSpec([None, 4])])
    tf.saved_model.save(module, str(FOLDER / "model" / "Format-Serving"), {"serving_default": module.serve})
    technique = load_technique("rounded")
    model, rounded = CandidateModel(str(FOLDER / "model")), CandidateModel(str(FOLDER / "rounded"))
    assert technique.pre_check(None, model) is None
    Path(rounded.uri).mkdir()
    technique.transform(None, model, rounded)
    (check,) = technique.post_check(None, model, rounded)
    loaded = [tf.saved_model.load(each.servable) for each in (model, rounded)]
    answers = [each.signatures["serving_default"](tf.eye(4))["output_0"].numpy() for each in loaded]
    return {
        "passed": check.passed,
        "detail": check.detail,
        "largest_change": float(np.abs(answers[0] - answers[1]).max()),
        "refused_of_a_model_without_variables": technique.pre_check(None, CandidateModel(str(FOLDER))).reason,
    }


def use_model():
    features = [TransformedFeature("numbers", "float32", (3,)), TransformedFeature("words", "int64", (2,), rows=7)]
    return list(build._build_user_model(ModelConfig(function="two_towers"), features, "binary", 1).output_shape)


def use_metric():
    config = EvaluationConfig(metrics=("matthews",))
    made = build_eval_config(config, "y", "binary")
    (metric,) = [m for spec in made.metrics_specs for m in spec.metrics if '"matthews"' in m.config]
    try:
        config.check_metrics("regression")
    except TaxiwayError as error:
        return {"class": metric.class_name, "obstacle": find_batch_obstacle(made), "other_task": error.problem}
    return {}


def read_rows(columns=None):
    path = FOLDER / "rows.semicolons"
    path.write_text("x=1.5;word=a\n\nx=2;word=b\n")
    data = TableConfig(path=str(path))
    batches = read_record_batches(inspect_file(str(path), data, 0), data, columns, BadRows())
    return {name: values for batch in batches for name, values in batch.to_pydict().items()}


def ask_for_missing_column():
    try:
        return read_rows(("gone",))
    except TaxiwayError as error:
        return error.problem


print(
    json.dumps(
        {
            "technique": use_technique(),
            "model": use_model(),
            "metric": use_metric(),
            "reader": read_rows(),
            "missing_column": ask_for_missing_column(),
            "fingerprint": describe_extensions(),
        }
    )
)
