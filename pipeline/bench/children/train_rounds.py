"""The rounds of `taxiway bench train`, in a process of their own: four loops over one model, data, batch and optimizer,
each without XLA and, where that is one setting, with it.

The model is an MLP of 18-128-64-1, the optimizer Adam with a constant rate (Keras's legacy one, so that only the loop
differs), the data 20,000 rows in memory, all of them shuffled in each epoch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from taxiway.components.processes import subprocesses
from taxiway.components.training import TrainingJob
from taxiway.components.training.data.sources import MemorySource
from taxiway.components.training.distribution.strategies import Replicas
from taxiway.components.training.loop.loop import Loop
from taxiway.components.training.loop.steps import Stepper
from taxiway.components.training.model.autograph import keep_keras_unconverted
from taxiway.components.training.model.optimizers import build_optimizer

FEATURES, ROWS, RATE = 18, 20_000, 0.001
UNITS = (128, 64)
TUNED = 50
"""`steps_per_execution` of the tuned fit."""

WARM_UP = 2
"""Rounds that are not counted: the first traces and compiles, and what it leaves running weighs on the second."""

TakeSteps = Callable[[int], None]
"""A training loop: takes so many steps."""


def make_rows() -> tuple[np.ndarray, np.ndarray]:
    """Features float32 `[rows, 18]` and labels int64 `[rows]` with a signal that a linear model misses."""
    generator = np.random.default_rng(7)
    x = generator.normal(size=(ROWS, FEATURES)).astype(np.float32)
    score = x[:, 0] * x[:, 1] + x[:, 2] + 0.3 * generator.normal(size=ROWS)
    return x, (score > 0).astype(np.int64)


def make_model() -> Any:
    """The model, with the same first weights for every side."""
    tf_keras.utils.set_random_seed(3)
    inputs = {"numeric": tf_keras.Input([FEATURES], name="numeric")}
    hidden = inputs["numeric"]
    for units in UNITS:
        hidden = tf_keras.layers.Dense(units, "relu")(hidden)
    return tf_keras.Model(inputs, tf_keras.layers.Dense(1)(hidden))


def make_ours(batch: int, x: np.ndarray, y: np.ndarray, xla: str) -> tuple[TakeSteps, Any]:
    settings = {
        "global_batch_size": batch,
        "optimizer": {"learning_rate": RATE},
        "schedule": {"name": "constant"},
        "clip": {"by": "none"},
        "xla": xla,
    }
    job = TrainingJob.model_validate(
        {
            "transform_graph": "",
            "train_files": (),
            "eval_files": (),
            "label": "y",
            "task": "binary",
            "training": settings,
        }
    )
    model = make_model()
    stepper = Stepper(job, model, build_optimizer(job.training, 1), Replicas(tf.distribute.get_strategy()))
    source = MemorySource({"numeric": x, "y": y}, "y", None)

    def take_steps(steps: int) -> None:
        loop = Loop(stepper, source, int(stepper.step.numpy()) + steps)
        loop.run_to_end()

    return take_steps, model


def shuffled_batches(batch: int, x: np.ndarray, y: np.ndarray) -> tf.data.Dataset:
    """Endless batches looked up in memory, as `make_fit` does for arrays: faster than rows through tf.data's
    shuffle."""
    features, labels = tf.constant(x), tf.constant(y.astype(np.float32))
    rows = tf.data.Dataset.from_tensors(tf.range(len(x))).map(tf.random.shuffle).repeat()
    cut = rows.flat_map(lambda order: tf.data.Dataset.from_tensor_slices(order).batch(batch, drop_remainder=True))
    return cut.map(lambda i: (tf.gather(features, i), tf.gather(labels, i))).prefetch(16)


def make_fit(
    batch: int, x: np.ndarray, y: np.ndarray, steps_per_execution: int, xla: bool = False
) -> tuple[TakeSteps, Any]:
    """Keras's own loop."""
    model = make_model()
    loss = tf_keras.losses.BinaryCrossentropy(from_logits=True)
    optimizer = tf_keras.optimizers.legacy.Adam(RATE)
    model.compile(optimizer, loss, steps_per_execution=steps_per_execution, jit_compile=xla)
    batches = shuffled_batches(batch, x, y).map(lambda x, y: ({"numeric": x}, y[:, None]))

    def take_steps(steps: int) -> None:
        model.fit(batches, steps_per_epoch=steps, epochs=1, verbose=0)

    return take_steps, model


class BareLoop:
    """The loop that one would write without Keras: raw variables, fused Adam, many steps a call, and nothing else (no
    weights, no check of what is finite, no gradient norm)."""

    def __init__(self, batch: int, x: np.ndarray, y: np.ndarray, xla: bool) -> None:
        self.model = make_model()  # only for its first weights, and to judge the last
        self.weights = [tf.Variable(w) for w in self.model.get_weights()]
        self.slots = [(tf.Variable(tf.zeros_like(w)), tf.Variable(tf.zeros_like(w))) for w in self.weights]
        self.taken = tf.Variable(0.0)
        self.batches = iter(shuffled_batches(batch, x, y))
        self.train = tf.function(self.train_step, jit_compile=True, autograph=False) if xla else self.train_step

    @tf.function(autograph=False)
    def train_steps(self, count: tf.Tensor) -> tf.Tensor:
        def loop_body(i: tf.Tensor) -> tuple[tf.Tensor]:
            x, y = next(self.batches)
            with tf.control_dependencies([self.train(x, y)]):
                return (i + 1,)

        return tf.while_loop(lambda i: i < count, loop_body, (tf.zeros([], tf.int64),))[0]

    def train_step(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            hidden = x
            for kernel, bias in zip(self.weights[:-2:2], self.weights[1:-2:2], strict=True):
                hidden = tf.nn.relu(tf.matmul(hidden, kernel) + bias)
            logits = (tf.matmul(hidden, self.weights[-2]) + self.weights[-1])[:, 0]
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(y, logits))
        gradients = tape.gradient(loss, self.weights)
        taken = self.taken.assign_add(1.0)
        for weight, (m, v), gradient in zip(self.weights, self.slots, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=weight.handle, m=m.handle, v=v.handle, beta1_power=tf.pow(0.9, taken), lr=RATE, grad=gradient,
                beta2_power=tf.pow(0.999, taken), beta1=0.9, beta2=0.999, epsilon=1e-7,
            )  # fmt: skip
        return loss

    def take_steps(self, steps: int) -> None:
        self.train_steps(tf.constant(steps, tf.int64)).numpy()
        self.model.set_weights([w.numpy() for w in self.weights])


def make_bare(batch: int, x: np.ndarray, y: np.ndarray, xla: bool = False) -> tuple[TakeSteps, Any]:
    loop = BareLoop(batch, x, y, xla)
    return loop.take_steps, loop.model


SIDES: dict[str, Callable[[int, np.ndarray, np.ndarray], tuple[TakeSteps, Any]]] = {
    "ours_xla": lambda batch, x, y: make_ours(batch, x, y, "on"),
    "ours_plain": lambda batch, x, y: make_ours(batch, x, y, "off"),
    "fit": lambda batch, x, y: make_fit(batch, x, y, 1),
    "fit_tuned": lambda batch, x, y: make_fit(batch, x, y, TUNED),
    "fit_tuned_xla": lambda batch, x, y: make_fit(batch, x, y, TUNED, True),
    "bare": make_bare,
    "bare_xla": lambda batch, x, y: make_bare(batch, x, y, True),
}


def run_rounds(content: dict[str, Any]) -> dict[str, Any]:
    """Steps a second of each side, round by round, and the loss after the same number of steps."""
    return {
        str(batch): measure_batch(batch, content["steps"][str(batch)], content["rounds"])
        for batch in content["batches"]
    }


def measure_batch(batch: int, steps: int, rounds: int) -> dict[str, Any]:
    keep_keras_unconverted()  # for every side alike; it shortens the first round, which is not counted
    x, y = make_rows()
    trainers = {name: make(batch, x, y) for name, make in SIDES.items()}
    speed: dict[str, list[float]] = {name: [] for name in SIDES}
    for number in range(WARM_UP + rounds):
        for name, (take, _) in trainers.items():
            started = time.perf_counter()
            take(steps)
            if number >= WARM_UP:
                speed[name].append(steps / (time.perf_counter() - started))
    losses = {name: compute_loss(model, x, y) for name, (_, model) in trainers.items()}
    return {"steps_per_second": speed, "loss": losses, "steps": steps * (WARM_UP + rounds)}


def compute_loss(model: Any, x: np.ndarray, y: np.ndarray) -> float:
    logits = model({"numeric": x})[:, 0]
    return float(tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(y.astype(np.float32), logits)))


if __name__ == "__main__":
    subprocesses.run_child_main(run_rounds)
