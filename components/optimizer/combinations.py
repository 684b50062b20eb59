"""Which combinations the staged search tries, and why it leaves others. Plain values in, plain values out.

Structure comes first, then graph and precision, then runtime. Techniques are named alone in the configuration; a
structure whose quality held is then combined with each later technique.
"""

from __future__ import annotations

from collections.abc import Sequence

from components.optimizer.config import REFERENCE, STAGES, OptimizationConfig, techniques_of
from components.optimizer.decision import quality_rejections
from components.optimizer.report import Variant

SMALLER = 1.02
"""A structure must make the servable this many times smaller, or it makes nothing after it smaller or faster."""
PAYS_IN = {
    "quantization_aware": ("tflite_int8",),
    "sparsity_2_4": ("tensorrt_engine_fp32", "tensorrt_engine_fp16", "tensorrt_engine_int8"),
}
"""Structures that change what a runtime makes of the weights, not how many there are: where they pay."""


def combinations(config: OptimizationConfig) -> list[tuple[str, str]]:
    """Structure and later technique of every combination, in the order in which they are tried."""
    if not config.combine:
        return []
    listed = set(config.variants)
    alone = [name for name in dict.fromkeys(config.variants) if len(techniques_of(name)) == 1 and name != REFERENCE]
    structures = [name for name in alone if STAGES[name] == "structure"]
    later = [name for name in alone if STAGES[name] != "structure"]
    return [(s, t) for s in structures for t in later if f"{s}+{t}" not in listed]


def no_combination(structure: Variant, alone: Variant, config: OptimizationConfig) -> str:
    """Why a structure is not combined with a technique; empty where it is.

    Args:
        structure: The structure by itself, judged.
        alone: The technique on the trained model, judged.
        config: Quality to keep.
    """
    return _no_branch(structure, alone.name, config) or _no_technique(alone, config)


def _no_branch(structure: Variant, later: str, config: OptimizationConfig) -> str:
    if structure.status in ("failed", "not_tried"):
        return f"{structure.name} was not made: {structure.reason}"
    lost = quality_rejections(structure, config)
    if lost:
        return f"its branch was dropped: {structure.name}: {'; '.join(lost)}"
    if later in PAYS_IN.get(structure.name, ()):
        return ""
    ratio = structure.size.ratio if structure.size else None
    if ratio is None or ratio >= SMALLER:
        return ""
    return (
        f"its branch was dropped: {structure.name} leaves {1 / ratio:.0%} of the reference's bytes and every "
        f"multiplication, so it makes {later} neither smaller nor faster"
    )


def _no_technique(alone: Variant, config: OptimizationConfig) -> str:
    if alone.status in ("failed", "not_tried"):
        return f"{alone.name} by itself was not made: {alone.reason}"
    lost = quality_rejections(alone, config)
    return f"{alone.name} by itself loses too much: {'; '.join(lost)}" if lost else ""


def in_time(names: Sequence[str], config: OptimizationConfig) -> dict[str, str]:
    """Why a variant is not tried although there is time, by name."""
    reason = f"max_variants is {config.max_variants}"
    return dict.fromkeys(names[config.max_variants :], reason)
