"""The candidate from the command line: promote it, step up, withdraw it; what its trial has shown."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from taxiway.components.errors import StoreError, UsageError
from taxiway.components.serving.config import ROLLOUT_FOLDER
from taxiway.components.serving.versions import operations
from taxiway.components.serving.versions.action_log import Actor
from taxiway.components.serving.versions.candidates.candidate import Candidate, describe_candidate
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.pipeline.root import Root
from taxiway.pipeline.serving.versions import open_directory, open_metadata_store

Change = Literal["promoted", "stepped", "withdrawn", "waits"]


@dataclass(frozen=True)
class RolloutDecision:
    """What became of a candidate.

    Attributes:
        change: `promoted`: it is live; `stepped`: it has another share; `withdrawn`; `waits`: nothing was changed.
        candidate: Its number.
        version: The live version now.
        share: Its share of the requests now; None where it is no candidate any more.
        reason: Why.
        not_recorded: Why ML Metadata has no record of a promotion or withdrawal; empty where it has, or needs none.
        unfinished: What else failed after the change, a sentence each.
    """

    change: Change
    candidate: int
    version: int | None
    share: float | None
    reason: str
    not_recorded: str = ""
    unfinished: tuple[str, ...] = ()


@dataclass(frozen=True)
class CandidateVerdict:
    """The monitor's word on a candidate.

    Attributes:
        status: `right`, `wrong` or `too_few_rows`; `not_standing`: one that nothing acts on;
            `live_too`: wrong, and the live version in the same way.
        window_start: When its window began; seconds since 1970.
        window_end: When it ended.
        reason: One sentence.
    """

    status: str
    window_start: float
    window_end: float
    reason: str


def get_candidate(directory: ServingDirectory) -> Candidate:
    """The candidate.

    Raises:
        UsageError: There is none.
    """
    candidate = directory.load_state().candidate
    if candidate is None:
        raise UsageError(
            f"{directory.base} has no candidate.",
            "serving.promotion: shadow or canary makes the next push one; with VERSION and --label, a label is given.",
        )
    return candidate


def promote_candidate(root: str | Path, model: str | None, reason: str) -> RolloutDecision:
    """Makes the candidate live.

    Raises:
        UsageError: There is none.
        ServingError: It cannot be published.
    """
    directory = open_directory(root, model)
    candidate = get_candidate(directory)
    done = operations.promote_candidate(
        directory, directory.base.name, partial(open_metadata_store, Root.at(root)), Actor(reason=reason)
    )
    return RolloutDecision(
        "promoted", candidate.version, done.result.version, None, done.result.reason, done.not_recorded, done.unfinished
    )


def withdraw_candidate(root: str | Path, model: str | None, reason: str) -> RolloutDecision:
    """Takes the candidate out of service; the live version stays.

    Raises:
        UsageError: There is none.
    """
    directory = open_directory(root, model)
    candidate = get_candidate(directory)
    done = operations.withdraw_candidate(
        directory, directory.base.name, partial(open_metadata_store, Root.at(root)), Actor(reason=reason)
    )
    return RolloutDecision(
        "withdrawn",
        candidate.version,
        done.result.version,
        None,
        f"{done.result.reason}{f' ({reason})' if reason else ''}",
        done.not_recorded,
        done.unfinished,
    )


def set_share(root: str | Path, model: str | None, share: float, reason: str) -> RolloutDecision:
    """Gives the candidate another share of the requests.

    Raises:
        UsageError: There is none.
        ServingError: It is no share.
    """
    directory = open_directory(root, model)
    get_candidate(directory)
    changed, unfinished = operations.set_share(directory, directory.base.name, share, Actor(reason=reason))
    live = directory.find_live()
    return RolloutDecision(
        "stepped",
        changed.version,
        live.number if live else None,
        changed.share,
        describe_candidate(changed),
        unfinished=unfinished,
    )


def decide_canary(candidate: Candidate, verdict: CandidateVerdict | None, now: float) -> tuple[Change, str]:
    """What the monitor's newest verdict on a canary asks for.

    A good word counts only where its window began after the last change of the share: so each share has a window of
    its own. A bad one always counts.

    Args:
        candidate: The canary.
        verdict: The newest verdict on its version; None: none was made.
        now: Seconds since 1970.

    Returns:
        The change and its reason.
    """
    if verdict is None:
        return "waits", f"no verdict on version {candidate.version}: taxiway monitor --version {candidate.version}"
    if verdict.status in ("not_standing", "live_too"):
        return "waits", verdict.reason
    if verdict.status == "wrong":
        return "withdrawn", f"verdict: {verdict.reason}"
    if verdict.window_start < candidate.since:
        command = f"taxiway monitor --version {candidate.version} --hours {_format_hours(now - candidate.since)}"
        return "waits", f"the newest verdict is also on requests before the last step; on those since then: {command}"
    if verdict.status != "right":
        return "waits", verdict.reason
    return ("promoted" if candidate.next_share is None else "stepped"), f"verdict: {verdict.reason}"


def _format_hours(seconds: float) -> str:
    """Hours for a window that begins within these seconds: rounded down, since a longer one would begin before them."""
    hours = max(math.floor(seconds / 3.6), 1) / 1000
    return f"{hours:.3f}".rstrip("0").rstrip(".")


def advance_canary(root: str | Path, model: str | None, verdict: CandidateVerdict | None) -> RolloutDecision:
    """One step up, the promotion after the last, or the withdrawal, as the verdict asks.

    Raises:
        UsageError: There is no candidate, or it is a shadow.
    """
    directory = open_directory(root, model)
    candidate = get_candidate(directory)
    if candidate.policy != "canary":
        raise UsageError(
            f"Version {candidate.version} is a shadow: its requests are compared, and nobody is served by it.",
            "See the comparison: taxiway versions --json; then taxiway promote, or taxiway rollback.",
        )
    change, reason = decide_canary(candidate, verdict, time.time())
    if change == "promoted":
        return promote_candidate(root, model, reason)
    if change == "withdrawn":
        return withdraw_candidate(root, model, reason)
    if change == "stepped" and candidate.next_share is not None:
        return set_share(root, model, candidate.next_share, reason)
    live = directory.find_live()
    return RolloutDecision("waits", candidate.version, live.number if live else None, candidate.share, reason)


def read_shadow_figures(directory: ServingDirectory, candidate: Candidate) -> list[dict[str, Any]]:
    """What servers have written of the comparison with a shadow, one entry a server.

    Raises:
        StoreError: A file is damaged.
    """
    figures = []
    for file in sorted((directory.base / ROLLOUT_FOLDER).glob(f"shadow-{candidate.version}-*.json")):
        try:
            figures.append(dict(json.loads(file.read_text(encoding="utf-8"))))
        except (ValueError, TypeError, OSError) as error:
            raise StoreError(f"{file} is damaged: {error}.", "Delete it; the server writes it again.") from error
    return figures


def describe_trial(directory: ServingDirectory) -> list[str]:
    """The candidate and what its trial has shown so far, a sentence each; empty where there is none."""
    candidate = directory.load_state().candidate
    if candidate is None:
        return []
    lines = [f"{describe_candidate(candidate)}; taxiway promote makes it live, taxiway rollback takes it back"]
    if candidate.policy == "canary":
        steps = ", ".join(f"{share * 100:.3g} %" for share in candidate.shares)
        return [*lines, f"steps: {steps}; taxiway promote --auto follows the monitor's verdicts"]
    return [*lines, *(_describe_figures(each) for each in read_shadow_figures(directory, candidate))]


def _format_difference(value: float | str | None) -> str:
    return f"{value:.3g}" if isinstance(value, (int, float)) else str(value or "nothing")


def _describe_figures(figures: dict[str, Any]) -> str:
    parts = [f"compared {figures['requests']:,} requests, {figures['rows']:,} rows"]
    parts += [f"{figures[name]:,} {name}" for name in ("failed", "dropped") if figures[name]]
    if figures["labelled_rows"]:
        parts.append(f"{figures['equal_labels'] / figures['labelled_rows']:.2%} of the labels are equal")
    for alias, each in figures["outputs"].items():
        mean, largest = (_format_difference(each[f"{kind}_difference"]) for kind in ("mean", "max"))
        parts.append(f"{alias} differs by {mean} on average, {largest} at most")
    live, candidate = figures["latency_ms"]["live"], figures["latency_ms"]["candidate"]
    if live and candidate:
        parts.append(
            f"computing takes {candidate['p50']:.2f} ms at lower priority (live: {live['p50']:.2f} ms) in the median"
        )
    first = f"; first error: {figures['first_error']}" if figures["first_error"] else ""
    return "; ".join(parts) + first
