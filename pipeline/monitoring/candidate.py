"""The newest verdict on the candidate of a serving directory, as the rollout reads it."""

from __future__ import annotations

from pathlib import Path

from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.pipeline.monitoring.verdicts import LABEL_KINDS, ServingVerdict, is_overruled, list_verdicts
from taxiway.pipeline.serving.rollout import CandidateVerdict, get_candidate
from taxiway.pipeline.serving.versions import open_directory

OF_THE_ANSWERS = frozenset({"scores", "calibration", "metric"})
"""Kinds of findings that are the model's own; the others say how requests differ from its training."""


def read_candidate_verdict(root: str | Path, model: str | None) -> CandidateVerdict | None:
    """The newest verdict on the candidate by the standing settings; None where none was made.

    One that is wrong by its labels comes before newer ones without labels. Where only others were made, its status is
    `not_standing`. A verdict on other bytes under the same number is none on the candidate. Where the live version's
    requests differ from its training in the same columns, the status is `live_too`: to take the candidate back would
    mend nothing.

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
    shared = _explain_shared(root, directory, found) if found and found.status == "wrong" else ""
    if found and shared:
        return CandidateVerdict("live_too", found.window_start, found.window_end, shared)
    if found:
        return CandidateVerdict(found.status, found.window_start, found.window_end, found.reason)
    if listed:
        newest = listed[0]
        reason = f"the newest verdict was {newest.origin}"
        return CandidateVerdict("not_standing", newest.window_start, newest.window_end, reason)
    return None


def _explain_shared(root: str | Path, directory: ServingDirectory, wrong: ServingVerdict) -> str:
    """Why a wrong verdict is not the candidate's fault; empty where it may be.

    It is not where only its requests differ from training, and the live version's newest standing verdict on the same
    time finds the same of each of those columns; of labels, the newest one that had some.
    """
    live = directory.find_live()
    found = _list_blocking(wrong)
    if live is None or any(kind in OF_THE_ANSWERS for kind, _ in found):
        return ""
    on_live = [
        each
        for each in list_verdicts(root, directory.base.name, live.number)
        if each.standing
        and each.is_about(live.digest)
        and each.window_start < wrong.window_end
        and wrong.window_start < each.window_end
    ]
    labelled = next((each for each in on_live if each.performance or each.is_wrong_by_labels), None)
    of_labels = {(kind, column) for kind, column in found if kind in LABEL_KINDS}
    if not (found - of_labels <= _list_blocking(next(iter(on_live), None)) and of_labels <= _list_blocking(labelled)):
        return ""
    return (
        f"{wrong.reason}; of the live version {live.number}, too, so the requests have changed and the candidate is "
        "not worse: taxiway promote or taxiway rollback, as you decide"
    )


def _list_blocking(verdict: ServingVerdict | None) -> set[tuple[str, str]]:
    return {(each.kind, each.column) for each in (verdict.findings if verdict else ()) if each.blocking}
