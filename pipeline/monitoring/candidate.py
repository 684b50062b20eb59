"""The newest verdict on the candidate of a serving directory, as the rollout reads it."""

from __future__ import annotations

from pathlib import Path

from taxiway.pipeline.monitoring.verdicts import is_overruled, list_verdicts
from taxiway.pipeline.serving.rollout import CandidateVerdict, get_candidate
from taxiway.pipeline.serving.versions import open_directory


def read_candidate_verdict(root: str | Path, model: str | None) -> CandidateVerdict | None:
    """The newest verdict on the candidate by the standing settings; None where none was made.

    One that is wrong by its labels comes before newer ones without labels. Where only others were made, its status is
    `not_standing`. A verdict on other bytes under the same number is none on the candidate.

    Raises:
        UsageError: There is no candidate.
        ServingError: Its version is gone.
        StoreError: A verdict is damaged.
    """
    directory = open_directory(root, model)
    version = directory.get_version(get_candidate(directory).version)
    listed = list_verdicts(root, directory.base.name, version.number)
    listed = [each for each in listed if each.is_about(version.digest)]
    standing = [each for each in listed if each.standing]
    late = (each for each in standing if each.is_wrong_by_labels and not is_overruled(each, standing))
    found = next(late, None) or next(iter(standing), None)
    if found:
        return CandidateVerdict(found.status, found.window_start, found.window_end, found.reason)
    if listed:
        newest = listed[0]
        reason = f"the newest verdict was {newest.origin}"
        return CandidateVerdict("not_standing", newest.window_start, newest.window_end, reason)
    return None
