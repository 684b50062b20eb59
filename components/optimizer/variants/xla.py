"""`xla`: the core of the servable is marked to be compiled by XLA.

The mark survives in the SavedModel, but TensorFlow Serving compiles only when it is started with
`--xla_cpu_compilation_enabled` (or `--xla_gpu_compilation_enabled`). Without the flag the model loads and fails on its
first request. So the variant is refused unless the configuration says that the server has the flag.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from taxiway.components.optimizer.candidate import CandidateModel, Technique, TechniqueContext
from taxiway.components.optimizer.graphs import saved_model
from taxiway.components.optimizer.report import Check
from taxiway.components.optimizer.variants.shared import finetuning
from taxiway.components.optimizer.variants.shared.pre_checks import refuse_untrainable
from taxiway.components.refusal import Refusal

_MARK = "_XlaMustCompile"


def _pre_check(context: TechniqueContext, candidate: CandidateModel) -> Refusal | None:
    if not context.config.xla:
        return Refusal(
            "TensorFlow Serving does not compile unless it is started with --xla_cpu_compilation_enabled: the first "
            "request would fail. Set optimization.xla: true for a server that does"
        )
    return None if context.given else refuse_untrainable(context, candidate)


def _transform_model(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> None:
    if context.given:
        _compile_given(candidate, target)
    else:
        _compile_trained(context, candidate, target)


def _compile_given(candidate: CandidateModel, target: CandidateModel) -> None:
    """Marks every signature of a SavedModel, whatever made it."""
    loaded = tf.saved_model.load(candidate.servable)
    module = tf.Module()
    module.loaded = loaded
    signatures = {name: _compile_signature(function) for name, function in loaded.signatures.items()}
    tf.saved_model.save(module, target.servable, signatures=signatures)
    saved_model.copy_extra_assets(candidate.servable, target.servable)


def _compile_signature(function: Any) -> Any:
    specs = {
        name: tf.TensorSpec(spec.shape, spec.dtype, name)
        for name, spec in function.structured_input_signature[1].items()
    }
    compiled = tf.function(lambda **inputs: function(**inputs), jit_compile=True, autograph=False)
    return compiled.get_concrete_function(**specs)


def _compile_trained(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> None:
    trained = finetuning.load_model(context, candidate)
    model = trained.keras_model
    inner = tf.function(lambda features: model(features, training=False), jit_compile=True, autograph=False)

    finetuning.save_servables(finetuning.KerasModelAdapter(model, inner, model.variables), trained.job, target)


def list_compiled_functions(servable: str) -> list[str]:
    """Names of the functions in a SavedModel that XLA must compile."""
    functions = saved_model.read_meta_graph(servable).graph_def.library.function
    return [f.signature.name for f in functions if f.attr[_MARK].b]


def _post_check(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> list[Check]:
    marked = list_compiled_functions(target.servable)
    return [
        Check(
            name="compiled",
            passed=bool(marked),
            detail=f"{len(marked)} functions must be compiled",
            figures={"functions": marked},
        )
    ]


TECHNIQUE = Technique("xla", _pre_check, _transform_model, _post_check)
