"""What each component may use: the section `resources` of the configuration, for a cluster and for Beam's engine."""

from taxiway.pipeline.resources.beam_config import BeamConfig
from taxiway.pipeline.resources.kubeflow_config import KubeflowConfig
from taxiway.pipeline.resources.node_resources import NodeResources

__all__ = ["BeamConfig", "KubeflowConfig", "NodeResources"]
