"""The reason for which a check refuses something."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """The reason why something is not done. A check returns `Refusal | None`: None where it finds no reason.

    Such a check is called `find_..._refusal` or `refuse_...`, so that `if refusal:` reads as "if refused".

    Attributes:
        reason: A phrase that is read on its own or behind `not tried: ` and its kind; never empty.
    """

    reason: str

    def __post_init__(self) -> None:
        if not self.reason:
            raise ValueError("a refusal needs its reason; where there is none, return None")

    def __str__(self) -> str:
        return self.reason
