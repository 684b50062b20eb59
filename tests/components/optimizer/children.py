"""What tests do in processes of their own: techniques that misbehave, and answers asked of a SavedModel afresh."""

from __future__ import annotations

import dataclasses
import faulthandler
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from taxiway.components.optimizer.candidate import CandidateModel, Technique, TechniqueContext
from taxiway.components.optimizer.graphs import nodes, saved_model
from taxiway.components.optimizer.report import Check
from taxiway.components.optimizer.techniques import TECHNIQUES
from taxiway.components.processes import subprocesses


def _nothing(context: TechniqueContext, candidate: CandidateModel) -> None:
    """Refuses nothing."""


def _no_checks(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> list[Check]:
    return []


def _abort(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> None:
    faulthandler.disable()  # pytest's: its dump would read like a failure
    os.abort()


def _spoil(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> None:
    """Weights with noise: fast and small, and no good."""
    import numpy as np
    import tensorflow as tf

    random = np.random.default_rng(0)

    def noisy(node: Any) -> list[Any]:
        value = tf.make_ndarray(node.attr["value"].tensor)
        return [nodes.make_const_node(node.name, value + random.normal(0, 1.0, value.shape), tf.float32)]

    model = saved_model.run_grappler(saved_model.load_frozen(candidate.servable))
    graph, _ = nodes.rewrite_constants(model.graph, tf.float32, 64, noisy)
    saved_model.write_flat(model.with_graph(graph), target.servable)


def _lie(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> list[Check]:
    return [Check(name="sparsity", passed=False, detail="0.0 % of the weights are zero, 75 % wanted")]


def _compile(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> None:
    """A servable that loads everywhere and answers only where XLA is enabled."""
    _save_compiled(target.servable)


ABORTS = Technique("frozen", _nothing, _abort, _no_checks)
SPOILS = Technique("float16", _nothing, _spoil, _no_checks)
COMPILES = Technique("lean_inputs", _nothing, _compile, _no_checks)
FAILS_ITS_CHECK = Technique("int8_weights", _nothing, _spoil, _lie)


def optimize(content: dict[str, Any]) -> dict[str, Any]:
    """Runs the optimizer with some techniques replaced by those of this module."""
    from taxiway.components.optimizer import search
    from taxiway.components.optimizer.job import OptimizerJob

    for name, attribute in content["replaced"].items():
        module = f"tests.components.optimizer.children:{attribute}"
        TECHNIQUES[name] = dataclasses.replace(TECHNIQUES[name], module=module)
    search.optimize_model(OptimizerJob.model_validate(content["job"]))
    return {}


def optimize_late(content: dict[str, Any]) -> dict[str, Any]:
    """Runs the optimizer with a budget that is spent when the variants were made and scored."""
    from taxiway.components.optimizer import search
    from taxiway.components.optimizer.building import tasks
    from taxiway.components.optimizer.job import OptimizerJob

    in_time = tasks._load_models
    tasks._load_models = lambda *arguments: in_time(*arguments[:-1], deadline=0.0)
    search.optimize_model(OptimizerJob.model_validate(content["job"]))
    return {}


def load_slowly(content: dict[str, Any]) -> dict[str, Any]:
    """By seconds that are left: how many models are loaded, each in a second."""
    import numpy as np

    from taxiway.components.optimizer.building import tasks

    clock = [0.0]
    tasks.time = SimpleNamespace(monotonic=lambda: clock[0], perf_counter=lambda: clock[0])

    def open_slowly(candidate: CandidateModel) -> Any:
        clock[0] += 1.0
        return lambda rows: None

    loaded = {}
    candidates = {name: CandidateModel(name) for name in content["names"]}
    for seconds in content["seconds"]:
        models, starts = tasks._load_models(candidates, open_slowly, np.array([b""]), clock[0] + seconds)
        assert list(models) == list(starts) == content["names"][: len(models)]
        loaded[str(seconds)] = len(models)
    return loaded


def answers(content: dict[str, Any]) -> dict[str, Any]:
    """Scores of the eval rows through a SavedModel's `serving_default`, with TensorFlow 2's own loader, and labels."""
    import tensorflow as tf

    files = [str(p) for p in Path(content["examples"], "Split-eval").glob("*.gz")]
    rows = [r.numpy() for r in tf.data.TFRecordDataset(files, "GZIP")]
    labels = [tf.train.Example.FromString(r).features.feature["label"].int64_list.value[0] for r in rows]
    loaded = tf.saved_model.load(content["servable"])
    scores = loaded.signatures["serving_default"](examples=tf.constant(rows))["probabilities"].numpy()[:, 0]
    return {"labels": labels, "scores": scores.tolist(), "signatures": sorted(loaded.signatures)}


def labels(content: dict[str, Any]) -> dict[str, Any]:
    """Scores of the first eval rows and the label that each of some SavedModels gives them."""
    import tensorflow as tf

    from taxiway.components.contract import EXAMPLES_INPUT, PREDICTED_LABEL, PROBABILITIES, SERVING_DEFAULT
    from taxiway.components.saved_models.session import SavedModelSession

    files = [str(p) for p in Path(content["examples"], "Split-eval").glob("*.gz")]
    rows = [r.numpy() for r in tf.data.TFRecordDataset(files, "GZIP").take(500)]
    answers = []
    for folder in content["servables"]:
        with SavedModelSession(folder) as session:
            said = session.run(SERVING_DEFAULT, {EXAMPLES_INPUT: rows})
        found = [label.decode() for label in said[PREDICTED_LABEL]]
        answers.append({"scores": said[PROBABILITIES][:, 0].tolist(), "labels": found})
    return {"answers": answers}


def compiled(content: dict[str, Any]) -> dict[str, Any]:
    """Whether a servable that must be compiled by XLA loads, and what it answers with XLA disabled."""
    import numpy as np
    import tensorflow as tf

    from taxiway.components.optimizer.measurement import runtimes
    from taxiway.components.saved_models import tensorflow_private

    _save_compiled(content["folder"])
    tensorflow_private.disable_xla()
    model = runtimes.open_servable(content["folder"], "probabilities")
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
    from taxiway.components.optimizer.variants.lean_inputs import shorten_inputs
    from tests.components.optimizer import optional

    folder = Path(content["folder"])
    optional.save(str(folder / "trained"))
    frozen = saved_model.run_grappler(saved_model.load_frozen(str(folder / "trained")))
    saved_model.write_flat(frozen, str(folder / "frozen"))
    lean_model, done = shorten_inputs(saved_model.load_flat(str(folder / "frozen")))
    saved_model.write_flat(lean_model, str(folder / "lean"))
    found: dict[str, Any] = {"done": done}
    for name in ("trained", "frozen", "lean"):
        found[name] = optional.answers(str(folder / name))
        found[f"{name}_ops"] = saved_model.count_executed_ops(str(folder / name), "serving_default")
    return found


def stacked(content: dict[str, Any]) -> dict[str, Any]:
    """What fusing the columns of a servable that stacks them does to it."""
    from tests.components.optimizer import stacked

    return stacked.compare(Path(content["folder"]))


def grouped(content: dict[str, Any]) -> dict[str, Any]:
    """What lean inputs do to a servable that makes columns dense by groups."""
    from tests.components.optimizer import stacked

    return stacked.compare_groups(Path(content["folder"]))


def preloaded(content: dict[str, Any]) -> dict[str, Any]:
    """Whether importing all that the forks need has started TensorFlow, or a thread: then nothing may be forked."""
    import threading

    from tensorflow.python.eager import context

    from taxiway.components.optimizer.building import tasks

    tasks.preload_modules(sorted(TECHNIQUES))
    return {"started": context._context is not None, "threads": threading.active_count()}


_WORK = {
    "preloaded": preloaded,
    "optimize": optimize,
    "optimize_late": optimize_late,
    "load_slowly": load_slowly,
    "answers": answers,
    "labels": labels,
    "compiled": compiled,
    "with_slots": with_slots,
    "lean": lean,
    "stacked": stacked,
    "grouped": grouped,
}

if __name__ == "__main__":
    subprocesses.run_child_main(lambda content: _WORK[content["do"]](content))
