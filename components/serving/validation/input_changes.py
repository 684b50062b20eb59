"""What a push changes for those who ask the live version: inputs of `serving_raw`, outputs.

TensorFlow is imported only to read a SavedModel's file; nothing in it is run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from google.protobuf.message import DecodeError

from taxiway.components.contract import SERVING_DEFAULT
from taxiway.components.errors import ServingError
from taxiway.components.saved_models.signature_inputs import SignatureInput, read_signature_inputs
from taxiway.components.serving.validation.comparison import ServingFinding

Inputs = Mapping[str, SignatureInput]
"""By tensor."""
CHECK = "inputs of the live version"
REMEDY = "Push it all the same with serving.input_changes: report, when the clients know."


def compare_with_live(live: str, candidate: str, *, block: bool) -> tuple[list[ServingFinding], list[str]]:
    """All that the validator reads of the live version; what it says of two folders is the same at any time.

    Args:
        live: Folder of the live version's SavedModel; empty where none is live. The naive model has no inputs to keep.
        candidate: Folder of the SavedModel that is to be pushed.
        block: See `compare_inputs`.

    Returns:
        See `compare_inputs`; where a folder cannot be read, that as the only change.
    """
    try:
        wanted = read_signature_inputs(live) if live else {}
        offered = read_signature_inputs(candidate)
        lost = _list_outputs(live) - _list_outputs(candidate) if wanted else set()
    except ServingError as error:  # a damaged live version may be replaced; a damaged candidate fails its trial
        return [], [f"not compared with the live version's inputs: {error.problem}"]
    return compare_inputs(wanted, offered, block=block, lost_outputs=sorted(lost))


def _list_outputs(folder: str) -> set[str]:
    """Names of the outputs of `serving_default`."""
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        model = saved_model_pb2.SavedModel.FromString(Path(folder, "saved_model.pb").read_bytes())
    except (OSError, DecodeError) as error:
        raise ServingError(f"{folder} holds no SavedModel that can be read: {error}.") from error
    return {name for graph in model.meta_graphs[:1] for name in graph.signature_def[SERVING_DEFAULT].outputs}


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
        One finding where something changed, and the changes as sentences. Nothing live is nothing changed.
    """
    if not live:
        return [], []
    changes = [*_list_changes(live, candidate), *(f"the output {name!r} is gone" for name in lost_outputs)]
    if not changes:
        return [], []
    detail = "; ".join(changes)
    return [ServingFinding(CHECK, not block, f"{detail}. {REMEDY}" if block else detail, float(len(changes)))], changes


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
