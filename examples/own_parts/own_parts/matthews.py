"""A metric: Matthews' correlation, from TFMA's own confusion matrices."""

from __future__ import annotations

from taxiway import MetricSpec

SPEC = MetricSpec(
    class_name="tensorflow_model_analysis.metrics.MatthewsCorrelationCoefficient",
    tasks=("binary",),
    arguments={"thresholds": [0.5]},
)
