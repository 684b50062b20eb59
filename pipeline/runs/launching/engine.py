"""Beam's engine before a run: whether its workers start, are of our release, and see the root."""

from __future__ import annotations

from taxiway.components.beam.options import uses_engine
from taxiway.components.beam.preflight import check_workers
from taxiway.pipeline.config import PipelineConfig
from taxiway.pipeline.images import resolve_images
from taxiway.pipeline.resources.beam_args import make_beam_args
from taxiway.pipeline.root import Root

WORKERS = "Workers"


def needs_check(config: PipelineConfig) -> bool:
    """Whether steps run on an engine whose workers are asked first. Dataflow starts machines for each job: minutes."""
    options = make_beam_args(config.resources.beam, config.resources.beam_args)
    return uses_engine(options) and not any("DataflowRunner" in option for option in options)


def check_engine(config: PipelineConfig, root: Root) -> None:
    """Sends a first element to the engine's workers.

    Raises:
        EngineError: They would not run the steps as this process means them; see `check_workers`.
    """
    resources = config.resources
    root.artifacts.mkdir(parents=True, exist_ok=True)
    function = config.preprocessing.function
    modules = [function.rpartition(".")[0]] if function else []
    options = make_beam_args(resolve_images(resources.beam), resources.beam_args)
    check_workers(options, str(root.artifacts), resources.beam.preflight_seconds, modules)
