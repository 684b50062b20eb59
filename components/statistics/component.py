"""TFX's StatisticsGen with an executor that reads the columnar copy of the examples."""

from __future__ import annotations

from tfx.components import StatisticsGen as TfxStatisticsGen
from tfx.dsl.components.base import executor_spec

from taxiway.components.statistics.executor import Executor


class StatisticsGen(TfxStatisticsGen):
    """In: `examples`. Out: `statistics`, as TFX's own, whose arguments it takes; a `schema` too.

    On one machine the statistics are computed in this process over record batches; options that TFDV can only compute
    in a Beam pipeline (slices, samples, weights), and runners that are an engine, take its Beam transform.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
