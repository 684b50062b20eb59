"""What the staged search combines, and why it leaves the rest."""

from __future__ import annotations

import pytest

from components.optimizer.combinations import combinations, in_time, no_combination
from components.optimizer.config import OptimizationConfig
from components.optimizer.report import Size, Variant
from tests.components.optimizer.test_decision import quality


def judged(name: str, ratio: float = 1.0, drop: float = 0.0, status: str = "measured") -> Variant:
    size = Size(bytes=1, compressed_bytes=1, ratio=ratio)
    return Variant(name=name, techniques=[name], status=status, reason="no reason", size=size, quality=quality(drop))


def test_structures_come_before_graph_precision_and_runtime():
    config = OptimizationConfig(variants=("float16", "structured_pruned", "tflite_int8", "sparsity_2_4"))
    assert combinations(config) == [
        ("structured_pruned", "float16"),
        ("structured_pruned", "tflite_int8"),
        ("sparsity_2_4", "float16"),
        ("sparsity_2_4", "tflite_int8"),
    ]


def test_what_is_listed_by_hand_is_not_combined_again():
    config = OptimizationConfig(variants=("float16", "structured_pruned", "structured_pruned+float16"))
    assert combinations(config) == []
    assert (
        combinations(config.model_copy(update={"combine": False, "variants": ("float16", "structured_pruned")})) == []
    )


@pytest.mark.parametrize(
    ("structure", "later", "why"),
    [
        (judged("structured_pruned", 2.0), judged("float16"), ""),
        (judged("structured_pruned", 2.0, 0.01), judged("float16"), "its branch was dropped: structured_pruned: auc"),
        (judged("structured_pruned", 2.0), judged("float16", drop=0.01), "float16 by itself loses too much: auc"),
        (judged("structured_pruned", status="failed"), judged("float16"), "was not made: no reason"),
        (judged("structured_pruned", 2.0), judged("onnx", status="failed"), "onnx by itself was not made"),
        (judged("magnitude_pruned", 1.0), judged("float16"), "neither smaller nor faster"),
        (judged("sparsity_2_4", 1.0), judged("float16"), "neither smaller nor faster"),
        (judged("sparsity_2_4", 1.0), judged("tensorrt_engine_int8"), ""),
        (judged("quantization_aware", 0.9), judged("tflite_int8"), ""),
        (judged("quantization_aware", 0.9), judged("onnx"), "neither smaller nor faster"),
    ],
)
def test_why_a_combination_is_not_tried(structure, later, why):
    reason = no_combination(structure, later, OptimizationConfig())
    assert why in reason
    assert bool(why) == bool(reason)


def test_the_most_variants():
    config = OptimizationConfig(max_variants=2)
    assert in_time(["a", "b", "c"], config) == {"c": "max_variants is 2"}
