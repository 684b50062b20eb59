"""Names of images in `resources`, as the cluster and the workers are told them: of the installed stack."""

from __future__ import annotations

from typing import Any, TypeVar

from taxiway.pipeline.resources import BeamConfig, KubeflowConfig, NodeResources
from taxiway.pipeline.stacks import resolve_image

SectionT = TypeVar("SectionT", BeamConfig, KubeflowConfig, NodeResources)


def resolve_images(section: SectionT) -> SectionT:
    """The section with the installed stack's name in its images, those of its components too.

    What names no image stays unset: a component would not get the default's otherwise.

    Raises:
        ConfigError: An image is of another stack.
    """
    changes: dict[str, Any] = {"image": resolve_image(section.image)} if section.image else {}
    if isinstance(section, KubeflowConfig):
        changes["default"] = resolve_images(section.default)
        changes["components"] = {node: resolve_images(each) for node, each in section.components.items()}
    return section.model_copy(update=changes)
