"""What the staged search combines, and why it leaves the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from taxiway.components.optimizer.combinations import (
    find_combination_refusal,
    find_deepened_refusal,
    find_deeper_structure,
    find_surpassed_refusal,
    list_combinations,
    refuse_excess_variants,
    refuse_unavailable_variants,
)
from taxiway.components.optimizer.config import OptimizationConfig
from taxiway.components.optimizer.report import ServableSize, Variant
from taxiway.components.optimizer.techniques import TECHNIQUES
from taxiway.components.refusal import Refusal
from tests.components.optimizer.test_decision import quality


def judged(name: str, ratio: float = 1.0, drop: float = 0.0, status: str = "measured") -> Variant:
    size = ServableSize(bytes=1, compressed_bytes=1, ratio=ratio)
    return Variant(name=name, techniques=[name], status=status, reason="no reason", size=size, quality=quality(drop))


def test_structures_come_before_graph_precision_and_runtime():
    config = OptimizationConfig(variants=("float16", "structured_pruned", "tflite_int8", "sparsity_2_4"))
    assert list_combinations(config) == [
        ("structured_pruned", "float16"),
        ("structured_pruned", "tflite_int8"),
        ("sparsity_2_4", "float16"),
        ("sparsity_2_4", "tflite_int8"),
    ]


def test_what_is_listed_by_hand_is_not_combined_again():
    config = OptimizationConfig(variants=("float16", "structured_pruned", "structured_pruned+float16"))
    assert list_combinations(config) == []
    assert (
        list_combinations(config.model_copy(update={"combine": False, "variants": ("float16", "structured_pruned")}))
        == []
    )


@pytest.mark.parametrize(
    ("structure", "later", "why"),
    [
        (judged("structured_pruned", 2.0), judged("float16"), None),
        (judged("structured_pruned", 2.0, 0.01), judged("float16"), "its branch was dropped: structured_pruned: auc"),
        (judged("structured_pruned", 2.0), judged("float16", drop=0.01), "float16 by itself loses too much: auc"),
        (judged("structured_pruned", status="failed"), judged("float16"), "was not made: no reason"),
        (judged("structured_pruned", 2.0), judged("onnx", status="failed"), "onnx by itself was not made"),
        (judged("magnitude_pruned", 1.0), judged("float16"), "neither smaller nor faster"),
        (judged("sparsity_2_4", 1.0), judged("float16"), "neither smaller nor faster"),
        (judged("sparsity_2_4", 1.0), judged("tensorrt_engine_int8"), None),
        (judged("quantization_aware", 0.9), judged("tflite_int8"), None),
        (judged("quantization_aware", 0.9), judged("onnx"), "neither smaller nor faster"),
    ],
)
def test_why_a_combination_is_not_tried(structure, later, why):
    refusal = find_combination_refusal(structure, later, OptimizationConfig())
    assert refusal is None if why is None else why in refusal.reason


@pytest.mark.parametrize(
    ("before", "why"),
    [
        (None, None),
        (judged("structured_pruned", 2.0), None),
        (judged("structured_pruned", 2.0, 0.01), "structured_pruned by itself already loses too much: auc"),
        (judged("structured_pruned", status="not_tried"), "structured_pruned was not made: no reason"),
    ],
)
def test_why_a_structure_is_not_taken_further(before, why):
    refusal = find_deepened_refusal(before, OptimizationConfig())
    assert refusal is None if why is None else why in refusal.reason


@pytest.mark.parametrize(
    ("deeper", "surpassed"),
    [
        (None, False),
        (judged("structured_pruned_65", 3.0), True),
        (judged("structured_pruned_65", 3.0, 0.01), False),
        (judged("structured_pruned_65", status="not_tried"), False),
    ],
)
def test_only_the_deepest_structure_that_keeps_the_limits_is_combined(deeper, surpassed):
    assert bool(find_surpassed_refusal(deeper, OptimizationConfig())) is surpassed


def test_what_takes_a_structure_further_is_found_among_what_is_tried():
    names = ["frozen", "structured_pruned_65+frozen", "structured_pruned_65", "structured_pruned_80"]
    assert find_deeper_structure("structured_pruned", names) == "structured_pruned_65"
    assert find_deeper_structure("structured_pruned_65", names) == "structured_pruned_80"
    assert find_deeper_structure("structured_pruned_80", names) is None
    assert find_deeper_structure("magnitude_pruned", names) is None


def test_the_most_variants():
    config = OptimizationConfig(max_variants=2)
    assert refuse_excess_variants(["a", "b", "c"], config) == {"c": Refusal("max_variants is 2")}


@pytest.mark.parametrize("obstacle", ["", "TensorFlow has lost it"])
def test_what_the_installed_packages_cannot_make_is_refused_with_its_chains(monkeypatch, obstacle):
    monkeypatch.setitem(
        TECHNIQUES, "tensorrt_fp16", replace(TECHNIQUES["tensorrt_fp16"], find_obstacle=lambda: obstacle)
    )
    refused = refuse_unavailable_variants(("frozen", "tensorrt_fp16", "magnitude_pruned+tensorrt_fp16"))
    names = {"tensorrt_fp16", "magnitude_pruned+tensorrt_fp16"} if obstacle else set()
    assert refused == dict.fromkeys(names, Refusal(obstacle or "none"))
