"""Makes TFX's cache see what the data gate compares with.

The statistics of earlier data are no input of the node: the launcher would find the verdict of another comparison in
its cache. Kubeflow runs no driver, and the gate there is not cached where it compares.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfx.components.example_gen.utils import FINGERPRINT_PROPERTY_NAME, SPAN_PROPERTY_NAME
from tfx.dsl.components.base import base_driver
from tfx.orchestration import data_types_utils, metadata
from tfx.orchestration.portable import base_driver as portable_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2
from tfx.types import Artifact, artifact_utils

from taxiway.components.distributions.distances import Kind
from taxiway.components.gates import reference_statistics
from taxiway.components.gates.config import GatesConfig

REFERENCE_PROPERTY = "reference"


class ReferenceDriver(base_driver.BaseDriver, portable_driver.BaseDriver):
    """Adds the digest of what will be compared with to the execution properties."""

    def __init__(self, metadata_handle: metadata.Metadata) -> None:
        # InteractiveContext gives it by this name.
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Adds the digest of the references that the executor will find."""
        properties = dict(execution_info.exec_properties)
        examples = artifact_utils.get_single_instance(list(execution_info.input_dict["examples"]))
        properties[REFERENCE_PROPERTY] = _hash_references(find_references(properties, identify_data(examples)))
        result = driver_output_pb2.DriverOutput()
        for key, value in properties.items():
            data_types_utils.set_metadata_value(result.exec_properties[key], value)
        return result


def identify_data(examples: Artifact) -> reference_statistics.DataId:
    """Which data the examples were made from."""
    return reference_statistics.DataId(
        int(examples.get_custom_property(SPAN_PROPERTY_NAME) or 0),  # Kubeflow's metadata knows floats only
        examples.get_string_custom_property(FINGERPRINT_PROPERTY_NAME),
    )


def find_references(
    properties: Mapping[str, Any], data: reference_statistics.DataId
) -> dict[Kind, reference_statistics.ReferenceStatistics]:
    """By `drift` and `skew`: what earlier data this run's is compared with, where it is to be."""
    config = GatesConfig.model_validate_json(properties["config"])
    folder = Path(properties["statistics_directory"])
    references: dict[Kind, reference_statistics.ReferenceStatistics] = {}
    wanted: dict[Kind, str] = {"drift": config.drift.against, "skew": config.skew.against}
    for kind, against in wanted.items():
        if against == "previous_span":
            references[kind] = reference_statistics.find_previous_reference(folder, data.span)
        elif against == "live":
            references[kind] = reference_statistics.find_live_reference(folder, Path(properties["serving_directory"]))
    return references


def _hash_references(references: Mapping[Kind, reference_statistics.ReferenceStatistics]) -> str:
    """What cannot be read matches nothing in the cache: the executor says why. Raised here, the error would leave the
    execution RUNNING for ever."""
    try:
        return " ".join(f"{kind}:{reference.hash_content()}" for kind, reference in sorted(references.items()))
    except OSError:
        return f"unreadable-{secrets.token_hex(8)}"
