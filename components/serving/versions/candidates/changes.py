"""What is done to a candidate after its push: another share, the promotion, the withdrawal.

Each holds the directory's lock from its first look to its last write. Files around the versions are rewritten by
`versions.operations`.
"""

from __future__ import annotations

from taxiway.components.errors import ServingError
from taxiway.components.saved_models import model_versions
from taxiway.components.serving.versions.candidates.candidate import (
    CANDIDATE_OF,
    PROMOTED_FROM,
    Candidate,
    RolloutStep,
)
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.components.serving.versions.push_result import PushResult
from taxiway.components.serving.versions.state import DirectoryState
from taxiway.components.serving.versions.version import (
    Version,
    check_intact,
    check_number_left,
    format_time,
    get_version_digest,
)


def promote_candidate(
    directory: ServingDirectory, *, reason: str = "", seen_candidate: int | None = None
) -> PushResult:
    """Makes the candidate live: publishes its bytes under a new number.

    Args:
        directory: The serving directory.
        reason: Reason, for the provenance.
        seen_candidate: The candidate when this was decided; None: not compared.

    Raises:
        ServingError: There is none, or another one than `seen_candidate`, or it was changed after its push.
    """
    with directory.hold_lock():
        target = _get_version(directory, directory.load_state(), seen_candidate)
        live, digest = directory.find_live(), get_version_digest(target)
        if live and get_version_digest(live) == digest:  # killed between the two writes below
            directory.change_state(directory.load_state().without_candidate())
            return PushResult(False, live.number, live.path, digest, f"live already, as version {live.number}")
        check_intact(target)
        check_number_left(directory.base)
        kept = {key: value for key, value in target.provenance.items() if key not in ("version", CANDIDATE_OF)}
        provenance = {**kept, PROMOTED_FROM: target.number, "bytes_of": target.number, "promotion_reason": reason}
        how = f"promoted from the candidate, version {target.number}"
        result = directory.add_version(target.path, digest, provenance, {}, how)
        directory.change_state(directory.load_state().without_candidate())
        return result


def withdraw_candidate(directory: ServingDirectory, *, reason: str = "", seen_candidate: int | None = None) -> Version:
    """Takes the candidate out of service and quarantines its model. The live version stays.

    Args:
        directory: The serving directory.
        reason: Reason, for the quarantine's record.
        seen_candidate: The candidate when this was decided; None: not compared.

    Raises:
        ServingError: There is none, or another one than `seen_candidate`.
    """
    with directory.hold_lock():
        state = directory.load_state()
        target = _get_version(directory, state, seen_candidate)
        entry = {"version": target.number, "reason": reason, "time": format_time(directory.clock())}
        directory.change_state(state.without_candidate().with_quarantined(get_version_digest(target), entry))
        return target


def set_share(directory: ServingDirectory, share: float, *, reason: str = "", user: str = "") -> Candidate:
    """Gives the candidate another share of the requests.

    Raises:
        ServingError: There is none, or it is no share.
    """
    if not 0 < share <= 1:
        raise ServingError(f"{share:g} is no share of the requests.", "A number above 0 and at most 1, such as 0.25.")
    with directory.hold_lock():
        state = directory.load_state()
        candidate = _get_candidate(directory, state)
        model_versions.choose_version(directory.base, candidate.version)  # it is there
        changed = candidate.with_step(RolloutStep(share, directory.clock(), reason, user))
        directory.change_state(state.with_candidate(changed))
        return changed


def _get_version(directory: ServingDirectory, state: DirectoryState, seen: int | None) -> Version:
    candidate = _get_candidate(directory, state)
    if seen not in (None, candidate.version):
        raise ServingError(
            f"Meanwhile version {candidate.version} is the candidate: this was decided while version {seen} was.",
            "Nothing was changed. Look again, then decide.",
        )
    return directory.get_version(candidate.version)


def _get_candidate(directory: ServingDirectory, state: DirectoryState) -> Candidate:
    if state.candidate is None:
        raise ServingError(
            f"{directory.base} has no candidate.", "serving.promotion: shadow or canary makes the next push one."
        )
    return state.candidate
