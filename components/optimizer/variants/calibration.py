"""Representative rows, from the training split, for converters that learn ranges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from components.optimizer import data
from components.optimizer.variants.base import Workshop


def raw_batches(workshop: Workshop) -> Iterator[Any]:
    """Batches of serialized raw examples, for the whole path."""
    settings = workshop.config.calibration
    rows = data.read_split(workshop.examples, "Split-train")
    random = np.random.default_rng(workshop.config.seed)
    for _ in range(settings.batches):
        yield rows[random.integers(0, len(rows), settings.batch_size)]


def feature_batches(workshop: Workshop) -> Iterator[dict[str, Any]]:
    """Batches of transformed features by name, for the core."""
    from components.training.input import parse_spec
    from components.training.job import resolve_files
    from components.training.records import load
    from components.training.schema import transformed_features

    settings = workshop.config.calibration
    files = resolve_files((str(Path(workshop.transformed_examples, "Split-train", "*")),), "train")
    columns = load(files[:1], parse_spec(transformed_features(workshop.transform_graph)))
    rows = len(next(iter(columns.values())))
    random = np.random.default_rng(workshop.config.seed)
    for _ in range(settings.batches):
        chosen = random.integers(0, rows, settings.batch_size)
        yield {name: values[chosen] for name, values in columns.items()}
