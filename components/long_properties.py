"""Texts among an artifact's custom properties that grow with the data: short ones as properties, long ones as files.

On Kubeflow Pipelines the properties of a node's inputs are in one argument of its process, which Linux limits to
131,072 bytes: kinds of 4,000 columns would be longer, and no node after ExampleGen could start. A file of the artifact
has no such limit.
"""

from __future__ import annotations

from tensorflow.io import gfile
from tfx.types import Artifact

MAX_PROPERTY_BYTES = 1024
"""Of a text that stays a property."""


def write_text(artifact: Artifact, name: str, text: str) -> None:
    """Keeps a text with an artifact, whose folder exists.

    Args:
        artifact: Artifact that is being written.
        name: Name of the property, and of the file.
        text: JSON.
    """
    if len(text.encode()) <= MAX_PROPERTY_BYTES:
        artifact.set_string_custom_property(name, text)
        return
    with gfile.GFile(_locate_file(artifact, name), "w") as file:
        file.write(text)


def read_text(artifact: Artifact, name: str) -> str:
    """The text; empty where the artifact has none. Artifacts of before there were files have long properties."""
    if artifact.has_custom_property(name):
        return str(artifact.get_string_custom_property(name))
    path = _locate_file(artifact, name)
    if not gfile.exists(path):
        return ""
    with gfile.GFile(path, "r") as file:
        return str(file.read())


def _locate_file(artifact: Artifact, name: str) -> str:
    return f"{artifact.uri}/{name}.json"
