"""What Kubernetes takes as names, quantities and labels."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

OBJECT_NAME = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
"""Of a secret, a config map, a claim, a storage class: a DNS subdomain."""
VOLUME_NAME = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
"""Of what is mounted: the backend names the pod's volume after it, and a volume's name is a DNS label without dots."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|[MGTPE]|[KMGTPE]i)?")
_PREFIX = r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?"
_LABEL_NAME = re.compile(_PREFIX + r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def _check_variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError(f"{name!r} is no name of an environment variable: letters, digits and _, no digit first")
    return name


def _check_quantity(text: str) -> str:
    if not _QUANTITY.fullmatch(text):
        raise ValueError(f"{text!r} is no quantity of Kubernetes, such as 512Mi, 20Gi or 2G")
    return text


def check_label_name(name: str) -> str:
    """A label's or an annotation's key.

    Raises:
        ValueError: Kubernetes would refuse it.
    """
    if not _LABEL_NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is no key of Kubernetes, such as team or example.com/team, the name at most 63 long"
        )
    return name


def _check_label_value(text: str) -> str:
    if not _LABEL_VALUE.fullmatch(text):
        raise ValueError(
            f"{text!r} is no value of a label: at most 63 letters, digits, -, _ and ., none of them at an end"
        )
    return text


ObjectName = Annotated[str, Field(pattern=OBJECT_NAME)]
MountedName = Annotated[str, Field(pattern=VOLUME_NAME)]
MountPath = Annotated[str, Field(pattern=r"^/[^:]*$")]
VariableName = Annotated[str, AfterValidator(_check_variable)]
Quantity = Annotated[str, AfterValidator(_check_quantity)]
LabelName = Annotated[str, AfterValidator(check_label_name)]
LabelValue = Annotated[str, AfterValidator(_check_label_value)]
