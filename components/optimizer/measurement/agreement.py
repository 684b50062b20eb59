"""How far a variant's outputs are from the original's on the same rows, output by output. Plain numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from taxiway.components.metrics.quality_change import SAME_OUTPUTS
from taxiway.components.metrics.rate_intervals import compute_wilson_interval
from taxiway.components.optimizer.report import Estimate, OutputAgreement, OutputError, Quality

DISAGREEMENT = "disagreement"
"""Name of the quality that is judged: 0 is the original."""
_Z = 1.959964
_TINY = 1e-12

Outputs = Mapping[str, NDArray[Any]]
Kind = Literal["probabilities", "values", "labels"]


def measure_agreement(outputs: Outputs, reference: Outputs) -> list[OutputAgreement]:
    """The agreement of each output.

    Args:
        outputs: The variant's outputs by name, `[rows, ...]`.
        reference: The original's, of the same rows.
    """
    return [_compare_output(name, outputs[name], original) for name, original in sorted(reference.items())]


def _compare_output(name: str, values: NDArray[Any], original: NDArray[Any]) -> OutputAgreement:
    kind = find_kind(original)
    if values.shape != original.shape:
        raise ValueError(f"the output {name} has the shape {values.shape}, the original's has {original.shape}")
    if kind == "labels":
        share = _average_rows(values == original)
        return OutputAgreement(
            output=name, kind=kind, same_decisions=float(share.mean()), disagreement=estimate_share(1 - share)
        )
    values, original = values.astype(np.float64), original.astype(np.float64)
    error = np.where(_are_both_undefined(values, original), 0.0, np.abs(values - original))
    scale = _find_scale(original) if kind == "values" or not _has_classes(original) else 1.0
    parts = [_estimate_mean(_average_rows(error) / scale)]
    same = _compare_decisions(values, original, kind)
    if same is not None:
        parts.append(estimate_share(1.0 - same))
    return OutputAgreement(
        output=name,
        kind=kind,
        max_error=float(error.max(initial=0.0)),
        mean_error=float(error.mean()),
        scale=scale,
        divergence=_compute_divergence(values, original) if kind == "probabilities" else None,
        same_decisions=None if same is None else float(same.mean()),
        disagreement=max(parts, key=lambda part: part.high or 0.0),
    )


def find_kind(original: NDArray[Any]) -> Kind:
    """What an output holds, by the original's values."""
    if original.dtype.kind not in "f" and original.dtype.name != "bfloat16":
        return "labels"
    values = original.astype(np.float64)
    inside = bool(np.isfinite(values).all() and values.min(initial=0.0) >= 0.0 and values.max(initial=0.0) <= 1 + 1e-4)
    if not inside or values.ndim == 0:
        return "values"
    sums = not _has_classes(values) or bool(np.allclose(values.sum(axis=-1), 1.0, atol=1e-3))
    return "probabilities" if sums or _are_sigmoids(values) else "values"


def _are_sigmoids(values: NDArray[np.float64]) -> bool:
    """Whether several numbers from 0 to 1 a row are probabilities of their own: none of them is 0 or 1."""
    return bool(values.min() > 0.0 and values.max() < 1.0)


def _are_both_undefined(values: NDArray[np.float64], original: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where both are NaN, or the same infinity: there the variant does what the original does."""
    undefined = (np.isnan(values) & np.isnan(original)) | (values == original)
    return np.asarray(undefined)


def _has_classes(values: NDArray[Any]) -> bool:
    return values.ndim >= 2 and values.shape[-1] > 1


def _find_scale(original: NDArray[np.float64]) -> float:
    """The unit of errors: the deviation of the original's numbers. One probability a row has it too: that of a rare
    event is so small that a variant which always answers 0 would be near it in any other unit."""
    finite = original[np.isfinite(original)]
    deviation = float(finite.std()) if finite.size else 0.0
    largest = float(np.abs(finite).max(initial=0.0))
    return deviation if deviation > _TINY else largest or 1.0


def _average_rows(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(values, np.float64).reshape(len(values), -1).mean(axis=1)


def _compare_decisions(
    values: NDArray[np.float64], original: NDArray[np.float64], kind: Kind
) -> NDArray[np.float64] | None:
    """By row, the share of the same decisions: the largest of `[rows, ..., classes]`, or the side of one half."""
    if _has_classes(values):
        return _average_rows(values.argmax(axis=-1) == original.argmax(axis=-1))
    if kind == "probabilities":
        return _average_rows((values > 0.5) == (original > 0.5))
    return None


def _compute_divergence(values: NDArray[np.float64], original: NDArray[np.float64]) -> float:
    """KL(original || variant): of the classes where they sum to 1, of yes and no elsewhere."""
    p, q = (np.clip(each, _TINY, 1.0) for each in (original, values))
    if _has_classes(original) and np.allclose(original.sum(axis=-1), 1.0, atol=1e-3):
        return max(float((p * np.log(p / q)).sum(axis=-1).mean()), 0.0)
    rest_p, rest_q = (np.clip(1.0 - each, _TINY, 1.0) for each in (original, values))
    return max(float((p * np.log(p / q) + rest_p * np.log(rest_p / rest_q)).mean()), 0.0)


def _estimate_mean(values: NDArray[np.float64]) -> Estimate:
    mean = float(values.mean())
    half = _Z * float(values.std(ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else mean
    return Estimate(value=mean, low=max(mean - half, 0.0), high=mean + half)


def estimate_share(values: NDArray[np.float64]) -> Estimate:
    """The mean of shares from 0 to 1 with Wilson's interval, which no row of the other kind makes no point."""
    low, high = compute_wilson_interval(float(values.sum()), float(len(values)))
    return Estimate(value=float(values.mean()), low=float(low), high=float(high))


def build_output_error(outputs: Outputs, reference: Outputs, agreement: Sequence[OutputAgreement]) -> OutputError:
    """The largest differences over all outputs that hold numbers."""
    numbers = [each for each in agreement if each.kind != "labels"]
    errors = [_flatten_errors(outputs[each.output], reference[each.output]) for each in numbers]
    every = np.concatenate(errors) if errors else np.zeros(1)
    rows = len(next(iter(reference.values())))
    decided = [each.same_decisions for each in agreement if each.same_decisions is not None]
    flipped = round(rows * (1 - min(decided))) if decided else None
    equal_labels = all(each.same_decisions == 1.0 for each in agreement if each.kind == "labels")
    return OutputError(
        max=float(every.max()),
        mean=float(every.mean()),
        p99=float(np.percentile(every, 99)),
        decisions_flipped=flipped,
        rows=rows,
        same=equal_labels and all(_is_same(each, reference[each.output]) for each in numbers),
    )


def _flatten_errors(values: NDArray[Any], original: NDArray[Any]) -> NDArray[np.float64]:
    values, original = values.astype(np.float64).ravel(), original.astype(np.float64).ravel()
    return np.where(_are_both_undefined(values, original), 0.0, np.abs(values - original))


def _is_same(agreement: OutputAgreement, original: NDArray[Any]) -> bool:
    values = original[np.isfinite(original)]
    largest = float(np.abs(values.astype(np.float64)).max(initial=0.0))
    scale = 1.0 if agreement.kind == "probabilities" else max(largest, _TINY)
    return (agreement.max_error or 0.0) <= SAME_OUTPUTS * scale


def build_agreement_quality(agreement: Sequence[OutputAgreement], error: OutputError) -> Quality:
    """The disagreement of the output that is farthest from the original's, as the quality that is judged."""
    worst = max((each.disagreement for each in agreement), key=lambda part: part.high or 0.0)
    drop = Estimate(value=worst.value, low=worst.value, high=worst.value) if error.same else worst
    return Quality(metric=DISAGREEMENT, rows=error.rows, value=worst, reference=0.0, drop=drop)
