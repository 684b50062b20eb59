"""Which combinations of techniques the search tries, and why it leaves out others. Plain values in, plain values out.

Structure comes first, then graph and precision, then runtime. Techniques are named alone in the configuration; a
structure whose quality held is then combined with each later technique.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from taxiway.components.optimizer.config import OptimizationConfig
from taxiway.components.optimizer.decision import list_quality_rejections
from taxiway.components.optimizer.report import UNMADE, Variant
from taxiway.components.optimizer.techniques import REFERENCE, TECHNIQUES, find_variant_refusal, split_techniques
from taxiway.components.refusal import Refusal

SMALLER = 1.02
"""A structure that makes the servable smaller by less than this makes no later technique smaller or faster."""


def list_combinations(config: OptimizationConfig) -> list[tuple[str, str]]:
    """Structure and later technique of every combination, in the order in which they are tried."""
    if not config.combine:
        return []
    listed = set(config.variants)
    alone = [name for name in dict.fromkeys(config.variants) if len(split_techniques(name)) == 1 and name != REFERENCE]
    structures = [name for name in alone if TECHNIQUES[name].stage == "structure"]
    later = [name for name in alone if TECHNIQUES[name].stage != "structure"]
    return [(s, t) for s in structures for t in later if f"{s}+{t}" not in listed]


def find_combination_refusal(structure: Variant, alone: Variant, config: OptimizationConfig) -> Refusal | None:
    """Why a structure is not combined with a technique.

    Args:
        structure: Report entry of the structure applied by itself.
        alone: Report entry of the technique applied to the trained model.
        config: Configuration with the quality to keep.
    """
    return _find_structure_refusal(structure, alone.name, config) or _find_technique_refusal(alone, config)


def find_deepened_refusal(before: Variant | None, config: OptimizationConfig) -> Refusal | None:
    """Why a structure is not taken further.

    Args:
        before: Report entry of the structure that would be; None where it was not asked for.
        config: Configuration with the quality to keep.
    """
    if before is None:
        return None
    if before.status in UNMADE:
        return Refusal(f"{before.name} was not made: {before.reason}")
    lost = list_quality_rejections(before, config)
    return Refusal(f"{before.name} by itself already loses too much: {'; '.join(lost)}") if lost else None


def find_surpassed_refusal(deeper: Variant | None, config: OptimizationConfig) -> Refusal | None:
    """Why a structure is combined with nothing: one that takes it further keeps the limits too.

    Args:
        deeper: Report entry of that one; None where there is none.
        config: Configuration with the quality to keep.
    """
    if deeper is None or deeper.status != "measured" or list_quality_rejections(deeper, config):
        return None
    return Refusal(f"{deeper.name} goes further and keeps the limits of quality")


def find_deeper_structure(structure: str, names: Iterable[str]) -> str | None:
    """The one of `names` that takes a structure further, if any."""
    return next((name for name in names if "+" not in name and TECHNIQUES[name].deepens == structure), None)


def _find_structure_refusal(structure: Variant, later: str, config: OptimizationConfig) -> Refusal | None:
    if structure.status in UNMADE:
        return Refusal(f"{structure.name} was not made: {structure.reason}")
    lost = list_quality_rejections(structure, config)
    if lost:
        return Refusal(f"its branch was dropped: {structure.name}: {'; '.join(lost)}")
    if later in TECHNIQUES[structure.name].pays_in:
        return None
    ratio = structure.size.ratio if structure.size else None
    if ratio is None or ratio >= SMALLER:
        return None
    return Refusal(
        f"its branch was dropped: {structure.name} leaves {1 / ratio:.0%} of the reference's bytes and every "
        f"multiplication, so it makes {later} neither smaller nor faster"
    )


def _find_technique_refusal(alone: Variant, config: OptimizationConfig) -> Refusal | None:
    if alone.status in UNMADE:
        return Refusal(f"{alone.name} by itself was not made: {alone.reason}")
    lost = list_quality_rejections(alone, config)
    return Refusal(f"{alone.name} by itself loses too much: {'; '.join(lost)}") if lost else None


def refuse_unavailable_variants(names: Iterable[str]) -> dict[str, Refusal]:
    """The variants with a technique that the installed packages do not have, which are not tried, by name."""
    refusals = {name: find_variant_refusal(name) for name in names}
    return {name: refusal for name, refusal in refusals.items() if refusal}


def refuse_excess_variants(names: Sequence[str], config: OptimizationConfig) -> dict[str, Refusal]:
    """The variants beyond `max_variants`, which are not tried, by name.

    Args:
        names: Variants in the order in which they are tried, without the reference.
        config: Configuration with `max_variants`.
    """
    return dict.fromkeys(names[config.max_variants :], Refusal(f"max_variants is {config.max_variants}"))
