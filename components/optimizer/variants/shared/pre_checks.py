"""Pre-checks that several techniques share. Each looks at files only."""

from __future__ import annotations

from pathlib import Path

from taxiway.components.contract import training_dir
from taxiway.components.optimizer.candidate import CandidateModel, TechniqueContext
from taxiway.components.optimizer.given_model.signatures import FLOATS, read_signatures
from taxiway.components.optimizer.graphs.unused_variables import count_variable_bytes
from taxiway.components.refusal import Refusal
from taxiway.components.training.job import JOB_FILE, WEIGHTS_FILE

GRAPH_LIMIT_BYTES = 2**31 - 2**20  # of a protobuf message, less what is around the constants


def refuse_without_core(context: TechniqueContext, candidate: CandidateModel) -> Refusal | None:
    """Refuses a candidate whose model core is not known."""
    if candidate.has_core:
        return None
    if context.given:
        return Refusal(f"it converts tensors of numbers, and the signature {context.signature} takes or gives texts")
    return Refusal("it converts the model core, which is known for Taxiway's own models only")


def refuse_large_graph(context: TechniqueContext, candidate: CandidateModel) -> Refusal | None:
    """Refuses a candidate whose variables are too large for the constants of one graph message."""
    size = count_variable_bytes(candidate.servable)
    if size <= GRAPH_LIMIT_BYTES:
        return None
    limit = GRAPH_LIMIT_BYTES / 1e9
    return Refusal(f"its variables are {size / 1e9:.2f} GB, and a graph of constants holds {limit:.2f} GB")


def refuse_untrainable(context: TechniqueContext, candidate: CandidateModel) -> Refusal | None:
    """Refuses a candidate that cannot be trained on."""
    if context.given:
        return Refusal("it changes Keras layers, which a SavedModel does not hold any more")
    for name in (JOB_FILE, WEIGHTS_FILE):
        if not Path(training_dir(candidate.uri), name).exists():
            return Refusal(f"it needs the trainer's {name} beside the servable, to change the model and train on")
    return None


def refuse_unprunable(context: TechniqueContext, candidate: CandidateModel) -> Refusal | None:
    """Refuses a candidate whose weights cannot be trained on: neither by the trainer's files nor in a flat graph."""
    if not context.given:
        return refuse_untrainable(context, candidate)
    return refuse_large_graph(context, candidate) or _refuse_without_numbers(context, candidate)


def _refuse_without_numbers(context: TechniqueContext, candidate: CandidateModel) -> Refusal | None:
    """Refuses a given model whose signature answers nothing that a loss could be made of."""
    outputs = read_signatures(candidate.servable)[context.signature].outputs.values()
    if any(spec.dtype in FLOATS for spec in outputs):
        return None
    return Refusal(f"it trains, and the signature {context.signature} gives no numbers that a loss could be made of")
