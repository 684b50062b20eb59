"""TFX's Evaluator, which judges thousands of rows at a time, on those that nothing was trained or chosen by."""

from __future__ import annotations

from tfx.components import Evaluator as TfxEvaluator
from tfx.dsl.components.base import executor_spec

from taxiway.components.evaluation.executor import Executor


class Evaluator(TfxEvaluator):
    """In: `examples`, `model`, `baseline_model`. Out: `evaluation`, `blessing`.

    Takes TFX's arguments. Without `example_splits` it reads the split `test`, or `eval` of examples that have none.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
