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

from taxiway.components.errors import ServingError
from taxiway.components.saved_models.manifest import EXTRA
from taxiway.components.saved_models.session import SavedModelSession
from taxiway.components.serving.protocol import tensor_protos
from taxiway.components.serving.protocol.limits import Limits
from taxiway.components.serving.requests.from_examples import RequestBuilder

WARMUP_FILE = "tf_serving_warmup_requests"
MAX_RECORDS = 1000
REPLAY_SECONDS = 300.0
"""For all of them: a graph that does not end may not hold the next version back."""


def build_predict_request(model: str, signature: str, inputs: dict[str, np.ndarray]) -> predict_pb2.PredictRequest:
    """A request of the gRPC API."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for alias, values in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(values))
    return request


def write_requests(folder: Path, model: str, builder: RequestBuilder, batch_sizes: Iterable[int]) -> int:
    """Writes the warm-up file into `assets.extra/` of a folder: one request for each signature and batch size.

    Returns:
        The number of requests. Rows repeat where there are fewer than a batch takes.
    """
    logs = list(_build_logs(model, builder, batch_sizes))[:MAX_RECORDS]
    path = folder / EXTRA / WARMUP_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as out:
        for log in logs:
            out.write(log.SerializeToString())
    return len(logs)


def _build_logs(
    model: str, builder: RequestBuilder, batch_sizes: Iterable[int]
) -> Iterator[prediction_log_pb2.PredictionLog]:
    for size in batch_sizes:
        rows = [builder.examples[row % len(builder.examples)] for row in range(size)]
        repeated = RequestBuilder(rows, builder.inputs)
        for signature in builder.signatures:
            request = build_predict_request(model, signature, repeated.build_request(signature, slice(None)))
            yield prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))


def read_requests(folder: str | Path) -> list[predict_pb2.PredictRequest]:
    """The requests in a version's warm-up file; none where it has no such file."""
    path = Path(folder, EXTRA, WARMUP_FILE)
    if not path.exists():
        return []
    records = tf.data.TFRecordDataset(str(path)).take(MAX_RECORDS + 1).as_numpy_iterator()
    return [prediction_log_pb2.PredictionLog.FromString(record).predict_log.request for record in records]


def replay_requests(servable: SavedModelSession, folder: str | Path) -> int:
    """Asks a loaded version everything in its warm-up file, and returns how many requests that were.

    Raises:
        Exception: Of any type: a request fails, and with it the load, as in TensorFlow Serving.
        ServingError: There are more requests than TensorFlow Serving takes, or they take too long.
    """
    requests = read_requests(folder)
    if len(requests) > MAX_RECORDS:
        raise ServingError(f"{WARMUP_FILE} holds more than {MAX_RECORDS} requests, which TensorFlow Serving refuses.")
    until = time.monotonic() + REPLAY_SECONDS
    for number, request in enumerate(requests, start=1):
        left = until - time.monotonic()
        if left <= 0:
            raise ServingError(f"{number - 1} of {len(requests)} warm-up requests took {REPLAY_SECONDS:.0f} s.")
        for alias, proto in request.inputs.items():
            tensor_protos.check_values(alias, proto, Limits())
        inputs = {alias: tf.make_ndarray(proto) for alias, proto in request.inputs.items()}
        servable.run(request.model_spec.signature_name, inputs, timeout_seconds=left)
    return len(requests)
