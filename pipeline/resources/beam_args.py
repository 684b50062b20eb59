"""From `resources.beam` and `resources.beam_args` to the options of Beam that every step gets."""

from __future__ import annotations

from collections.abc import Sequence

from taxiway.components.beam.options import BEAM_OPTIONS, NOTHING_TO_STAGE
from taxiway.pipeline.resources.beam_config import BeamConfig

_RUNNERS = {"flink": "FlinkRunner", "spark": "SparkRunner", "dataflow": "DataflowRunner"}
_MASTERS = {"flink": "flink_master", "spark": "spark_master_url"}
_DEPENDENCIES = (
    "sdk_container_image",
    "worker_harness_container_image",
    "extra_package",
    "setup_file",
    "requirements_file",
)
"""Options that say where workers find the code."""


def make_beam_args(beam: BeamConfig, configured: Sequence[str] = ()) -> list[str]:
    """Options of every Beam step: ours, then the engine's, then the configured ones, which win."""
    options = [*BEAM_OPTIONS, *_make_engine_options(beam), *configured]
    return options if names_dependencies(options) else [*options, NOTHING_TO_STAGE]


def names_dependencies(options: Sequence[str]) -> bool:
    """Whether the options say where workers find the code that they run."""
    return any(option.startswith(f"--{name}") for option in options for name in _DEPENDENCIES)


def _make_engine_options(beam: BeamConfig) -> list[str]:
    if not beam.is_remote:
        return []
    if beam.runner == "dataflow":
        workers = [f"--num_workers={beam.parallelism}"] if beam.parallelism else []
        return ["--runner=DataflowRunner", f"--sdk_container_image={beam.image}", *workers]
    parallelism = [f"--parallelism={beam.parallelism}"] if beam.parallelism else []
    return [*_make_job_server_options(beam), *_make_environment_options(beam), *parallelism]


def _make_job_server_options(beam: BeamConfig) -> list[str]:
    if beam.job_endpoint:
        staging = [f"--artifact_endpoint={beam.artifact_endpoint}"] if beam.artifact_endpoint else []
        return ["--runner=PortableRunner", f"--job_endpoint={beam.job_endpoint}", *staging]
    jar = f"--{beam.runner}_job_server_jar={beam.job_server_jar}"
    return [f"--runner={_RUNNERS[beam.runner]}", f"--{_MASTERS[beam.runner]}={beam.master}", jar]


def _make_environment_options(beam: BeamConfig) -> list[str]:
    if beam.environment == "external":
        return ["--environment_type=EXTERNAL", f"--environment_config={beam.worker_pool}"]
    if beam.environment == "docker":
        return [
            "--environment_type=DOCKER",
            f"--environment_config={beam.image}",
            f"--sdk_container_image={beam.image}",
        ]
    return ["--environment_type=LOOPBACK"]
