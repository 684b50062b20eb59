"""The stacks: sets of versions that are pinned, locked and tested together (docs/upgrading.md).

This is what is said of them. What the code does differently on each is in `components/stack_seam.py`.
"""

from __future__ import annotations

import contextlib
import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

from taxiway.components.errors import ConfigError

NAMING_PACKAGE = "tfx"
"""The package whose series of versions names the stack."""
IMAGE_PLACE = "{stack}"
"""What stands for the installed stack's name in the name of an image."""


@dataclass(frozen=True)
class Ability:
    """Something that only some stacks can do.

    Attributes:
        name: What it is.
        there: Whether the stack can do it.
        detail: How, or why not.
    """

    name: str
    there: bool
    detail: str


@dataclass(frozen=True)
class Stack:
    """One stack.

    Attributes:
        name: As TAXIWAY_STACK and the locks name it.
        tfx_series: First two numbers of its version of TFX.
        supported_until: The last day on which it is kept working; the end of its Python.
        abilities: What only some stacks can do, in the order in which they are shown.
    """

    name: str
    tfx_series: str
    supported_until: datetime.date
    abilities: tuple[Ability, ...]


CURRENT = Stack(
    "current",
    "1.21",
    datetime.date(2028, 10, 31),
    (
        Ability(
            "TF-TRT", False, "TensorFlow is built without TensorRT from 2.18 on; tensorrt_engine_* needs no TF-TRT"
        ),
        Ability("filter_query", False, "ML Metadata has none from 1.21 on; no command of Taxiway needs it"),
    ),
)
TF216 = Stack(
    "tf216",
    "1.16",
    datetime.date(2027, 10, 31),
    (
        Ability(
            "TF-TRT", True, "models are made on a GPU with TensorRT 8.6, served if serving.allowed_ops names their ops"
        ),
        Ability("filter_query", True, "ML Metadata 1.16 has it, for queries of your own"),
    ),
)
STACKS = (CURRENT, TF216)


def find_stack(packages: Mapping[str, str]) -> Stack | None:
    """The stack to which versions belong; None for those of none.

    Args:
        packages: Versions by package.
    """
    series = ".".join(packages.get(NAMING_PACKAGE, "").split(".")[:2])
    return next((stack for stack in STACKS if stack.tfx_series == series), None)


def find_installed_stack() -> Stack | None:
    """The stack that is installed here; None where it is none of them."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return find_stack({NAMING_PACKAGE: metadata.version(NAMING_PACKAGE)})
    return None


def resolve_image(image: str) -> str:
    """The name of an image for what the installed stack makes or compiles, with the stack's name in its place.

    Raises:
        ConfigError: The image is of another stack: its TFX would read what the installed one has written.
    """
    own = find_installed_stack()
    if own is None:
        return image
    named = find_image_stack(image)
    if named and named is not own:
        problem = f"The image {image!r} is of the stack {named.name}, and {own.name} is installed here."
        remedy = f"`make image STACK={own.name}` and push it; {IMAGE_PLACE} in its name stands for the stack."
        raise ConfigError(problem, remedy)
    return image.replace(IMAGE_PLACE, own.name)


def find_image_stack(image: str) -> Stack | None:
    """The stack that the tag of an image names, as `make image` tags them; None where it names none."""
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    return next((stack for stack in STACKS if re.search(rf"(^|-){stack.name}(-gpu)?$", tag)), None)
