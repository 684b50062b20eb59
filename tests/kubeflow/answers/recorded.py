"""The recorded answers, and the same masks over what the emulator answers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

FILES = {"2.17": "release_2_17.yaml", "without-mlmd": "without_mlmd.yaml"}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LONG = 70


def read_answers(release: str) -> dict[str, Any]:
    return yaml.safe_load((Path(__file__).parent / FILES[release]).read_text(encoding="utf-8"))


def mask_uri(uri: str) -> str:
    names = iter(("RUN", "SALT"))
    return "/".join(next(names) if _UUID.fullmatch(part) else part for part in uri.split("/"))


def mask_text(value: Any) -> Any:
    """Of a parameter or a property."""
    if not isinstance(value, str):
        return value
    if value.startswith("minio://"):
        return mask_uri(value)
    return "RUN" if _UUID.fullmatch(value) else "LONG" if len(value) > LONG else value


def mask_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    masked = {name: "ID" if name.endswith("_model_id") else mask_text(value) for name, value in metadata.items()}
    return {**masked, **({"store_session_info": "SESSION"} if "store_session_info" in metadata else {})}


def mask_type(kind: dict[str, str]) -> dict[str, str]:
    """A schema's text as its title, since the texts are compared once for all."""
    return {name: f"SCHEMA {find_title(text)}" if "\n" in text else text for name, text in kind.items()}


def find_title(text: str) -> str:
    return text.splitlines()[0].removeprefix("title: ") if "\n" in text else text


def read_type(kind: dict[str, str]) -> str:
    """The text of a type, or its title where it is one of Kubeflow's own."""
    return kind.get("instanceSchema") or kind["schemaTitle"]


def mask_artifact(artifact: dict[str, Any]) -> dict[str, Any]:
    """As a consumer is given it."""
    masked = {**artifact, "uri": mask_uri(artifact["uri"]), "type": mask_type(artifact["type"])}
    if artifact["name"].isdecimal():
        masked["name"] = "ID"
    if "artifactId" in artifact:
        assert _UUID.fullmatch(artifact["artifactId"])
        masked["artifactId"] = "ID"
    return {**masked, **({"metadata": mask_metadata(artifact["metadata"])} if "metadata" in artifact else {})}


def unwrap_metadata(metadata: dict[str, Any], key: str) -> dict[str, Any]:
    """What the node wrote, from what its consumer was given: without what the launcher has added."""
    added = {"store_session_info": "SESSION", "display_name": key}
    written = {name: value for name, value in metadata.items() if added.get(name) != value}
    return {
        name: value["struct"] if isinstance(value, dict) and set(value) == {"struct"} else value
        for name, value in written.items()
    }
