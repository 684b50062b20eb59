"""`structured_pruned`: whole neurons and embedding dimensions are removed, then the smaller model is trained on.

What is left are smaller dense layers: faster on every runtime, with no kernel that knows about sparsity. A neuron's
worth is the norm of what comes in times the norm of what goes out; an embedding dimension's, the norms of its column
and of the weights that read it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from components.optimizer import finetuning
from components.optimizer.report import Check
from components.optimizer.variants.base import Piece, Technique, Workshop
from components.training.job import TrainingJob
from components.training.run import plain_model

Arrays = dict[str, list[Any]]
"""By layer: kernel and bias, or the table."""


def _pre_check(workshop: Workshop, piece: Piece) -> str:
    refused = finetuning.refusal(piece)
    if refused:
        return refused
    job = finetuning.job_of(piece)
    if job.model.function:
        return "it knows the built-in model only: what reads a neuron of a user's own model is not known"
    return "" if job.model.hidden_units else "the model has no hidden layer"


def _transform(workshop: Workshop, piece: Piece, made: Piece) -> None:
    trained = finetuning.load(workshop, piece)
    settings = workshop.config.structured
    weights = {layer.name: layer.get_weights() for layer in trained.keras_model.layers if layer.get_weights()}
    positions = sum(trained.keras_model.get_layer("embedding").sizes) if "embedding" in weights else 0
    shares = settings.keep_neurons_fraction, settings.keep_embedding_fraction
    job, kept = shrink(weights, trained.job, positions, *shares)
    model = plain_model(job)
    for name, arrays in kept.items():
        model.get_layer(name).set_weights(arrays)
    finetuning.Tuning(workshop, job).run(model, "structured pruning")
    finetuning.save(model, job, made)


def shrink(
    weights: Arrays, job: TrainingJob, positions: int, neurons: float, dimensions: float
) -> tuple[TrainingJob, Arrays]:
    """The job of the smaller model, and its weights cut out of the larger one's.

    Args:
        weights: Of the larger model.
        job: Whose model section describes it.
        positions: Categorical positions of the embedding; 0 without one.
        neurons: Share of each hidden layer's neurons that stay.
        dimensions: Share of the embedding's dimensions that stay.
    """
    kept = {name: list(arrays) for name, arrays in weights.items()}
    changes: dict[str, Any] = {}
    if positions:
        changes["embedding_dim"] = _shrink_embedding(kept, positions, job.model.embedding_dim, dimensions)
    layers = [f"hidden_{i}" for i in range(len(job.model.hidden_units))]
    sizes = []
    for name, reader in zip(layers, [*layers[1:], "logits"], strict=True):
        sizes.append(_shrink_layer(kept, name, reader, neurons))
    changes["hidden_units"] = tuple(sizes)
    return job.model_copy(update={"model": job.model.model_copy(update=changes)}), kept


def _shrink_layer(kept: Arrays, name: str, reader: str, share: float) -> int:
    """Removes the least worthy neurons of a layer, and what the next one read of them. Returns how many are left."""
    kernel, bias = kept[name]
    worth = np.linalg.norm(np.vstack([kernel, bias]), axis=0) * np.linalg.norm(kept[reader][0], axis=1)
    chosen = best(worth, share)
    kept[name] = [kernel[:, chosen], bias[chosen]]
    kept[reader][0] = kept[reader][0][chosen]
    return len(chosen)


def _shrink_embedding(kept: Arrays, positions: int, dim: int, share: float) -> int:
    """Removes the least worthy dimensions of the one table, and what the first layer read of them at every position.

    The first layer reads `[numbers, positions * dim]`, position by position.
    """
    table, (kernel, bias) = kept["embedding"][0], kept["hidden_0"]
    numbers = len(kernel) - positions * dim
    reading = kernel[numbers:].reshape(-1, dim, kernel.shape[1])
    worth = np.linalg.norm(table, axis=0) * np.linalg.norm(reading, axis=(0, 2))
    chosen = best(worth, share)
    kept["embedding"] = [table[:, chosen]]
    kept["hidden_0"] = [np.vstack([kernel[:numbers], reading[:, chosen].reshape(-1, kernel.shape[1])]), bias]
    return len(chosen)


def best(worth: Any, share: float) -> Any:
    """Indices of the worthiest share, ascending; a multiple of 4 where there are that many, as vector units like it."""
    count = max(round(len(worth) * share), 1)
    if count >= 8:
        count = -(-count // 4) * 4
    return np.sort(np.argsort(-worth, kind="stable")[:count])


def _post_check(workshop: Workshop, piece: Piece, made: Piece) -> list[Check]:
    """Shapes and parameters are counted in the weights that were written."""
    old, new = (_shapes(finetuning.dense_kernels(p)) for p in (piece, made))
    flops = [2 * sum(i * o for i, o in shapes.values()) for shapes in (old, new)]
    params = [_parameters(p) for p in (piece, made)]
    smaller = {name: [list(old[name]), list(new[name])] for name in old if old[name] != new[name]}
    return [
        Check(
            name="smaller_layers",
            passed=flops[1] < flops[0] and params[1] < params[0],
            detail=f"{params[0]} parameters became {params[1]}, {flops[0]} FLOPs a row of the dense layers {flops[1]}",
            figures={"parameters": params, "flops": flops, "shapes": smaller},
        )
    ]


def _shapes(kernels: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {name: tuple(kernel.shape) for name, kernel in kernels.items()}


def _parameters(piece: Piece) -> int:
    layers = finetuning.written_weights(piece).values()
    return sum(int(array.size) for arrays in layers for array in arrays.values())


TECHNIQUE = Technique("structured_pruned", _pre_check, _transform, _post_check)
