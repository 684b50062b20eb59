"""Puts the fingerprint of the data into TFX's cache key.

The launcher looks into the cache before it starts the executor, by the execution properties; so the fingerprint has
to become one of them here. Kubeflow runs no driver: there the executor computes it.
"""

from __future__ import annotations

import copy
import json
import secrets

from tfx.components.example_gen.utils import FINGERPRINT_PROPERTY_NAME, SPAN_PROPERTY_NAME
from tfx.dsl.components.base import base_driver
from tfx.orchestration import data_types_utils, metadata
from tfx.orchestration.portable import base_driver as portable_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2
from tfx.types.standard_component_specs import EXAMPLES_KEY

from taxiway.components.errors import DataError
from taxiway.components.example_gen.config import DataConfig
from taxiway.components.tables.sources.fingerprint import fingerprint_files

SCHEMA_PROPERTY = "schema"


class FingerprintDriver(base_driver.BaseDriver, portable_driver.BaseDriver):
    """Adds `input_fingerprint` and `span` to the execution properties and to the examples artifact."""

    def __init__(self, metadata_handle: metadata.Metadata) -> None:
        # InteractiveContext gives it by this name.
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Fingerprints the data that the execution properties name."""
        properties = dict(execution_info.exec_properties)
        properties |= dict(
            zip((FINGERPRINT_PROPERTY_NAME, SPAN_PROPERTY_NAME), _fingerprint_content(properties), strict=True)
        )
        properties[SCHEMA_PROPERTY] = select_schema_rules(
            str(properties[SCHEMA_PROPERTY]), str(properties[FINGERPRINT_PROPERTY_NAME])
        )
        artifact = copy.deepcopy(execution_info.output_dict[EXAMPLES_KEY][0].mlmd_artifact)
        result = driver_output_pb2.DriverOutput()
        for key, value in properties.items():
            data_types_utils.set_metadata_value(result.exec_properties[key], value)
        for key in (FINGERPRINT_PROPERTY_NAME, SPAN_PROPERTY_NAME):
            data_types_utils.set_metadata_value(artifact.custom_properties[key], properties[key])
        result.output_artifacts[EXAMPLES_KEY].artifacts.append(artifact)
        return result


def select_schema_rules(schema: str, fingerprint: str) -> str:
    """The schema's rules, or none for the data that they were inferred from: it reads the same without."""
    return "" if schema and json.loads(schema)["inferred_from"] == fingerprint else schema


def _fingerprint_content(properties: dict[str, object]) -> tuple[str, int]:
    """Digest and span. Data that cannot be read is no cached data: the executor says why, and its execution fails.

    An error raised here would leave the execution RUNNING in the store for ever.
    """
    try:
        content = fingerprint_files(DataConfig.model_validate_json(str(properties["data"])))
    except DataError:
        return f"unreadable-{secrets.token_hex(8)}", 0
    return content.digest, content.span
