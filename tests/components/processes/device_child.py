"""A child that sets TensorFlow's devices and threads, and trains a little: what a started TensorFlow would refuse."""

import sys

from taxiway.components.processes import subprocesses


def work(job):
    before = "tensorflow" in sys.modules
    import tensorflow as tf
    import tf_keras

    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * job["devices"])
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    tf_keras.utils.set_random_seed(7)
    layer, optimizer = tf_keras.layers.Dense(2), tf_keras.optimizers.SGD(0.1)
    layer.build([None, 3])
    rows = tf.random.stateless_normal([64, 3], [1, 2])

    @tf.function
    def train_step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(layer(rows) - 1.0))
        optimizer.apply_gradients(zip(tape.gradient(loss, layer.weights), layer.weights, strict=True))

    for _ in range(5):
        train_step()
    devices = len(tf.config.list_logical_devices("CPU"))
    return {"devices": devices, "imported_before": before, "weights": layer.kernel.numpy().tolist()}


if __name__ == "__main__":
    subprocesses.run_child_main(work)
