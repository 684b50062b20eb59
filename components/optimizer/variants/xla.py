"""`xla`: the core of the servable is marked to be compiled by XLA.

The mark survives in the SavedModel, but TensorFlow Serving compiles only when it is started with
`--xla_cpu_compilation_enabled` (or `--xla_gpu_compilation_enabled`). Without the flag the model loads and fails on its
first request. So the variant is refused unless the configuration says that the server compiles.
"""

from __future__ import annotations

import tensorflow as tf

from components.contract import score_output
from components.optimizer import finetuning, graphs
from components.optimizer.report import Check
from components.optimizer.variants.base import Piece, Technique, Workshop

_MARK = "_XlaMustCompile"


def _pre_check(workshop: Workshop, piece: Piece) -> str:
    if not workshop.config.xla:
        return (
            "TensorFlow Serving does not compile unless it is started with --xla_cpu_compilation_enabled: the first "
            "request would fail. Set optimization.xla: true (serving.xla) for a server that does"
        )
    return finetuning.refusal(piece)


def _transform(workshop: Workshop, piece: Piece, made: Piece) -> None:
    trained = finetuning.load(workshop, piece)
    model = trained.keras_model
    inner = tf.function(lambda features: model(features, training=False), jit_compile=True, autograph=False)

    finetuning.save_servables(finetuning.StandIn(model, inner, model.variables), trained.job, made)


def must_compile(servable: str) -> list[str]:
    """Names of the functions in a SavedModel that XLA must compile."""
    functions = graphs.read_flat(servable).graph.library.function
    return [f.signature.name for f in functions if f.attr[_MARK].b]


def _post_check(workshop: Workshop, piece: Piece, made: Piece) -> list[Check]:
    marked = must_compile(made.servable)
    return [
        Check(
            name="compiled",
            passed=bool(marked),
            detail=f"{len(marked)} functions must be compiled; the output is {score_output(workshop.task)}",
            figures={"functions": marked},
        )
    ]


TECHNIQUE = Technique("xla", _pre_check, _transform, _post_check)
