"""Which children of a run are forked from a warm parent, and what that imports while the first nodes run."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from taxiway.components.optimizer.techniques import TECHNIQUES, split_techniques
from taxiway.components.processes.usable_cores import count_usable_cores
from taxiway.components.processes.warm_parent import use_warm_parent
from taxiway.pipeline import nodes
from taxiway.pipeline.config import PipelineConfig
from taxiway.pipeline.runs.request import RunRequest

TRAINING, SEARCH = "taxiway.components.training.main", "taxiway.components.optimizer.search"
SCORING = "taxiway.pipeline.report.scoring"
"""ServingValidator's child is not among them: it tries the candidate in a fresh process without Keras, as a server."""


def count_concurrent_nodes(config: PipelineConfig) -> int:
    """Processes that a run may keep busy at a time: what the configuration says, else the cores."""
    if config.resources.concurrency:
        return config.resources.concurrency
    return count_usable_cores()


@contextlib.contextmanager
def use_warm_children(config: PipelineConfig, request: RunRequest, log: Path) -> Iterator[None]:
    """While the block runs, children are forked from a warm parent; with one process at a time each imports for itself.

    Args:
        config: Configuration of the run.
        request: Part of the pipeline that runs.
        log: File of what the warm parent prints.
    """
    preloads = list_preloads(config, request)
    # Linux alone tells a child that its parent has died; elsewhere a fork after such imports is not known to be safe.
    if count_concurrent_nodes(config) == 1 or not preloads or sys.platform != "linux":
        yield
        return
    with use_warm_parent((TRAINING, SEARCH, SCORING), preloads, log):
        yield


def list_preloads(config: PipelineConfig, request: RunRequest) -> list[str]:
    """Modules that the children of this run import, and none that it does not use."""
    modules: list[str] = []
    if _runs_node("Trainer", request) and config.training.strategy not in ("multi_worker_mirrored", "parameter_server"):
        modules.append("taxiway.components.training.run")
    if _runs_node("ModelOptimizer", request) and config.optimization.enabled:
        modules.append("taxiway.components.optimizer.building.tasks")
        modules.append("taxiway.components.optimizer.variants.shared.finetuning")
        techniques = {name for variant in config.optimization.variants for name in split_techniques(variant)}
        modules += sorted({TECHNIQUES[name].module.partition(":")[0] for name in techniques if name in TECHNIQUES})
    if modules or _runs_node("Evaluator", request):
        modules.append("taxiway.components.saved_models.session")
    return modules


def _runs_node(node: str, request: RunRequest) -> bool:
    """Whether the node is in the part that was asked for, of a pipeline that has it."""
    places = {name: i for i, name in enumerate(nodes.NODES)}
    if node not in places:
        return False
    first, last = places.get(request.from_node or "", 0), places.get(request.to_node or "", len(places) - 1)
    return first <= places[node] <= last
