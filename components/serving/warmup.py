"""Warm-up requests: real rows as `PredictionLog`s, which a server replays before a version takes requests.

The file is an uncompressed TFRecord; TensorFlow Serving reads at most 1000 records, and one bad record fails the load,
so the validator replays it before the push.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from components.errors import ServingError
from components.serving import tensors
from components.serving.limits import Limits
from components.serving.manifest import EXTRA
from components.serving.requests import RequestMaker
from components.serving.servable import Servable

WARMUP_FILE = "tf_serving_warmup_requests"
MAX_RECORDS = 1000
REPLAY_SECONDS = 300.0
"""For all of them: a graph that does not end may not hold the next version back."""


def predict_request(model: str, signature: str, inputs: dict[str, np.ndarray]) -> predict_pb2.PredictRequest:
    """A request of the gRPC API."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for alias, values in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(values))
    return request


def write(folder: Path, model: str, maker: RequestMaker, batch_sizes: Iterable[int]) -> int:
    """Writes the warm-up file into `assets.extra/` of a folder: one request for each signature and batch size.

    Returns:
        The number of requests. Rows repeat where there are fewer than a batch takes.
    """
    logs = list(_logs(model, maker, batch_sizes))[:MAX_RECORDS]
    path = folder / EXTRA / WARMUP_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as out:
        for log in logs:
            out.write(log.SerializeToString())
    return len(logs)


def _logs(model: str, maker: RequestMaker, batch_sizes: Iterable[int]) -> Iterator[prediction_log_pb2.PredictionLog]:
    for size in batch_sizes:
        rows = [maker.examples[row % len(maker.examples)] for row in range(size)]
        repeated = RequestMaker(rows, maker.inputs)
        for signature in maker.signatures:
            request = predict_request(model, signature, repeated.request(signature, slice(None)))
            yield prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))


def read(folder: str | Path) -> list[predict_pb2.PredictRequest]:
    """The requests in a version's warm-up file; none where it has no such file."""
    path = Path(folder, EXTRA, WARMUP_FILE)
    if not path.exists():
        return []
    records = tf.data.TFRecordDataset(str(path)).take(MAX_RECORDS + 1).as_numpy_iterator()
    return [prediction_log_pb2.PredictionLog.FromString(record).predict_log.request for record in records]


def replay(servable: Servable, folder: str | Path) -> int:
    """Asks a loaded version everything in its warm-up file, and returns how many requests that were.

    Raises:
        Exception: Of any type: a request fails, and with it the load, as in TensorFlow Serving.
        ServingError: There are more requests than TensorFlow Serving takes, or they take too long.
    """
    requests = read(folder)
    if len(requests) > MAX_RECORDS:
        raise ServingError(f"{WARMUP_FILE} holds more than {MAX_RECORDS} requests, which TensorFlow Serving refuses.")
    until = time.monotonic() + REPLAY_SECONDS
    for number, request in enumerate(requests, start=1):
        left = until - time.monotonic()
        if left <= 0:
            raise ServingError(f"{number - 1} of {len(requests)} warm-up requests took {REPLAY_SECONDS:.0f} s.")
        for alias, proto in request.inputs.items():
            tensors.check_values(alias, proto, Limits())
        inputs = {alias: tf.make_ndarray(proto) for alias, proto in request.inputs.items()}
        servable.run(request.model_spec.signature_name, inputs, timeout_seconds=left)
    return len(requests)
