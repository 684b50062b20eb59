"""What a push changes for those who ask the live version: inputs of `serving_raw`, outputs. No TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from taxiway.components.saved_models.signature_inputs import SignatureInput
from taxiway.components.serving.validation.comparison import ServingFinding

Inputs = Mapping[str, SignatureInput]
"""By tensor."""
CHECK = "inputs of the live version"
REMEDY = "Push it all the same with serving.input_changes: report, when the clients know."


def compare_inputs(
    live: Inputs, candidate: Inputs, *, block: bool, lost_outputs: Iterable[str] = ()
) -> tuple[list[ServingFinding], list[str]]:
    """Whether requests made for the live version still mean the same.

    Args:
        live: Inputs of the live version; empty where none is live.
        candidate: Inputs of what is to be pushed.
        block: Whether a change is a verdict against the candidate.
        lost_outputs: Outputs of the live version that the candidate does not have.

    Returns:
        One finding where something is live, and the changes as sentences.
    """
    if not live:
        return [], []
    changes = [*_list_changes(live, candidate), *(f"the output {name!r} is gone" for name in lost_outputs)]
    detail = "; ".join(changes) or f"all {len(live)} inputs of the live version are what they were"
    refused = block and bool(changes)
    return [
        ServingFinding(CHECK, not refused, f"{detail}. {REMEDY}" if refused else detail, float(len(changes)))
    ], changes


def _list_changes(live: Inputs, candidate: Inputs) -> Iterator[str]:
    names = {entry.column: name for name, entry in candidate.items()}
    for name, entry in live.items():
        if name in candidate:
            yield from _compare_input(name, entry, candidate[name])
        elif entry.column in names:
            yield f"column {entry.column!r} was the input {name!r} and is {names[entry.column]!r}"
        else:
            yield f"the input {name!r} (column {entry.column!r}) is gone"
    live_columns = {entry.column for entry in live.values()}
    for name, entry in candidate.items():
        if name not in live and entry.default is None and entry.column not in live_columns:
            yield f"the input {name!r} (column {entry.column!r}) is new and required"


def _compare_input(name: str, before: SignatureInput, now: SignatureInput) -> Iterator[str]:
    if before.column != now.column:
        yield f"the input {name!r} took the column {before.column!r} and takes {now.column!r}"
    if before.dtype != now.dtype:
        yield f"the input {name!r} was {before.dtype} and is {now.dtype}"
    if before.default is not None and now.default is None:
        yield f"the input {name!r} could be missing and is required"
