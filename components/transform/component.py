"""TFX's Transform with the built-in preprocessing, driven by the schema and the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.components import Transform as TfxTransform
from tfx.dsl.components.base import executor_spec
from tfx.proto import transform_pb2

from taxiway.components.component_arguments import check_task, parse_section
from taxiway.components.contract import TRAIN_SPLIT, Task
from taxiway.components.transform.config import FeaturesConfig, PreprocessingConfig
from taxiway.components.transform.executor import TRANSFORMED, Executor

USERS = "taxiway.components.transform.users.preprocessing_fn"
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
        task: Task,
        features: FeaturesConfig | Mapping[str, Any] | None = None,
        preprocessing: PreprocessingConfig | Mapping[str, Any] | None = None,
    ) -> None:
        """Args:
        examples: Raw examples with the splits `train` and `eval`; only `train` is analyzed, and no other split is read.
        schema: The curated schema.
        label: The label's column, handed through unchanged.
        task: `binary`, `multiclass` or `regression`.
        features: Columns that are left out, and the kinds of others.
        preprocessing: Settings of the built-in preprocessing, or a function in its place. `numbers: auto` is what the
            built-in model's default kind reads; pass `quantiles` for `tabular`.

        Raises:
            ConfigError: a key or a value is wrong.
        """
        settings = parse_section(PreprocessingConfig, preprocessing, "preprocessing").resolve_numbers("")
        columns = parse_section(FeaturesConfig, features, "features")
        built_in = settings.function == PreprocessingConfig().function
        super().__init__(
            examples=examples,
            schema=schema,
            preprocessing_fn=settings.function if built_in else USERS,
            custom_config={
                "features": columns.model_dump(mode="json"),
                "preprocessing": settings.model_dump(mode="json"),
                "label": label,
                "task": check_task(task),
                "built_in": built_in,
            },
            splits_config=transform_pb2.SplitsConfig(analyze=[TRAIN_SPLIT], transform=TRANSFORMED),
            disable_statistics=True,
            disable_analyzer_cache=True,
        )
