"""What people may do to versions and labels on the pages: what it would do, whether it is possible, and doing it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from taxiway.components.errors import ServingError, UsageError
from taxiway.components.serving.versions import operations
from taxiway.components.serving.versions.action_log import Actor
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.components.serving.versions.operations import RollbackResult
from taxiway.components.serving.versions.rollback import RollbackPlan
from taxiway.components.serving.versions.version import Version, check_readable
from taxiway.pipeline.root import Root
from taxiway.pipeline.serving import versions as serving_versions

ACTIONS = {
    "push": "Push again (make live)",
    "rollback": "Roll back",
    "promote": "Promote (give a label)",
    "demote": "Remove a label",
    "promote-candidate": "Promote the candidate (make live)",
    "withdraw": "Roll back the candidate",
}
OF_A_LABEL = frozenset({"promote", "demote"})
OF_THE_CANDIDATE = frozenset({"promote-candidate", "withdraw"})
LOCK_SECONDS = 8.0
"""Time that a page waits for another change of the serving directory: a person waits for the answer."""


@dataclass(frozen=True)
class Proposal:
    """What an action would do.

    Attributes:
        target: The version that it is about; None where it is not possible.
        plan: What a rollback or push would do; None of another action.
        obstacle: Why it is not possible; empty where it is.
    """

    target: Version | None
    plan: RollbackPlan | None = None
    obstacle: str = ""


def propose_action(directory: ServingDirectory, action: str, number: int | None, label: str) -> Proposal:
    """What an action would do now, or why it is not possible. Changes nothing.

    Args:
        directory: Serving directory of the model.
        action: A key of `ACTIONS`.
        number: The version; None: the one that the action itself chooses.
        label: The label that is to be removed.
    """
    try:
        if action in ("push", "rollback"):
            plan = directory.plan_rollback(number)
            return Proposal(plan.target, plan)
        state = directory.load_state()
        if action in OF_THE_CANDIDATE:
            if state.candidate is None:
                raise ServingError("No version is tried beside the live one.", "Somebody was faster, perhaps.")
            number = state.candidate.version
        elif action == "demote":
            state.check_free(label)
            if label not in state.labels:
                raise ServingError(f"No version has the label {label[:40]!r}.", "Somebody was faster, perhaps.")
            number = state.labels[label]
        target = directory.get_version(number or 0)
        if action != "demote":  # a label can be taken from what cannot be read
            check_readable(target)
        return Proposal(target)
    except ServingError as error:
        return Proposal(None, None, str(error))


def check_action(action: str) -> None:
    """Raises `UsageError` where it is none of ours."""
    if action not in ACTIONS:
        raise UsageError(f"{action[:40]!r} is no action.", f"Actions: {', '.join(ACTIONS)}.")


def parse_version(text: str) -> int:
    """A version's number.

    Raises:
        UsageError: It is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise UsageError(f"{text[:40]!r} is no version's number.", "See: taxiway versions.")
    return int(text)


def check_form(form: dict[str, str]) -> None:
    """Refuses an action without a reason or a name.

    Raises:
        UsageError: Something is missing.
    """
    check_action(form.get("action", ""))
    for name, words in (("reason", "why"), ("user", "who does it")):
        if not form.get(name):
            raise UsageError(f"The records need to know {words}.", "Nothing was changed. Fill in the field.")


def do_action(root: Root, model: str, form: dict[str, str]) -> tuple[str, list[str]]:
    """Does what a form confirmed, with who and why: to the version that the page showed, while that is live, has the
    label or is the candidate of which the page said so.

    Returns:
        What was done, and what failed after it, a sentence each.

    Raises:
        TaxiwayError: It cannot be done; the live version is as it was.
    """
    actor = Actor(form["user"], form["reason"], "ui")
    action, version = form["action"], parse_version(form.get("version", ""))
    if action in OF_A_LABEL:
        return _change_label(root, model, version, form, actor)
    if action in OF_THE_CANDIDATE:
        return _end_trial(root, model, action, version, actor)
    result = serving_versions.roll_back_version(
        root.path,
        model,
        version,
        actor.reason,
        actor,
        seen_live=parse_version(form.get("seen_live", "")),
        lock_timeout_seconds=LOCK_SECONDS,
    )
    unfinished = [*_explain_record(result["not_recorded"]), *result["unfinished"]]
    return f"Live: version {result['version']}, {result['reason']}", unfinished


def _change_label(root: Root, model: str, version: int, form: dict[str, str], actor: Actor) -> tuple[str, list[str]]:
    label = form.get("label", "")
    if form["action"] == "demote":
        _, unfinished = serving_versions.remove_label(
            root.path, model, label, actor, seen_version=version, lock_timeout_seconds=LOCK_SECONDS
        )
        return f"{label}: taken from version {version}", list(unfinished)
    given = serving_versions.promote_version(
        root.path,
        model,
        version,
        label,
        actor,
        seen_live=parse_version(form.get("seen_live", "")),
        lock_timeout_seconds=LOCK_SECONDS,
    )
    return f"{label}: version {version}", list(given)


def _end_trial(root: Root, model: str, action: str, version: int, actor: Actor) -> tuple[str, list[str]]:
    """Makes the candidate live, or takes it back."""
    end: Callable[..., RollbackResult] = (
        operations.promote_candidate if action == "promote-candidate" else operations.withdraw_candidate
    )
    directory = serving_versions.open_directory(root.path, model, LOCK_SECONDS)
    open_store = partial(serving_versions.open_metadata_store, root)
    done = end(directory, directory.base.name, open_store, actor, seen_candidate=version)
    words = f"Live: version {done.result.version}, {done.result.reason}"
    return words, [*_explain_record(done.not_recorded), *done.unfinished]


def _explain_record(not_recorded: str) -> list[str]:
    return [f"Not recorded in ML Metadata: {not_recorded}"] if not_recorded else []
