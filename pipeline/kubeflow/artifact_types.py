"""The titles of artifact types in a pipeline's specification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml


def read_title(artifact_type: Mapping[str, Any]) -> str:
    """The title of a type, such as `tfx.Examples`; empty where it has none.

    Args:
        artifact_type: `ArtifactTypeSchema`, JSON values: a title alone, or a whole schema in YAML, as TFX writes it.
    """
    if artifact_type.get("schemaTitle"):
        return str(artifact_type["schemaTitle"])
    try:
        schema = yaml.safe_load(artifact_type.get("instanceSchema", ""))
    except yaml.YAMLError:
        return ""
    return str(schema.get("title") or "") if isinstance(schema, dict) else ""
