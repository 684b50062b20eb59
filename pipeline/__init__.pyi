# What `__init__.py` exports when it is asked for: mypy and editors read this file, and so does `export_lazily`.
from taxiway.pipeline.config import PipelineConfig, ResourcesConfig
from taxiway.pipeline.config import load_config as load
from taxiway.pipeline.dag import create_pipeline
from taxiway.pipeline.lineage.api import LineageGraph
from taxiway.pipeline.lineage.nodes import Edge, Node
from taxiway.pipeline.root import Root
from taxiway.pipeline.runs.api import Run, RunArtifact, RunFailedError, run
from taxiway.pipeline.tracking.run_record import GateRecord, MetricValues, NodeRecord, RunRecord, VariantRecord

__all__ = [
    "Edge",
    "GateRecord",
    "LineageGraph",
    "MetricValues",
    "Node",
    "NodeRecord",
    "PipelineConfig",
    "ResourcesConfig",
    "Root",
    "Run",
    "RunArtifact",
    "RunFailedError",
    "RunRecord",
    "VariantRecord",
    "create_pipeline",
    "load",
    "run",
]
