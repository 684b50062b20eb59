"""The request log: sampled Predict requests and answers as TensorFlow Serving's `PredictionLog`, in TFRecord files."""

from __future__ import annotations

import logging
import random
import time
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from taxiway.components.errors import ServingError
from taxiway.components.saved_models.signature_inputs import read_signature_inputs
from taxiway.components.serving.config import REQUEST_LOG_FOLDER, RequestLogConfig
from taxiway.components.serving.request_log.background_writer import BackgroundWriter
from taxiway.components.serving.request_log.column_mask import ColumnMask, read_key
from taxiway.components.serving.request_log.logged_mask import LoggedMask, write_mask
from taxiway.components.serving.request_log.record_files import RecordFiles
from taxiway.components.serving.request_log.request_trace import Exchange, RequestTrace

LOG = logging.getLogger(__name__)
KEY_FILE = Path(".taxiway", "request_log.key")


class RequestLog:
    """The request log of one server."""

    def __init__(self, base: Path, config: RequestLogConfig) -> None:
        """Args:
        base: The serving directory.
        config: Rate, files, columns.

        Raises:
            ServingError: Its folder cannot be written.
        """
        self._config = config
        self._masks: dict[Path, ColumnMask] = {}
        try:
            self._key = read_key(base / KEY_FILE) if config.hash_columns else b""
            self._files = RecordFiles(base / REQUEST_LOG_FOLDER, config)
        except OSError as error:
            raise ServingError(
                f"The request log {base / REQUEST_LOG_FOLDER} cannot be written: {error.strerror}.",
                "Make the serving directory writable, or set serving.request_log.sampling_rate: 0 and push again.",
            ) from error
        self._writer: BackgroundWriter[RequestTrace] = BackgroundWriter(
            "request", self._write_trace, int(config.queue_mb * 1e6), self._files.close_if_old
        )
        self.count_records = self._writer.count_records

    def choose_request(self) -> bool:
        """Whether the next request is in the sample."""
        return random.random() < self._config.sampling_rate

    def add_request(self, trace: RequestTrace) -> None:
        """Hands a sampled request that was answered to the writer."""
        if trace.exchange is not None:
            self._writer.put(trace, trace.exchange.byte_count)

    def close(self, seconds: float) -> None:
        """Writes what waits, and closes the file."""
        if self._writer.close(seconds):
            self._files.close()

    def _write_trace(self, trace: RequestTrace) -> None:
        if trace.exchange is not None:
            log = build_log(trace, trace.exchange, self._find_mask(trace.exchange.folder), self._config.sampling_rate)
            self._files.write(log.SerializeToString())

    def _find_mask(self, folder: Path) -> ColumnMask:
        if folder not in self._masks:
            self._masks = {folder: self._make_mask(folder)}  # of one version: the newest asked
        return self._masks[folder]

    def _make_mask(self, folder: Path) -> ColumnMask:
        inputs = read_signature_inputs(folder)
        columns = {name: entry.column for name, entry in inputs.items()}
        named = {*self._config.drop_columns, *self._config.hash_columns}
        unknown = sorted(named - set(columns) - set(columns.values())) if columns else []
        if unknown:
            LOG.error(
                "serving.request_log names %s, and version %s has no such column: nothing is masked by it; it has %s",
                ", ".join(unknown), folder.name, ", ".join(sorted(set(columns.values()))),
            )  # fmt: skip
        return ColumnMask(
            frozenset(self._config.drop_columns), frozenset(self._config.hash_columns), self._key, columns
        )


def build_log(
    trace: RequestTrace, exchange: Exchange, mask: ColumnMask, sampling_rate: float
) -> prediction_log_pb2.PredictionLog:
    """The record of one request: its inputs, what masked them, its answer, the version that gave it, the time."""
    log = prediction_log_pb2.PredictionLog()
    log.log_metadata.sampling_config.sampling_rate = sampling_rate
    log.log_metadata.timestamp_secs = int(time.time())
    log.log_metadata.saved_model_tags.extend(write_mask(LoggedMask(mask.dropped, mask.hashed)))
    predict = log.predict_log
    for spec in (log.log_metadata.model_spec, predict.request.model_spec, predict.response.model_spec):
        spec.name, spec.signature_name = trace.model, trace.signature
        spec.version.value = trace.version
    for alias, values in mask.mask_inputs(exchange.inputs).items():
        predict.request.inputs[alias].CopyFrom(tf.make_tensor_proto(values))
    for alias, values in exchange.outputs.items():
        predict.response.outputs[alias].CopyFrom(tf.make_tensor_proto(values))
    return log
