"""The candidate: a version that is served beside the live one until it is promoted or withdrawn.

Its number is below the live one's, so that live stays the highest number for every reader, TensorFlow Serving included,
and its label (`shadow` or `canary`) keeps it loaded and safe from retention. Nothing is written here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from taxiway.components.serving.config import RolloutPolicy

CANDIDATE_OF = "candidate_of"
"""In a candidate's provenance: the version that was live when it came."""
PROMOTED_FROM = "promoted_from"
"""In a promoted version's provenance: the candidate whose bytes it has."""


@dataclass(frozen=True)
class RolloutStep:
    """One change of a candidate's share, for the records.

    Attributes:
        share: Share of the requests from then on, 0 to 1.
        time: Seconds since 1970.
        reason: Why.
        user: Who.
    """

    share: float
    time: float
    reason: str = ""
    user: str = ""


@dataclass(frozen=True)
class Candidate:
    """A version that is served beside the live one.

    Attributes:
        version: Its number.
        policy: `shadow`: a share of the requests is answered by both, clients get the live answer; `canary`: a share of
            the requests is answered by the candidate.
        shares: The shares through which a canary goes; a shadow's only one.
        steps: What was done, the oldest first; the last one holds now.
    """

    version: int
    policy: RolloutPolicy
    shares: tuple[float, ...]
    steps: tuple[RolloutStep, ...]

    @property
    def share(self) -> float:
        """Of the requests, now."""
        return self.steps[-1].share

    @property
    def since(self) -> float:
        """When this share began; seconds since 1970."""
        return self.steps[-1].time

    @property
    def next_share(self) -> float | None:
        """The share after this one; None at the last."""
        return next((share for share in self.shares if share > self.share), None)

    def with_step(self, step: RolloutStep) -> Candidate:
        """The candidate with another share."""
        return replace(self, steps=(*self.steps, step))

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "version": self.version,
            "policy": self.policy,
            "shares": list(self.shares),
            "steps": [vars(step) for step in self.steps],
        }


@dataclass(frozen=True)
class Trial:
    """How a pushed model is tried beside the live version; see `Candidate`."""

    policy: RolloutPolicy
    shares: tuple[float, ...]


def parse_candidate(stored: Mapping[str, Any] | None) -> Candidate | None:
    """What `to_json` made; None where there is no candidate.

    Raises:
        TypeError, ValueError, KeyError: It is damaged.
    """
    if not stored:
        return None
    steps = tuple(RolloutStep(**step) for step in stored["steps"])
    if not steps or stored["policy"] not in ("shadow", "canary"):
        raise ValueError("a candidate has a policy and a step")
    return Candidate(int(stored["version"]), stored["policy"], tuple(map(float, stored["shares"])), steps)


def format_rollout(candidate: Candidate | None) -> str:
    """`rollout.json`, for a proxy before TensorFlow Serving: policy, label, version and share; `{}` without one."""
    content: dict[str, Any] = {}
    if candidate:
        content = {"policy": candidate.policy, "label": candidate.policy, "version": candidate.version}
        content["share"] = candidate.share
    return json.dumps(content, indent=2) + "\n"


def describe_candidate(candidate: Candidate) -> str:
    """The candidate in a few words."""
    share = f"{candidate.share * 100:.3g} % of the requests"
    doing = f"answers {share}" if candidate.policy == "canary" else f"is compared on {share}"
    return f"version {candidate.version} {doing} ({candidate.policy})"
