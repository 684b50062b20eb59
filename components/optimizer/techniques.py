"""The registry of optimization techniques, and what a variant's name says. Nothing heavy is imported here.

A new technique is one file under `variants/`, one entry here, one section in `config.py` if it has settings, and one
test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from taxiway.components.errors import ConfigError, suggest_matches
from taxiway.components.extensions import list_extensions, load_extension
from taxiway.components.refusal import Refusal
from taxiway.components.stack_seam import find_tensorrt_obstacle

Runtime = Literal["tf_serving", "tf_serving_tflite", "triton", "edge"]
Hardware = Literal["cpu", "gpu"]
Stage = Literal["structure", "graph", "precision", "runtime"]

STAGE_ORDER: tuple[Stage, ...] = ("structure", "graph", "precision", "runtime")
REFERENCE = "reference"
"""Name of the trained float32 model among the variants. It is always measured, and wins when nothing is better."""
_VARIANTS = "taxiway.components.optimizer.variants"


@dataclass(frozen=True)
class TechniqueSpec:
    """A technique as it is registered.

    Attributes:
        name: Name in the configuration, in the names of variants and in reports.
        module: Module and attribute of its `Technique`; imported when it is first asked for, for some of them import
            converters that take seconds.
        stage: Its place in a chain of techniques.
        runtime: Runtime that the model is made for, where this technique is the last of its chain.
        hardware: Hardware without which the model does not run.
        pays_in: Later techniques that profit from this structure although it leaves the model as large and as slow as
            it was: it changes what a runtime can do with the weights, not their number.
        deepens: The structure that this one takes further; tried where that one kept the limits of quality.
        find_obstacle: Function that says why the installed packages do not have it at all; empty where they do.
    """

    name: str
    module: str
    stage: Stage
    runtime: Runtime = "tf_serving"
    hardware: Hardware = "cpu"
    pays_in: tuple[str, ...] = ()
    deepens: str = ""
    find_obstacle: Callable[[], str] = lambda: ""


def _make_tf_trt_spec(precision: str) -> TechniqueSpec:
    module = f"{_VARIANTS}.tensorrt:{precision.upper()}"
    return TechniqueSpec(
        f"tensorrt_{precision}", module, "runtime", "tf_serving", "gpu", find_obstacle=find_tensorrt_obstacle
    )


_ENGINES = ("tensorrt_engine_fp32", "tensorrt_engine_fp16", "tensorrt_engine_int8")
_SPECS = (
    TechniqueSpec("magnitude_pruned", f"{_VARIANTS}.magnitude_pruned:TECHNIQUE", "structure"),
    TechniqueSpec("structured_pruned", f"{_VARIANTS}.structured_pruned:TECHNIQUE", "structure"),
    TechniqueSpec(
        "structured_pruned_65", f"{_VARIANTS}.structured_pruned:FURTHER_65", "structure", deepens="structured_pruned"
    ),
    TechniqueSpec(
        "structured_pruned_80", f"{_VARIANTS}.structured_pruned:FURTHER_80", "structure", deepens="structured_pruned_65"
    ),
    TechniqueSpec("sparsity_2_4", f"{_VARIANTS}.sparsity_2_4:TECHNIQUE", "structure", pays_in=_ENGINES),
    TechniqueSpec(
        "quantization_aware", f"{_VARIANTS}.quantization_aware:TECHNIQUE", "structure", pays_in=("tflite_int8",)
    ),
    TechniqueSpec("frozen", f"{_VARIANTS}.frozen:TECHNIQUE", "graph"),
    TechniqueSpec("lean_inputs", f"{_VARIANTS}.lean_inputs:TECHNIQUE", "graph"),
    TechniqueSpec("fused_columns", f"{_VARIANTS}.fused_columns:TECHNIQUE", "graph"),
    TechniqueSpec("float16", f"{_VARIANTS}.float16:TECHNIQUE", "precision"),
    TechniqueSpec("int8_weights", f"{_VARIANTS}.int8_weights:TECHNIQUE", "precision"),
    TechniqueSpec("int8_dynamic", f"{_VARIANTS}.int8:DYNAMIC", "precision"),
    TechniqueSpec("int8_static", f"{_VARIANTS}.int8:STATIC", "precision"),
    TechniqueSpec("xla", f"{_VARIANTS}.xla:TECHNIQUE", "runtime"),
    TechniqueSpec("tflite_float32", f"{_VARIANTS}.tflite:FLOAT32", "runtime", "edge"),
    TechniqueSpec("tflite_float16", f"{_VARIANTS}.tflite:FLOAT16", "runtime", "edge"),
    TechniqueSpec("tflite_dynamic", f"{_VARIANTS}.tflite:DYNAMIC", "runtime", "edge"),
    TechniqueSpec("tflite_int8", f"{_VARIANTS}.tflite:INT8", "runtime", "edge"),
    TechniqueSpec("onnx", f"{_VARIANTS}.onnx:TECHNIQUE", "runtime", "triton"),
    _make_tf_trt_spec("fp32"),
    _make_tf_trt_spec("fp16"),
    _make_tf_trt_spec("int8"),
    TechniqueSpec("tensorrt_engine_fp32", f"{_VARIANTS}.tensorrt_engine:FP32", "runtime", "triton", "gpu"),
    TechniqueSpec("tensorrt_engine_fp16", f"{_VARIANTS}.tensorrt_engine:FP16", "runtime", "triton", "gpu"),
    TechniqueSpec("tensorrt_engine_int8", f"{_VARIANTS}.tensorrt_engine:INT8", "runtime", "triton", "gpu"),
)


class TechniqueRegistry(dict[str, TechniqueSpec]):
    """Techniques by name: ours, which it iterates over, and those of other packages when one is asked for."""

    def __contains__(self, name: object) -> bool:
        return dict.__contains__(self, name) or name in list_extensions("taxiway.techniques")

    def __missing__(self, name: str) -> TechniqueSpec:
        spec = load_extension("taxiway.techniques", name)
        if spec is None:
            raise KeyError(name)
        if not isinstance(spec, TechniqueSpec) or spec.name != name:
            raise ConfigError(
                f"The entry point {name!r} of taxiway.techniques is {spec!r}.",
                f"It must be a TechniqueSpec({name!r}, ...).",
            )
        self[name] = spec
        return spec


TECHNIQUES = TechniqueRegistry({spec.name: spec for spec in _SPECS})
"""Every technique by its name."""


def split_techniques(variant: str) -> tuple[str, ...]:
    """The techniques that a variant's name such as `magnitude_pruned+float16` stands for, in the order applied."""
    return () if variant == REFERENCE else tuple(variant.split("+"))


def find_runtime(variant: str) -> Runtime:
    """The runtime that a variant is made for: that of its last technique."""
    names = split_techniques(variant)
    return TECHNIQUES[names[-1]].runtime if names else "tf_serving"


def find_hardware(variant: str) -> Hardware:
    """What a variant needs to run at all."""
    return "gpu" if any(TECHNIQUES[name].hardware == "gpu" for name in split_techniques(variant)) else "cpu"


def find_variant_refusal(variant: str) -> Refusal | None:
    """Why the installed packages cannot make a variant: the first obstacle among its techniques."""
    obstacles = filter(None, (TECHNIQUES[name].find_obstacle() for name in split_techniques(variant)))
    return next(map(Refusal, obstacles), None)


def check_variant(variant: str) -> None:
    """Raises `ConfigError` unless the name is a chain of known techniques in the order of their stages."""
    names = split_techniques(variant)
    for name in names:
        if name not in TECHNIQUES:
            raise ConfigError(
                f"optimization.variants names {name!r}, which is no optimization technique.",
                suggest_matches(name, [*TECHNIQUES, *list_extensions("taxiway.techniques")]),
            )
    if len(set(names)) != len(names):
        raise ConfigError(f"The variant {variant!r} names a technique twice.", "Name each technique once.")
    ordered = sorted(names, key=_rank_stage)
    if [_rank_stage(name) for name in names] != [_rank_stage(name) for name in ordered]:
        raise ConfigError(
            f"The variant {variant!r} is not in the order of the stages: {', '.join(STAGE_ORDER)}.",
            f"Write {'+'.join(ordered)!r}.",
        )


def _rank_stage(name: str) -> int:
    return STAGE_ORDER.index(TECHNIQUES[name].stage)
