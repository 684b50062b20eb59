"""TensorBoard: scalars of each evaluation, the model's graph, a profile of a window of steps."""

from __future__ import annotations

import tensorflow as tf

from taxiway.components.training.loop.history import History
from taxiway.components.training.loop.loop import Action, Loop


class TensorBoardAction(Action):
    """Writes every evaluation that is new in the history. It comes after `EvaluationAction` in the order of actions.

    Args:
        folder: The folder of the event files.
        history: The history whose evaluations are written.
    """

    def __init__(self, folder: str, history: History) -> None:
        self.writer, self.history = tf.summary.create_file_writer(folder), history
        self.written = -1

    def is_due(self, loop: Loop) -> bool:
        return bool(self.history.evaluations) and self.history.evaluations[-1]["step"] > self.written

    def run_action(self, loop: Loop) -> None:
        with self.writer.as_default():
            if self.written < 0:
                tf.summary.graph(_trace_graph(loop))
            for evaluation in self.history.evaluations:
                if evaluation["step"] > self.written:
                    self._write_evaluation(evaluation)
        self.written = self.history.evaluations[-1]["step"]

    def _write_evaluation(self, evaluation: dict) -> None:
        step = evaluation["step"]
        for name in ("loss", "learning_rate", "gradient_norm", "rows_per_second"):
            tf.summary.scalar(f"train/{name}", evaluation[name], step)
        for name, value in evaluation["metrics"].items():
            tf.summary.scalar(f"eval/{name}", value, step)

    def end_action(self, loop: Loop) -> None:
        self.writer.close()


def _trace_graph(loop: Loop) -> tf.Graph:
    model = loop.stepper.model
    specs = {name: tf.TensorSpec(tensor.shape, tensor.dtype) for name, tensor in model.input.items()}
    trace = tf.function(lambda features: model(features), autograph=loop.stepper.autograph)
    return trace.get_concrete_function(specs).graph


class ProfileAction(Action):
    """Profiles the steps from `first` to `last`."""

    def __init__(self, folder: str, first: int, last: int) -> None:
        self.folder, self.first, self.last, self.running = folder, first, last, False

    def next_step(self, step: int) -> int | None:
        return self.first if step < self.first else self.last if step < self.last else None

    def run_action(self, loop: Loop) -> None:
        if loop.step < self.last:
            tf.profiler.experimental.start(self.folder)
            self.running = True
        else:
            self.end_action(loop)

    def end_action(self, loop: Loop) -> None:
        if self.running:
            tf.profiler.experimental.stop()
            self.running = False
