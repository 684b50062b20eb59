"""A root with one pushed version that carries its training, and requests to it: real ones, and logs of any content."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_data_validation as tfdv
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as pb
from tensorflow_serving.apis import prediction_log_pb2

from taxiway.components.saved_models import training_reference
from taxiway.components.saved_models.training_reference import ReferenceScores
from taxiway.components.serving.config import RequestLogConfig, ServingConfig
from taxiway.components.serving.requests.clients import GrpcClient, RestClient
from taxiway.components.serving.requests.from_examples import RequestBuilder
from taxiway.components.serving.server.embedded import EmbeddedServer, ServerOptions
from taxiway.components.serving.versions import push, rollback_record
from taxiway.components.statistics.compute import compute_statistics
from taxiway.components.tables.tfx_bsl_private import make_example_decoder
from taxiway.pipeline.root import Root
from tests.components.serving import models

Row = dict[str, Any]
LOGGED = RequestLogConfig(sampling_rate=1.0, drop_columns=("seats",))


@dataclass(frozen=True)
class Served:
    """The root, the version and the rows that a server was asked, in order."""

    root: Root
    version: int
    model: Path
    rows: list[Row]

    @property
    def folder(self) -> Path:
        return self.root.serving / "taxi" / str(self.version)


def make_rows(count: int, seed: int) -> list[Row]:
    """Rows whose label is drawn with the model's own probability, each with a number of its own."""
    random = np.random.default_rng(seed)
    rows = models.rows(count, seed)
    for number, row in enumerate(rows):
        row["tip"] = int(random.random() < models.probability(row))
        row["trip_id"] = 1000 * seed + number
    return rows


def push_version(root: Root, model: Path, folder: Path, config: ServingConfig | None = None) -> int:
    """Pushes the model with its training's statistics, schema and scores, and records the push."""
    trained, held = make_rows(4000, 1), make_rows(500, 2)
    serialized = [models.example(row).SerializeToString() for row in trained]
    statistics = compute_statistics([make_example_decoder()(serialized)], tfdv.StatsOptions())
    training_reference.write_training_data(folder, statistics, tfdv.infer_schema(statistics))
    scores = ReferenceScores(
        label="tip",
        task="binary",
        classes=("0", "1"),
        output="probabilities",
        split="eval",
        scores=tuple((models.probability(row),) for row in held),
    )
    training_reference.write_scores(folder, scores)
    base = root.serving / "taxi"
    provenance = {"model": "taxi", "metric": "auc", "metrics": {"auc": 0.72, "log_loss": 0.6}}
    result = push.push_model(
        model, base, "taxi", provenance, config or ServingConfig(request_log=LOGGED), validated=folder
    )
    record_push(root, result.version or 0, result.path or base, result.digest)
    return result.version or 0


def record_push(root: Root, version: int, folder: Path, digest: str) -> None:
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(root.metadata)
    config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    store = MetadataStore(config)
    kind = store.put_execution_type(pb.ExecutionType(name="taxiway.components.serving.component.Pusher"))
    execution = pb.Execution(type_id=kind, last_known_state=pb.Execution.COMPLETE)
    rollback_record.record_push(store, "taxi", version, folder, digest, "pushed", execution)


def ask_server(served: Served) -> None:
    """Sends the rows, a third by each way."""
    options = ServerOptions(rest_port=0, grpc_port=0, poll_seconds=0.05, request_log=LOGGED.model_dump_json())
    with EmbeddedServer("taxi", served.folder.parent, options) as server:
        url = f"127.0.0.1:{server.rest_port}"
        wait_until_ready(f"http://{url}/readyz")
        made = [models.example(row) for row in served.rows]
        # Beside its own columns an example may hold what names the row.
        builder = RequestBuilder(made, RequestBuilder.from_examples(made, served.model, "tip").inputs)
        grpc, rest = GrpcClient(f"127.0.0.1:{server.grpc_port}", "taxi"), RestClient(url, "taxi")
        ways = [(grpc, "serving_default"), (grpc, "serving_raw"), (rest, "serving_default")]
        for number, start in enumerate(range(0, len(made), 50)):
            client, signature = ways[number % 3]
            client.predict(signature, builder.build_request(signature, slice(start, start + 50)))


def wait_until_ready(url: str) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except urllib.error.HTTPError:
            threading.Event().wait(0.1)
    raise AssertionError("the server did not become ready")


def write_log(
    file: Path, rows: Sequence[Row], version: int, moment: int, scores: Mapping[int, float] | None = None
) -> Path:
    """Writes rows as another server's collector would: a record of `serving_default` for each row."""
    logs = (make_log(row, version, moment, (scores or {}).get(n)) for n, row in enumerate(rows))
    return write_records(file, [log.SerializeToString() for log in logs])


def make_log(row: Row, version: int, moment: int, score: float | None = None) -> prediction_log_pb2.PredictionLog:
    log = prediction_log_pb2.PredictionLog()
    log.log_metadata.timestamp_secs = moment
    log.log_metadata.model_spec.name = "taxi"
    log.predict_log.response.model_spec.name = "taxi"
    log.predict_log.response.model_spec.version.value = version
    example = models.example({name: value for name, value in row.items() if name != "tip"})
    log.predict_log.request.inputs["examples"].CopyFrom(tf.make_tensor_proto([example.SerializeToString()]))
    answer = models.probability(row) if score is None else score
    log.predict_log.response.outputs["probabilities"].CopyFrom(tf.make_tensor_proto([[answer]], tf.float32))
    return log


def write_records(file: Path, records: Iterable[bytes]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    compression = "GZIP" if file.name.endswith(".gz") else ""
    with tf.io.TFRecordWriter(str(file), tf.io.TFRecordOptions(compression_type=compression)) as out:
        for record in records:
            out.write(record)
    return file
