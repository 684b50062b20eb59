"""Makes TFX's cache see which model is live, so that the baseline, and all that is compared with it, may be cached.

The serving directory is no input of the node: the launcher would find the baseline of another day in its cache.
Kubeflow runs no driver, and the baseline there is not cached.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from tfx.dsl.components.base import base_driver
from tfx.orchestration import data_types_utils, metadata
from tfx.orchestration.portable import base_driver as portable_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2

from taxiway.components.baseline import core
from taxiway.components.errors import TaxiwayError
from taxiway.components.saved_models import model_versions
from taxiway.components.saved_models.manifest import digest_folder

LIVE_PROPERTY = "live_model"
NOTHING_LIVE = "none"


class LiveModelDriver(base_driver.BaseDriver, portable_driver.BaseDriver):
    """Adds number and digest of the live version to the execution properties."""

    def __init__(self, metadata_handle: metadata.Metadata) -> None:  # TFX's InteractiveContext names the argument
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Adds what is live in the serving directory that the execution properties name."""
        properties = dict(execution_info.exec_properties)
        properties[LIVE_PROPERTY] = identify_live_model(properties)
        result = driver_output_pb2.DriverOutput()
        for key, value in properties.items():
            data_types_utils.set_metadata_value(result.exec_properties[key], value)
        return result


def identify_live_model(properties: Mapping[str, Any]) -> str:
    """Number and digest of the live version of the execution properties' serving directory.

    What cannot be read, or may not be loaded or compared, matches nothing in the cache: the executor says why, and what
    refused it may be another code or disk tomorrow. Raised here, the error would leave the execution RUNNING for ever.
    """
    try:
        live = model_versions.find_live_version(properties["serving_directory"])
        if live is None:
            return NOTHING_LIVE
        if not core.refuse_comparison(live[1], properties["task"], core.build_load_check(properties)):
            return f"{live[0]} {digest_folder(live[1])}"
    except (OSError, TaxiwayError):
        pass
    return f"refused-{secrets.token_hex(8)}"
