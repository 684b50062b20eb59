"""Representative rows, from the training split, for converters that learn ranges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from taxiway.components.optimizer.candidate import TechniqueContext
from taxiway.components.optimizer.given_model.rows import load_rows
from taxiway.components.optimizer.measurement.batches import Features, Rows, draw_batches
from taxiway.components.tables.examples.row_sample import sample_calibration_rows


def draw_raw_batches(context: TechniqueContext) -> Iterator[Any]:
    """Batches of serialized raw examples, for the whole path."""
    return _draw_batches(context, _sample_rows(context, context.examples))


def draw_feature_batches(context: TechniqueContext) -> Iterator[Features]:
    """Batches of transformed features by name, for the core; of a given model of its inputs."""
    if context.given:
        return _draw_given_batches(context)
    import tensorflow as tf

    from taxiway.components.training.data.features import read_transformed_features
    from taxiway.components.training.data.input_pipeline import build_parse_spec

    spec = build_parse_spec(read_transformed_features(context.transform_graph))
    parsed = tf.io.parse_example(tf.constant(_sample_rows(context, context.transformed_examples)), dict(spec))
    return _draw_batches(context, {name: tensor.numpy() for name, tensor in parsed.items()})


def _draw_given_batches(context: TechniqueContext) -> Iterator[Features]:
    settings, fixed = context.config.calibration, context.given.fixed_rows if context.given else None
    rows = load_rows(context.folder, tuning=True)
    return draw_batches(rows, fixed or settings.batch_size, settings.batches, context.config.seed)


def _sample_rows(context: TechniqueContext, examples: str) -> NDArray[Any]:
    """As many training rows as the batches have; batches draw from them with replacement."""
    settings = context.config.calibration
    return sample_calibration_rows(examples, "train", settings.batch_size * settings.batches, context.config.seed)


def _draw_batches(context: TechniqueContext, rows: Rows) -> Iterator[Rows]:
    settings = context.config.calibration
    return draw_batches(rows, settings.batch_size, settings.batches, context.config.seed)
