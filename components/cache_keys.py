"""How a node's driver tells TFX's cache what the node reads of an input, in the place of the whole artifact.

TFX's key of a node holds its input artifacts whole, their ids included: a new artifact runs the node again, also where
the part that it reads has not changed. A driver adds execution properties to the key. It tells there what the executor
will read of an input, and names the input under `READ_IN_PART`: the pipeline's runner leaves that artifact out of the
key (`taxiway.pipeline.tfx_private`). Without a driver, or under another runner, the key holds the artifact, and the
node runs once more than it has to. No TFX.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

READ_IN_PART = "inputs_read_in_part"
"""Execution property: a JSON list of the inputs whose content other properties tell."""


def name_inputs_read_in_part(inputs: Iterable[str]) -> dict[str, str]:
    """The property that names them."""
    return {READ_IN_PART: json.dumps(sorted(inputs))}


def list_inputs_read_in_part(properties: Mapping[str, Any]) -> frozenset[str]:
    """The inputs that a driver has named among the execution properties; none where there was no such driver."""
    return frozenset(json.loads(properties.get(READ_IN_PART) or "[]"))
