"""What a server tells Prometheus, in TensorFlow Serving's names, so that one dashboard reads both.

Names, labels, units and bounds are those of tensorflow_serving/servables/tensorflow/util.cc (requests) and
tensorflow/cc/saved_model/loader.cc (loads). Version and signature are labels beside TensorFlow Serving's own: sums over
them are its figures. Latency is of answered requests, in microseconds, as there.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import prometheus_client
from prometheus_client.core import CounterMetricFamily, Metric, UnknownMetricFamily

from taxiway.components.serving.request_log.request_trace import RequestTrace

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST
REQUEST_COUNT = ":tensorflow:serving:request_count"
REQUEST_LATENCY = ":tensorflow:serving:request_latency"
EXAMPLE_COUNTS = ":tensorflow:serving:request_example_counts"
LOAD_ATTEMPTS = ":tensorflow:cc:saved_model:load_attempt_count"
LOAD_LATENCY = ":tensorflow:cc:saved_model:load_latency"
LOG_RECORDS = "taxiway_serving_log_records"
_COUNT_LABELS = ("model_name", "status", "model_version", "signature_name", "API", "entrypoint")
_LATENCY_LABELS = ("model_name", "API", "entrypoint", "model_version", "signature_name")
LATENCY_BOUNDS = tuple(10 * 1.8**power for power in range(33))
"""Microseconds; about 20 minutes is the last."""
ROW_BOUNDS = tuple(2**power for power in range(15))


class ServerMetrics:
    """The metrics of one server. Calls may come from several threads."""

    def __init__(self) -> None:
        prometheus_client.disable_created_metrics()  # TensorFlow Serving has no such series
        self._registry = prometheus_client.CollectorRegistry()
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, ...]] = Counter()
        self._attempts: Counter[tuple[str, ...]] = Counter()
        self._load_micros: Counter[tuple[str, ...]] = Counter()
        self._logs: dict[str, Callable[[], Mapping[str, int]]] = {}
        self._latency = self._make_histogram(
            REQUEST_LATENCY, "Wall time (in microseconds) of a request.", _LATENCY_LABELS, LATENCY_BOUNDS
        )
        self._rows = self._make_histogram(EXAMPLE_COUNTS, "Rows of a request.", ("model",), ROW_BOUNDS)
        self._registry.register(_Collected(self._collect_counts))
        prometheus_client.ProcessCollector(registry=self._registry)

    def _make_histogram(
        self, name: str, words: str, labels: tuple[str, ...], bounds: Iterable[float]
    ) -> prometheus_client.Histogram:
        return prometheus_client.Histogram(name, words, labels, buckets=tuple(bounds), registry=self._registry)

    def add_request(self, trace: RequestTrace) -> None:
        """Counts a request that has ended."""
        version = str(trace.version or "")
        labels = (trace.model, trace.status, version, trace.signature, trace.api, trace.entrypoint)
        with self._lock:
            self._requests[labels] += 1
        if trace.status == "OK":
            values = (trace.model, trace.api, trace.entrypoint, version, trace.signature)
            self._latency.labels(*values).observe(trace.seconds * 1e6)
        if trace.rows:
            self._rows.labels(trace.model).observe(trace.rows)

    def add_load(self, folder: Path, seconds: float, ok: bool) -> None:
        """Counts a try to load a version."""
        with self._lock:
            self._attempts[(str(folder), "success" if ok else "fail")] += 1
            if ok:
                self._load_micros[(str(folder),)] += int(seconds * 1e6)

    def follow_log(self, name: str, count_records: Callable[[], Mapping[str, int]]) -> None:
        """Shows a log's counts: records written, dropped and failed."""
        self._logs[name] = count_records

    def add_collector(self, collect: Callable[[], Iterable[Metric]]) -> None:
        """Shows what a function yields at each look."""
        self._registry.register(_Collected(collect))

    def format_text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return bytes(prometheus_client.generate_latest(self._registry))

    def _collect_counts(self) -> Iterable[Metric]:
        with self._lock:
            counts = [
                (REQUEST_COUNT, "Requests.", _COUNT_LABELS, dict(self._requests)),
                (LOAD_ATTEMPTS, "Tries to load a SavedModel.", ("model_path", "status"), dict(self._attempts)),
                (LOAD_LATENCY, "Microseconds of loads that went well.", ("model_path",), dict(self._load_micros)),
            ]
        for name, words, labels, values in counts:
            # The library ends a counter's name with _total, which TensorFlow Serving's names do not have.
            family = UnknownMetricFamily(name, words, labels=labels)
            for key, value in values.items():
                family.add_metric(key, value)
            yield family
        yield self._collect_logs()

    def _collect_logs(self) -> Metric:
        family = CounterMetricFamily(LOG_RECORDS, "Records of the server's logs.", labels=("log", "outcome"))
        for name, count_records in self._logs.items():
            for outcome, count in count_records().items():
                family.add_metric((name, outcome), count)
        return family


class _Collected:
    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()
