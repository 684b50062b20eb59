"""The pipeline that a configuration names: ours, or a function of the user's that makes another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfx.orchestration.pipeline import Pipeline

from taxiway.components.errors import ConfigError, TaxiwayError, describe_foreign_error
from taxiway.components.user_functions import import_function
from taxiway.pipeline.config import PipelineConfig
from taxiway.pipeline.root import Root


def build_pipeline(config: PipelineConfig, root: Root, *, cache: bool = True, force: bool = False) -> Pipeline:
    """The pipeline of `taxiway run` and `taxiway compile`.

    Args:
        config: Configuration; its key `pipeline` names the function.
        root: Root under which a run writes.
        cache: Whether nodes whose inputs have not changed reuse what they wrote before.
        force: Whether what is live already, or was rolled back, is pushed.

    Raises:
        ConfigError: The function cannot be imported, or what it made does not run under this root.
    """
    if not config.pipeline:
        from taxiway.pipeline.dag import create_pipeline

        return create_pipeline(config, root, cache=cache, force=force)
    function = import_function(config.pipeline_function, "pipeline")
    made = _call_function(function, config, root, cache, force)
    if not isinstance(made, Pipeline):
        raise ConfigError(
            f"pipeline: {config.pipeline} returned {type(made).__name__}, which is no TFX pipeline.",
            "Return what taxiway.create_pipeline(config, root, ...) returns, or a tfx.dsl.Pipeline.",
        )
    _check_places(made, config, root)
    return made


def _call_function(function: Callable[..., Any], config: PipelineConfig, root: Root, cache: bool, force: bool) -> Any:
    try:
        return function(config, root, cache=cache, force=force)
    except TaxiwayError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise ConfigError(
            f"pipeline: {config.pipeline} failed: {describe_foreign_error(error)}.",
            "It is called as function(config, root, cache=..., force=...); functions of nodes get the nodes by id.",
        ) from error


def _check_places(made: Any, config: PipelineConfig, root: Root) -> None:
    """Refuses a pipeline whose artifacts or records would lie where no command looks for them."""
    connection = made.metadata_connection_config
    found = {
        "pipeline_name": str(made.pipeline_info.pipeline_name),
        "pipeline_root": str(made.pipeline_info.pipeline_root),
        "metadata_connection_config": str(getattr(getattr(connection, "sqlite", None), "filename_uri", "")),
    }
    wanted = {
        "pipeline_name": config.name,
        "pipeline_root": str(root.artifacts),
        "metadata_connection_config": str(root.metadata),
    }
    for key, value in wanted.items():
        if found[key] != value:
            raise ConfigError(
                f"pipeline: {config.pipeline} made a pipeline whose {key} is {found[key]!r}, not {value!r}.",
                "Make it with config.name, root.artifacts and sqlite_metadata_connection_config(str(root.metadata)).",
            )
