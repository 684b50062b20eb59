"""TFX's Transform with the built-in preprocessing, driven by the schema and the configuration."""

from __future__ import annotations

import json

from tfx import types
from tfx.components import Transform as TfxTransform
from tfx.dsl.components.base import executor_spec

from components.transform.config import FeaturesConfig, PreprocessingConfig
from components.transform.executor import Executor

USERS = "components.transform.users.preprocessing_fn"
"""Calls the user's function with the columns that a model may use."""


class Transform(TfxTransform):
    """In: `examples`, `schema`. Out: `transform_graph`, `transformed_examples`.

    Its statistics are off: StatisticsGen has already computed those of the raw columns, and z-scores need none.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        *,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        label: str,
        task: str,
        features: str,
        preprocessing: str,
    ) -> None:
        """Args:
        examples: Raw examples with the splits `train` and `eval`; only `train` is analyzed.
        schema: The curated schema.
        label: The label's column, handed through unchanged.
        task: `binary`, `multiclass` or `regression`.
        features: `FeaturesConfig` as JSON.
        preprocessing: `PreprocessingConfig` as JSON.
        """
        settings = PreprocessingConfig.model_validate_json(preprocessing)
        built_in = settings.function == PreprocessingConfig().function
        super().__init__(
            examples=examples,
            schema=schema,
            preprocessing_fn=settings.function if built_in else USERS,
            custom_config={
                "features": json.loads(FeaturesConfig.model_validate_json(features).model_dump_json()),
                "preprocessing": json.loads(settings.model_dump_json()),
                "label": label,
                "task": task,
                "built_in": built_in,
            },
            disable_statistics=True,
            disable_analyzer_cache=True,
        )
