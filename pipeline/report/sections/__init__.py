"""What each section of the report says: plain values for the template, figures for the browser."""

from pipeline.report.sections.common import Section
from pipeline.report.sections.data import data, schema
from pipeline.report.sections.evaluation import evaluation
from pipeline.report.sections.optimization import optimization
from pipeline.report.sections.serving import serving
from pipeline.report.sections.surroundings import environment, lineage
from pipeline.report.sections.training import training
from pipeline.report.sections.verdict import head, way

__all__ = [
    "Section",
    "data",
    "environment",
    "evaluation",
    "head",
    "lineage",
    "optimization",
    "schema",
    "serving",
    "training",
    "way",
]
