"""Which version a rollback returns to, and what it changes in the directory's state. Nothing is written here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxiway.components.errors import ServingError
from taxiway.components.serving.versions.candidates.candidate import CANDIDATE_OF, PROMOTED_FROM
from taxiway.components.serving.versions.state import DirectoryState
from taxiway.components.serving.versions.version import Version, check_readable, get_version_digest


@dataclass(frozen=True)
class RollbackPlan:
    """What a rollback would do.

    Attributes:
        live: The version that is live before it.
        target: The version whose bytes return.
        passed_over: Newer versions of other models that are quarantined or damaged; empty where `target` was named.
        takes_back: Whether the model of `live` is quarantined after it: not where another rollback is undone.
    """

    live: Version
    target: Version
    passed_over: tuple[Version, ...]
    takes_back: bool


def plan_rollback(
    base: Path, live: Version | None, versions: Sequence[Version], state: DirectoryState, named: Version | None
) -> RollbackPlan:
    """What a rollback would do.

    Args:
        base: The serving directory.
        live: The live version.
        versions: All versions.
        state: Labels and quarantine.
        named: The version whose bytes return; None: the newest one of another model that is not quarantined.

    Raises:
        ServingError: There is nothing to return to.
    """
    if live is None:
        raise ServingError(f"{base} has no version.", "Push one first: taxiway run.")
    if named:
        check_readable(named)
    target, passed_over = (named, []) if named else find_earlier_version(base, live, versions, state)
    digest = get_version_digest(live)
    if digest == get_version_digest(target):
        raise ServingError(
            f"Version {target.number} is the model that is live already (version {live.number}).",
            "Name a version of another model; see: taxiway versions.",
        )
    takes_back = digest in build_state(state, live, target, versions, {}).quarantined
    return RollbackPlan(live, target, tuple(passed_over), takes_back)


_OF_A_ROLLOUT = (CANDIDATE_OF, PROMOTED_FROM, "promotion_reason")


def find_earlier_version(
    base: Path, live: Version, versions: Sequence[Version], state: DirectoryState
) -> tuple[Version, list[Version]]:
    """The version to which a rollback without a number returns, and the newer ones that it passes over: they are
    quarantined or damaged.

    Raises:
        ServingError: There is no version of another model that is neither.
    """
    others = [v for v in reversed(versions) if get_version_digest(v) != get_version_digest(live) and not is_tried(v)]
    for place, version in enumerate(others):
        if not version.problem and get_version_digest(version) not in state.quarantined:
            return version, others[:place]
    raise ServingError(
        f"{base} has no earlier version of another model to return to"
        + (f": there is only {format_passed_over(others, state)}." if others else "."),
        "Name a version to make it live all the same: taxiway rollback VERSION; see taxiway versions.",
    )


def is_tried(version: Version) -> bool:
    """Whether it came as a candidate, so that it was never live under this number."""
    return version.provenance.get(CANDIDATE_OF) is not None


def build_state(
    state: DirectoryState, live: Version, target: Version, versions: Sequence[Version], entry: Mapping[str, Any]
) -> DirectoryState:
    """The state after a rollback: what was live is quarantined, what returns is not.

    Args:
        state: Before.
        live: The version that is left.
        target: The version whose bytes return.
        versions: All versions.
        entry: The quarantine's record of what is left.
    """
    after = state.without_quarantined(get_version_digest(target))
    if _undoes_rollback(target, live, versions):
        return after  # what is left now was never bad
    return after.with_quarantined(get_version_digest(live), entry)


def _undoes_rollback(target: Version, live: Version, versions: Sequence[Version]) -> bool:
    """Whether the bytes that return are those that the live version, itself a rollback, took back."""
    undone, digest = live.provenance.get("rollback_of"), get_version_digest(target)
    return undone is not None and any(v.number == undone and get_version_digest(v) == digest for v in versions)


def build_provenance(target: Version, live: Version, reason: str) -> dict[str, Any]:
    """The new version's provenance: the target's own, and that it is a rollback."""
    return {
        **{key: value for key, value in target.provenance.items() if key not in ("version", *_OF_A_ROLLOUT)},
        "rollback_of": live.number,
        "bytes_of": target.number,
        "rollback_reason": reason,
    }


def format_passed_over(versions: Sequence[Version], state: DirectoryState) -> str:
    """Quarantined versions with the reasons of their rollbacks, and damaged ones, newest first."""
    return ", ".join(f"version {v.number} ({_explain_passing(v, state)})" for v in versions)


def _explain_passing(version: Version, state: DirectoryState) -> str:
    entry = state.quarantined.get(get_version_digest(version))
    if entry is None:
        return "damaged"
    return f"quarantined: {entry['reason']}" if entry.get("reason") else "quarantined"
