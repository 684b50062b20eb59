"""Checks of a compiled pipeline: what the target would refuse or ignore, one rule a function."""

from __future__ import annotations

from taxiway.components.errors import ConfigError
from taxiway.pipeline.kubeflow.checks import leaks, platform_fields, pods, sizes, specification, storage
from taxiway.pipeline.kubeflow.checks.finding import Check, TargetFinding
from taxiway.pipeline.kubeflow.compiler import CompiledPipeline

CHECKS: tuple[Check, ...] = (
    specification.check_schema_version,
    specification.check_pipeline_name,
    specification.check_task_names,
    specification.check_resolvers,
    specification.check_importer_conditions,
    specification.check_lifecycle,
    specification.check_artifact_types,
    specification.check_conditions,
    pods.check_image,
    storage.check_pipeline_root,
    storage.check_root_folder,
    storage.check_data_path,
    storage.check_published_folder,
    specification.check_node_names,
    pods.check_accelerators,
    pods.check_distribution,
    platform_fields.check_vertex,
    platform_fields.check_releases,
    platform_fields.check_never_applied,
    platform_fields.check_installed,
    pods.check_retry_waits,
    leaks.check_secrets,
    leaks.check_machine_paths,
    leaks.check_loopback,
    sizes.check_size,
    sizes.check_arguments,
)

_TARGETS = {"kfp": "Kubeflow Pipelines", "vertex": "Vertex AI Pipelines"}

__all__ = ["CHECKS", "TargetFinding", "examine_pipeline", "require_accepted"]


def examine_pipeline(compiled: CompiledPipeline) -> list[TargetFinding]:
    """Every finding, the refused first, each kind in the order of the pipeline."""
    findings = [finding for check in CHECKS for finding in check(compiled)]
    return sorted(findings, key=lambda finding: ("refused", "ignored", "note").index(finding.level))


def require_accepted(compiled: CompiledPipeline) -> list[TargetFinding]:
    """The findings that are not fatal.

    Raises:
        ConfigError: The target would refuse the pipeline, with every reason.
    """
    findings = examine_pipeline(compiled)
    refused = [finding for finding in findings if finding.level == "refused"]
    if refused:
        raise ConfigError(
            f"{_TARGETS[compiled.target]} would refuse this pipeline:\n"
            + "\n".join(f"  {finding}" for finding in refused),
            "Mend the configuration; `taxiway doctor --target` says it again.",
        )
    return findings
