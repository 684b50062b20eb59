"""The sections of the report: plain values for the template, figures for the browser."""

from taxiway.pipeline.report.sections.common import Section
from taxiway.pipeline.report.sections.data import describe_data, describe_schema
from taxiway.pipeline.report.sections.environment import describe_environment
from taxiway.pipeline.report.sections.evaluation import describe_evaluation, prepare_scores
from taxiway.pipeline.report.sections.explanation import describe_explanation
from taxiway.pipeline.report.sections.lineage import describe_lineage
from taxiway.pipeline.report.sections.optimization import describe_optimization
from taxiway.pipeline.report.sections.outcome import describe_nodes, describe_outcome
from taxiway.pipeline.report.sections.profile import describe_profile
from taxiway.pipeline.report.sections.serving import describe_serving
from taxiway.pipeline.report.sections.training import describe_training
from taxiway.pipeline.report.sections.tuning import describe_tuning

__all__ = [
    "Section",
    "describe_data",
    "describe_environment",
    "describe_evaluation",
    "describe_explanation",
    "describe_lineage",
    "describe_nodes",
    "describe_optimization",
    "describe_outcome",
    "describe_profile",
    "describe_schema",
    "describe_serving",
    "describe_training",
    "describe_tuning",
    "prepare_scores",
]
