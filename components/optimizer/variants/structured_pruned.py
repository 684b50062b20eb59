"""`structured_pruned`: whole neurons and embedding dimensions are removed, then the smaller model is trained on.

What is left are smaller dense layers: faster on every runtime, with no kernel that knows about sparsity. A neuron's
worth is the norm of what comes in times the norm of what goes out; an embedding dimension's, the norms of its column
and of the weights that read it. `structured_pruned_65` and `structured_pruned_80` prune what the step before has
trained on: small steps with training between them keep more quality than one large one (Han et al. 2015,
arXiv 1506.02626).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from taxiway.components.optimizer.candidate import CandidateModel, Technique, TechniqueContext
from taxiway.components.optimizer.report import Check
from taxiway.components.optimizer.variants.shared import finetuning
from taxiway.components.optimizer.variants.shared.pre_checks import refuse_untrainable
from taxiway.components.refusal import Refusal
from taxiway.components.training.job import TrainingJob
from taxiway.components.training.run import build_plain_model

Arrays = dict[str, list[Any]]
"""By layer: kernel and bias, or the table."""


def _pre_check(context: TechniqueContext, candidate: CandidateModel) -> Refusal | None:
    refusal = refuse_untrainable(context, candidate)
    if refusal:
        return refusal
    job = finetuning.read_job(candidate)
    if job.model.function:
        return Refusal("it knows the built-in model only: what reads a neuron of a user's own model is not known")
    no_layer = not job.model.hidden_units or job.model.kind == "linear"
    return Refusal("the model has no hidden layer") if no_layer else None


def _pre_check_further(share: float, context: TechniqueContext, candidate: CandidateModel) -> Refusal | None:
    refusal = _pre_check(context, candidate)
    if refusal:
        return refusal
    left = list_shares(context, finetuning.read_job(candidate), share)
    return Refusal(f"no layer has more than {share:.0%} of its neurons left") if min(left) >= 1 else None


def _transform_model(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> None:
    settings = context.config.structured
    _prune_to(settings.keep_neurons_fraction, settings.keep_embedding_fraction, context, candidate, target)


def _transform_further(
    share: float, context: TechniqueContext, candidate: CandidateModel, target: CandidateModel
) -> None:
    _prune_to(share, 1.0, context, candidate, target)


def _prune_to(
    share: float, dimensions: float, context: TechniqueContext, candidate: CandidateModel, target: CandidateModel
) -> None:
    """Prunes to a share of the trained model's neurons, and trains on."""
    trained = finetuning.load_model(context, candidate)
    neurons = list_shares(context, trained.job, share)
    weights = {layer.name: layer.get_weights() for layer in trained.keras_model.layers if layer.get_weights()}
    if trained.job.model.kind == "tabular":
        job, kept = shrink_tabular_model(weights, trained.job, neurons)
    else:
        positions = sum(trained.keras_model.get_layer("embedding").sizes) if "embedding" in weights else 0
        job, kept = shrink_model(weights, trained.job, positions, neurons, dimensions)
    model = build_plain_model(job)
    for name, arrays in kept.items():
        model.get_layer(name).set_weights(arrays)
    finetuning.FineTuner(context, job).train_model(model, "structured pruning")
    finetuning.save_candidate(model, job, target)


def list_shares(context: TechniqueContext, job: TrainingJob, share: float) -> list[float]:
    """Of each layer's neurons that are left, the share that stays, so that `share` of the trained model's are left."""
    trained = finetuning.read_job(CandidateModel(context.trained)).model.hidden_units
    return [min(share * all_ / left, 1.0) for all_, left in zip(trained, job.model.hidden_units, strict=True)]


def shrink_model(
    weights: Arrays, job: TrainingJob, positions: int, neurons: Sequence[float], dimensions: float
) -> tuple[TrainingJob, Arrays]:
    """The job of the smaller model, and its weights cut out of the larger one's.

    Args:
        weights: Weights of the larger model.
        job: Job whose model section describes the larger model.
        positions: Categorical positions of the embedding; 0 without one.
        neurons: Share of the neurons that stay, a hidden layer each.
        dimensions: Share of the embedding's dimensions that stay.
    """
    kept = {name: list(arrays) for name, arrays in weights.items()}
    changes: dict[str, Any] = {}
    if positions:
        changes["embedding_dim"] = _shrink_embedding(kept, positions, job.model.embedding_dim, dimensions)
    layers = [f"hidden_{i}" for i in range(len(job.model.hidden_units))]
    sizes = []
    for name, reader, share in zip(layers, [*layers[1:], "logits"], neurons, strict=True):
        sizes.append(_shrink_layer(kept, name, reader, share))
    changes["hidden_units"] = tuple(sizes)
    return job.model_copy(update={"model": job.model.model_copy(update=changes)}), kept


def shrink_tabular_model(weights: Arrays, job: TrainingJob, neurons: Sequence[float]) -> tuple[TrainingJob, Arrays]:
    """The same of an ensemble: a neuron goes from all members at once, with their numbers of it. Embeddings stay."""
    kept = {name: list(arrays) for name, arrays in weights.items()}
    last = len(job.model.hidden_units) - 1
    sizes = [_shrink_member_layer(kept, i, share, i == last) for i, share in enumerate(neurons)]
    return job.model_copy(update={"model": job.model.model_copy(update={"hidden_units": tuple(sizes)})}), kept


def _shrink_member_layer(kept: Arrays, i: int, share: float, last: bool) -> int:
    """A layer `[inputs, units]`, the members' numbers `[members, units]` behind it, and what reads them."""
    (kernel,), members = kept[f"hidden_{i}"], kept[f"members_{i}"]
    coming = np.sqrt(np.sum(kernel**2, axis=0) * np.sum(members[0] ** 2, axis=0) + np.sum(members[1] ** 2, axis=0))
    if last:
        going = np.linalg.norm(kept["logits"][0], axis=(0, 2))
    else:
        reader = kept[f"hidden_{i + 1}"][0]
        going = np.linalg.norm(reader, axis=1) * np.linalg.norm(kept[f"members_into_{i + 1}"][0], axis=0)
    chosen = select_best(coming * going, share)
    kept[f"hidden_{i}"], kept[f"members_{i}"] = [kernel[:, chosen]], [array[:, chosen] for array in members]
    if last:
        kept["logits"][0] = kept["logits"][0][:, chosen]
    else:
        kept[f"hidden_{i + 1}"] = [kept[f"hidden_{i + 1}"][0][chosen]]
        kept[f"members_into_{i + 1}"] = [kept[f"members_into_{i + 1}"][0][:, chosen]]
    return len(chosen)


def _shrink_layer(kept: Arrays, name: str, reader: str, share: float) -> int:
    """Removes the least worthy neurons of a layer, and what the next one read of them. Returns how many are left."""
    kernel, bias = kept[name]
    worth = np.linalg.norm(np.vstack([kernel, bias]), axis=0) * np.linalg.norm(kept[reader][0], axis=1)
    chosen = select_best(worth, share)
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
    chosen = select_best(worth, share)
    kept["embedding"] = [table[:, chosen]]
    kept["hidden_0"] = [np.vstack([kernel[:numbers], reading[:, chosen].reshape(-1, kernel.shape[1])]), bias]
    return len(chosen)


def select_best(worth: Any, share: float) -> Any:
    """Indices of the worthiest share, ascending; a multiple of 4 where there are that many, as vector units like it."""
    count = max(round(len(worth) * share), 1)
    if count >= 8:
        count = -(-count // 4) * 4
    return np.sort(np.argsort(-worth, kind="stable")[:count])


def _post_check(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> list[Check]:
    """Shapes and parameters are counted in the weights that were written."""
    old, new = (_get_shapes(finetuning.read_dense_kernels(p)) for p in (candidate, target))
    flops = [2 * sum(i * o for i, o in shapes.values()) for shapes in (old, new)]
    params = [_count_parameters(p) for p in (candidate, target)]
    smaller = {name: [list(old[name]), list(new[name])] for name in old if old[name] != new[name]}
    return [
        Check(
            name="smaller_layers",
            passed=flops[1] < flops[0] and params[1] < params[0],
            detail=f"{params[0]} parameters became {params[1]}, {flops[0]} FLOPs a row of the dense layers {flops[1]}",
            figures={"parameters": params, "flops": flops, "shapes": smaller},
        )
    ]


def _get_shapes(kernels: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {name: tuple(kernel.shape) for name, kernel in kernels.items()}


def _count_parameters(candidate: CandidateModel) -> int:
    layers = finetuning.read_weights(candidate).values()
    return sum(int(array.size) for arrays in layers for array in arrays.values())


def _make_further(removed: int, after: tuple[str, ...]) -> Technique:
    share = 1 - removed / 100
    pre_check, transform = partial(_pre_check_further, share), partial(_transform_further, share)
    return Technique(f"structured_pruned_{removed}", pre_check, transform, _post_check, after)


TECHNIQUE = Technique("structured_pruned", _pre_check, _transform_model, _post_check)
FURTHER_65 = _make_further(65, ("structured_pruned",))
FURTHER_80 = _make_further(80, ("structured_pruned", "structured_pruned_65"))
