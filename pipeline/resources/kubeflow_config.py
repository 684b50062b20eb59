"""Where and how the pipeline runs on Kubeflow Pipelines: the section `resources.kubeflow`."""

from __future__ import annotations

from pydantic import Field

from taxiway.components.config_section import Section
from taxiway.pipeline.resources.node_resources import NodeResources

SAME_DATA = {"DataDigest": "ExampleGen"}
"""By node: the node whose data it reads."""


class KubeflowConfig(Section):
    """Where and how the pipeline runs on Kubeflow Pipelines or Vertex AI Pipelines."""

    image: str = ""
    """The image that `make image` built and you pushed to a registry that the cluster can pull from."""
    pipeline_root: str = ""
    """Where artifacts go: `gs://`, `s3://` or `minio://`; empty: what the cluster is configured with."""
    root: str = Field("/taxiway", pattern="^/")
    """A folder that every node sees, usually on a volume: the serving directory, the checkpoints, the execution
    records."""
    config_folder: str = Field("/opt/taxiway/config", pattern="^/")
    """Where the image holds the configuration's folder. Paths beside the configuration file are looked up there."""
    page: bool = True
    """Metrics, curves, summaries and the report for Kubeflow's own page, and a last step that runs however the others
    ended. Open-source Kubeflow only."""
    default: NodeResources = NodeResources()
    """For every component."""
    components: dict[str, NodeResources] = Field({})
    """By node id, such as `Trainer`: what differs from `default`."""

    def resolve_resources(self, node: str) -> NodeResources:
        """What a node may use: its own settings over the default's, key by key.

        Where nothing is set for the step before ExampleGen, it gets ExampleGen's: it reads the same data.
        """
        own = self.components.get(node) or self.components.get(SAME_DATA.get(node, ""))
        if own is None:
            return self.default
        return self.default.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})
