"""What a push changes for those who ask the live version through `serving_raw`. No TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.contract import SIGNATURE_INPUTS_FILE
from components.serving.verdict import Finding

Inputs = Mapping[str, Mapping[str, Any]]
"""By tensor: `column`, `dtype`, `default` (None: required)."""
CHECK = "inputs of the live version"
REMEDY = "Push it all the same with serving.input_changes: report, when the clients know."


def read_inputs(folder: str | Path) -> Inputs:
    """The inputs of `serving_raw` by the file beside a model; empty where it has none that can be read."""
    try:
        inputs = json.loads(Path(folder, SIGNATURE_INPUTS_FILE).read_text(encoding="utf-8"))["inputs"]
        return {str(name): dict(entry) for name, entry in inputs.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def judge_inputs(live: Inputs, candidate: Inputs, *, block: bool) -> tuple[list[Finding], list[str]]:
    """Whether requests made for the live version still mean the same.

    Args:
        live: Of the live version; empty where none is live.
        candidate: Of what is to be pushed.
        block: Whether a change is a verdict against the candidate.

    Returns:
        One finding where something is live, and the changes as sentences.
    """
    if not live:
        return [], []
    changes = list(_changes(live, candidate))
    words = "; ".join(changes) or f"all {len(live)} inputs of the live version are what they were"
    refused = block and bool(changes)
    return [Finding(CHECK, not refused, f"{words}. {REMEDY}" if refused else words, float(len(changes)))], changes


def _changes(live: Inputs, candidate: Inputs) -> Iterator[str]:
    names = {entry.get("column"): name for name, entry in candidate.items()}
    for name, entry in live.items():
        column = entry.get("column")
        if name in candidate:
            yield from _difference(name, entry, candidate[name])
        elif column in names:
            yield f"column {column!r} was the input {name!r} and is {names[column]!r}"
        else:
            yield f"the input {name!r} (column {column!r}) is gone"
    for name, entry in candidate.items():
        if name not in live and entry.get("default") is None and entry.get("column") not in _columns(live):
            yield f"the input {name!r} (column {entry.get('column')!r}) is new and required"


def _difference(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    if before.get("column") != now.get("column"):
        yield f"the input {name!r} took the column {before.get('column')!r} and takes {now.get('column')!r}"
    if before.get("dtype") != now.get("dtype"):
        yield f"the input {name!r} was {before.get('dtype')} and is {now.get('dtype')}"
    if before.get("default") is not None and now.get("default") is None:
        yield f"the input {name!r} could be missing and is required"


def _columns(inputs: Inputs) -> set[Any]:
    return {entry.get("column") for entry in inputs.values()}
