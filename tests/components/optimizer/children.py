"""What tests do in processes of their own: techniques that misbehave, and answers asked of a SavedModel afresh."""

from __future__ import annotations

import faulthandler
import os
from pathlib import Path
from typing import Any

from components import subprocesses
from components.optimizer import graphs, nodes
from components.optimizer.report import Check
from components.optimizer.variants import TECHNIQUES
from components.optimizer.variants.base import Piece, Technique, Workshop


def _nothing(workshop: Workshop, piece: Piece) -> str:
    return ""


def _no_checks(workshop: Workshop, piece: Piece, made: Piece) -> list[Check]:
    return []


def _abort(workshop: Workshop, piece: Piece, made: Piece) -> None:
    faulthandler.disable()  # pytest's: its dump would read like a failure
    os.abort()


def _spoil(workshop: Workshop, piece: Piece, made: Piece) -> None:
    """Weights with noise: fast and small, and no good."""
    import numpy as np
    import tensorflow as tf

    random = np.random.default_rng(0)

    def noisy(node: Any) -> list[Any]:
        value = tf.make_ndarray(node.attr["value"].tensor)
        return [nodes.const_node(node.name, value + random.normal(0, 1.0, value.shape), tf.float32)]

    model = graphs.optimize(graphs.load_frozen(piece.servable))
    graph, _ = nodes.rewrite_constants(model.graph, tf.float32, 64, noisy)
    graphs.write(model.with_graph(graph), made.servable)


def _lie(workshop: Workshop, piece: Piece, made: Piece) -> list[Check]:
    return [Check(name="sparsity", passed=False, detail="0.0 % of the weights are zero, 75 % wanted")]


def _compile(workshop: Workshop, piece: Piece, made: Piece) -> None:
    """A servable that loads everywhere and answers only where XLA is enabled."""
    _save_compiled(made.servable)


ABORTS = Technique("frozen", _nothing, _abort, _no_checks)
SPOILS = Technique("float16", _nothing, _spoil, _no_checks)
COMPILES = Technique("lean_inputs", _nothing, _compile, _no_checks)
FAILS_ITS_CHECK = Technique("int8_weights", _nothing, _spoil, _lie)


def optimize(content: dict[str, Any]) -> dict[str, Any]:
    """Runs the optimizer with some techniques replaced by those of this module."""
    from components.optimizer import search
    from components.optimizer.job import OptimizerJob

    for name, attribute in content["replaced"].items():
        TECHNIQUES[name] = f"tests.components.optimizer.children:{attribute}"
    search.optimize(OptimizerJob.model_validate(content["job"]))
    return {}


def answers(content: dict[str, Any]) -> dict[str, Any]:
    """Scores of the eval rows through a SavedModel's `serving_default`, with TensorFlow 2's own loader, and labels."""
    import tensorflow as tf

    files = [str(p) for p in Path(content["examples"], "Split-eval").glob("*.gz")]
    rows = [r.numpy() for r in tf.data.TFRecordDataset(files, "GZIP")]
    labels = [tf.train.Example.FromString(r).features.feature["label"].int64_list.value[0] for r in rows]
    loaded = tf.saved_model.load(content["servable"])
    scores = loaded.signatures["serving_default"](examples=tf.constant(rows))["probabilities"].numpy()[:, 0]
    return {"labels": labels, "scores": scores.tolist(), "signatures": sorted(loaded.signatures)}


def compiled(content: dict[str, Any]) -> dict[str, Any]:
    """Whether a servable that must be compiled by XLA loads, and what it answers with XLA disabled."""
    import numpy as np
    import tensorflow as tf

    from components.optimizer import served

    _save_compiled(content["folder"])
    served.disable_xla()
    model = served.Served(content["folder"], "binary")
    try:
        model(np.array([b""], dtype=object))
    except tf.errors.OpError as error:
        return {"error": str(error)}
    return {"error": ""}


def _save_compiled(folder: str) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.f = tf.function(
        lambda examples: {"probabilities": inner(tf.cast(tf.strings.length(examples), tf.float32))[:, None]},
        input_signature=[tf.TensorSpec([None], tf.string, "examples")],
        autograph=False,
    )
    inner = tf.function(lambda x: x * 2, jit_compile=True, autograph=False)
    tf.saved_model.save(module, folder, signatures={"serving_default": module.f})


def with_slots(content: dict[str, Any]) -> dict[str, Any]:
    """Saves the small servable with an optimizer's slots beside its weights."""
    import tensorflow as tf

    from tests.components.optimizer import models

    servable = models.Servable(models.fit(models.rows(500, 5), 96))
    servable.slots = [
        tf.Variable(tf.random.normal(p.shape), name=f"adam_{i}") for i, p in enumerate(servable.params * 2)
    ]
    models.save(servable, content["folder"])
    return {"weights": sum(p.shape.num_elements() for p in servable.params) * 4}


def lean(content: dict[str, Any]) -> dict[str, Any]:
    """Answers of a servable with optional columns, frozen and with lean inputs, on rows that try the parser."""
    from components.optimizer.variants.lean_inputs import lean as made_lean
    from tests.components.optimizer import optional

    folder = Path(content["folder"])
    optional.save(str(folder / "trained"))
    frozen = graphs.optimize(graphs.load_frozen(str(folder / "trained")))
    graphs.write(frozen, str(folder / "frozen"))
    made, done = made_lean(graphs.flat(str(folder / "frozen")))
    graphs.write(made, str(folder / "lean"))
    found: dict[str, Any] = {"done": done}
    for name in ("trained", "frozen", "lean"):
        found[name] = optional.answers(str(folder / name))
        found[f"{name}_ops"] = graphs.count_executed_ops(str(folder / name), "serving_default")
    return found


def preloaded(content: dict[str, Any]) -> dict[str, Any]:
    """Whether importing all that the forks need has started TensorFlow, or a thread: then nothing may be forked."""
    import threading

    from tensorflow.python.eager import context

    from components.optimizer import work

    work.preload(sorted(TECHNIQUES))
    return {"started": context._context is not None, "threads": threading.active_count()}


_WORK = {
    "preloaded": preloaded,
    "optimize": optimize,
    "answers": answers,
    "compiled": compiled,
    "with_slots": with_slots,
    "lean": lean,
}

if __name__ == "__main__":
    subprocesses.child_main(lambda content: _WORK[content["do"]](content))
