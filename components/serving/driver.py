"""Makes TFX's cache see of the live model what the serving validator reads of it: what a push changes for its clients.

The baseline is a new artifact whenever another version is live, also the one that the last run has pushed. The
validator tries the candidate, and of the live model compares inputs and outputs. As long as the same comes of that, its
report is the same. Kubeflow runs no driver, and its backend's key holds the artifact.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tfx.dsl.components.base import base_driver
from tfx.orchestration import data_types_utils, metadata
from tfx.orchestration.portable import base_driver as portable_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2
from tfx.types import Artifact

from taxiway.components.cache_keys import name_inputs_read_in_part
from taxiway.components.contract import serving_model_dir
from taxiway.components.errors import TaxiwayError
from taxiway.components.serving.config import ServingConfig
from taxiway.components.serving.validation.input_changes import compare_with_live

LIVE_INPUT, CHANGES_PROPERTY = "baseline_model", "input_changes"


class InputChangesDriver(base_driver.BaseDriver, portable_driver.BaseDriver):
    """Adds the digest of what changes for the live version's clients to the execution properties."""

    def __init__(self, metadata_handle: metadata.Metadata) -> None:  # TFX's InteractiveContext names the argument
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Compares the two models that are inputs, where the pipeline has a live one."""
        properties = dict(execution_info.exec_properties)
        properties[CHANGES_PROPERTY] = digest_input_changes(execution_info.input_dict, properties)
        properties |= name_inputs_read_in_part([LIVE_INPUT])
        result = driver_output_pb2.DriverOutput()
        for key, value in properties.items():
            data_types_utils.set_metadata_value(result.exec_properties[key], value)
        return result


def digest_input_changes(inputs: Mapping[str, Sequence[Artifact]], properties: Mapping[str, Any]) -> str:
    """The digest of all that the validator will say of the live model.

    What cannot be read matches nothing in the cache: the executor says why. Raised here, the error would leave the
    execution RUNNING for ever.
    """
    live = [serving_model_dir(artifact.uri) for artifact in inputs.get(LIVE_INPUT) or ()]
    try:
        block = ServingConfig.model_validate_json(properties["config"]).input_changes == "block"
        [candidate] = inputs["model"]
        findings, changes = compare_with_live("".join(live[:1]), serving_model_dir(candidate.uri), block=block)
    except (OSError, ValueError, TaxiwayError):
        return f"unreadable-{secrets.token_hex(8)}"
    content = json.dumps([[asdict(finding) for finding in findings], changes])
    return hashlib.sha256(content.encode()).hexdigest()
