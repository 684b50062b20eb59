"""Shadow requests: what the candidate would have answered, compared in the background with what the live version did.

A request that was answered leaves its tensors in a queue that is bounded by bytes; one thread asks the candidate. No
request waits for it or fails by it; what does not fit is counted as dropped.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from taxiway.components.files.durable_files import make_folder, replace_file
from taxiway.components.saved_models.session import Tensors
from taxiway.components.serving.config import ROLLOUT_FOLDER
from taxiway.components.serving.protocol.tensor_protos import count_array_bytes
from taxiway.components.serving.request_log.background_writer import BackgroundWriter
from taxiway.components.serving.server.repository import ModelRepository, shorten_error

LOG = logging.getLogger(__name__)
LABEL_OUTPUT = "predicted_label"
KEPT_LATENCIES = 10_000
LOWER_PRIORITY = 10
"""Niceness of the comparing thread, where the system knows one by thread."""
MAX_COMPUTE_SECONDS = 30.0


@dataclass(frozen=True)
class AnsweredRequest:
    """One request that the live version has answered.

    Attributes:
        candidate: Number of the version to compare with.
        live: Number of the version that answered.
        signature: The signature.
        inputs: Alias to array `[rows, ...]`.
        answer: Alias to array `[rows, ...]`, as it was sent.
        rows: Rows of the request.
        seconds: Time that the live version computed.
    """

    candidate: int
    live: int
    signature: str
    inputs: Tensors
    answer: Tensors
    rows: int
    seconds: float


@dataclass
class OutputDifference:
    """Differences of one numeric output, in absolute values."""

    total: float = 0.0
    values: int = 0
    largest: float = 0.0

    def add(self, live: np.ndarray, candidate: np.ndarray) -> None:
        """Adds two answers of one shape; a value that is not finite in one of them alone is an infinite difference."""
        ours, theirs = live.astype(np.float64), candidate.astype(np.float64)
        same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
        with np.errstate(invalid="ignore"):  # infinity less infinity
            differences = np.where(same, 0.0, np.abs(ours - theirs))
        differences = np.nan_to_num(differences, nan=np.inf)
        self.total += float(differences.sum())
        self.values += differences.size
        self.largest = max(self.largest, float(differences.max(initial=0.0)))


@dataclass
class ShadowFigures:
    """What the comparison of one candidate has come to. Not safe for several threads: the owner has a lock."""

    candidate: int
    live: int
    since: float
    requests: int = 0
    rows: int = 0
    failed: int = 0
    first_error: str = ""
    labelled_rows: int = 0
    equal_labels: int = 0
    outputs: dict[str, OutputDifference] = field(default_factory=dict)
    live_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_LATENCIES))
    candidate_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_LATENCIES))

    def add_failure(self, error: str) -> None:
        """Counts a request that the candidate did not answer, or not in the same form."""
        self.failed += 1
        self.first_error = self.first_error or error

    def add_answer(self, request: AnsweredRequest, answer: Tensors, seconds: float) -> None:
        """Compares two answers.

        Raises:
            ValueError: The candidate's has another shape.
        """
        for alias, live in request.answer.items():
            if np.shape(live) != np.shape(answer[alias]):
                shapes = f"{np.shape(answer[alias])}, not {np.shape(live)}"
                raise ValueError(f"the output {alias} has the shape {shapes}")
        for alias, live in request.answer.items():
            if np.issubdtype(np.asarray(live).dtype, np.number):
                self.outputs.setdefault(alias, OutputDifference()).add(np.asarray(live), np.asarray(answer[alias]))
        self._add_labels(request.answer, answer)
        self.requests, self.rows = self.requests + 1, self.rows + request.rows
        self.live_seconds.append(request.seconds)
        self.candidate_seconds.append(seconds)

    def _add_labels(self, live: Tensors, candidate: Tensors) -> None:
        """Top-1 agreement: of the labels that both name, else of the likeliest of several classes."""
        if LABEL_OUTPUT in live:
            equal = np.asarray(live[LABEL_OUTPUT]) == np.asarray(candidate[LABEL_OUTPUT])
        elif "probabilities" in live and np.ndim(live["probabilities"]) == 2 and live["probabilities"].shape[1] > 1:
            equal = live["probabilities"].argmax(axis=1) == candidate["probabilities"].argmax(axis=1)
        else:
            return
        self.labelled_rows += int(np.size(equal))
        self.equal_labels += int(np.count_nonzero(equal))

    def to_json(self, dropped: int) -> dict[str, Any]:
        """As JSON values; null where nothing was compared."""
        return {
            "version": 1,
            "candidate": self.candidate,
            "live": self.live,
            "since": self.since,
            "updated": time.time(),
            "requests": self.requests,
            "rows": self.rows,
            "failed": self.failed,
            "first_error": self.first_error,
            "dropped": dropped,
            "labelled_rows": self.labelled_rows,
            "equal_labels": self.equal_labels,
            "outputs": {
                alias: {
                    "values": each.values,
                    "mean_difference": _make_finite(each.total / each.values) if each.values else None,
                    "max_difference": _make_finite(each.largest),
                }
                for alias, each in self.outputs.items()
            },
            "latency_ms": {
                "live": _describe_latencies(self.live_seconds),
                "candidate": _describe_latencies(self.candidate_seconds),
            },
        }


def _make_finite(value: float) -> float | str:
    return value if np.isfinite(value) else "infinite"


def _describe_latencies(seconds: Iterable[float]) -> dict[str, float] | None:
    values = np.array([*seconds]) * 1e3
    if not values.size:
        return None
    p50, p99 = np.quantile(values, (0.5, 0.99))
    return {"mean": float(values.mean()), "p50": float(p50), "p99": float(p99)}


class ShadowComparison:
    """The shadow requests of one model. Calls may come from several threads."""

    def __init__(self, repository: ModelRepository, base: Path, queue_mb: float) -> None:
        """Args:
        repository: The model's versions.
        base: The serving directory, into which the figures are written.
        queue_mb: Requests that may wait, in 10^6 bytes.
        """
        self._repository, self._folder = repository, base / ROLLOUT_FOLDER
        self._limit = int(queue_mb * 1e6)
        self._lock = threading.Lock()
        self._writer: BackgroundWriter[AnsweredRequest] | None = None
        self._figures: ShadowFigures | None = None
        self._dropped_before = 0
        self._written: tuple[int, int, int, int] | None = None

    def offer(self, request: AnsweredRequest) -> None:
        """Hands over a request; drops it where the queue is full."""
        size = sum(count_array_bytes(array) for array in (*request.inputs.values(), *request.answer.values()))
        writer = self._open_writer()
        with self._lock:
            self._begin_figures(request)
        writer.put(request, size)

    def _open_writer(self) -> BackgroundWriter[AnsweredRequest]:
        with self._lock:
            if self._writer is None:
                self._writer = BackgroundWriter("shadow", self._compare, self._limit, self._write_figures)
            return self._writer

    def close(self, seconds: float) -> None:
        """Compares what waits, as far as there is time, and writes the figures."""
        if self._writer:
            self._writer.close(seconds)

    # ---- in the writer's thread ----

    def _compare(self, request: AnsweredRequest) -> None:
        _lower_priority()
        try:
            with self._repository.hold_version(request.candidate) as (_, servable):
                began = time.perf_counter()
                answer = servable.run(
                    request.signature, request.inputs, [*request.answer], timeout_seconds=MAX_COMPUTE_SECONDS
                )
                seconds = time.perf_counter() - began
            with self._lock:
                if figures := self._find_figures(request):
                    figures.add_answer(request, answer, seconds)
        except Exception as error:  # whatever the candidate does is a figure, not this server's fault
            with self._lock:
                if figures := self._find_figures(request):
                    figures.add_failure(f"{type(error).__name__}: {shorten_error(error)}")

    def _begin_figures(self, request: AnsweredRequest) -> None:
        """Another candidate, or another live version, begins anew; what was dropped so far is not of this pair."""
        if self._find_figures(request) is None:
            self._figures = ShadowFigures(request.candidate, request.live, time.time())
            self._dropped_before = self._count_dropped_in_all()

    def _find_figures(self, request: AnsweredRequest) -> ShadowFigures | None:
        """The figures of a request's pair of versions; None where another pair is compared."""
        found = self._figures
        return found if found and (found.candidate, found.live) == (request.candidate, request.live) else None

    def _count_dropped_in_all(self) -> int:
        return self._writer.count_records()["dropped"] if self._writer else 0

    def read_figures(self) -> dict[str, Any] | None:
        """The figures as JSON values; None where nothing was compared yet."""
        with self._lock:
            if self._figures is None:
                return None
            return self._figures.to_json(self._count_dropped_in_all() - self._dropped_before)

    def _write_figures(self) -> None:
        figures = self.read_figures()
        if figures is None:
            return
        counts = (figures["candidate"], figures["requests"], figures["failed"], figures["dropped"])
        if counts == self._written:
            return
        make_folder(self._folder)
        replace_file(self._folder / self._name_file(figures), json.dumps(figures, indent=2), sync=False)
        if self._written is None or self._written[0] != figures["candidate"]:
            self._remove_others(figures)
        self._written = counts

    def _name_file(self, figures: dict[str, Any]) -> str:
        return f"shadow-{figures['candidate']}-{os.uname().nodename}-{os.getpid()}.json"

    def _remove_others(self, figures: dict[str, Any]) -> None:
        for file in self._folder.glob("shadow-*.json"):
            if not file.name.startswith(f"shadow-{figures['candidate']}-"):
                file.unlink(missing_ok=True)

    # ---- for Prometheus ----

    def collect_metrics(self) -> Iterable[Metric]:
        """The figures as metrics."""
        figures = self.read_figures()
        if figures is None:
            return
        labels = (self._repository.name, str(figures["candidate"]))
        counts = CounterMetricFamily(
            "taxiway_serving_shadow_requests",
            "Requests that the candidate was to answer too.",
            labels=("model_name", "model_version", "outcome"),
        )
        for outcome, name in (("compared", "requests"), ("failed", "failed"), ("dropped", "dropped")):
            counts.add_metric((*labels, outcome), figures[name])
        yield counts
        yield from self._collect_differences(figures, labels)
        if figures["labelled_rows"]:
            agreement = _make_gauge("label_agreement", "Share of the rows with the same label.")
            agreement.add_metric(labels, figures["equal_labels"] / figures["labelled_rows"])
            yield agreement

    def _collect_differences(self, figures: dict[str, Any], labels: tuple[str, str]) -> Iterable[Metric]:
        for kind, words in (("mean", "Mean"), ("max", "Largest")):
            gauge = _make_gauge(f"{kind}_difference", f"{words} absolute difference of the answers.", "output")
            for alias, each in figures["outputs"].items():
                gauge.add_metric((*labels, alias), float(str(each[f"{kind}_difference"]).replace("infinite", "inf")))
            yield gauge
        latency = _make_gauge("latency_seconds", "Median time of computing one request.", "side")
        for side, measured in figures["latency_ms"].items():
            if measured:
                latency.add_metric((*labels, side), measured["p50"] / 1e3)
        yield latency


def _make_gauge(name: str, words: str, *more: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"taxiway_serving_shadow_{name}", words, labels=("model_name", "model_version", *more))


_lowered = threading.local()


def _lower_priority() -> None:
    """Lets requests go first where cores are few; Linux knows a niceness by thread."""
    if not getattr(_lowered, "done", False):
        _lowered.done = True
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWER_PRIORITY)
        except (OSError, AttributeError):
            LOG.info("the thread that compares shadow requests has the priority of the others")
