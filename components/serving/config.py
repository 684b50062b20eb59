"""What may be chosen about validating, pushing and serving. Nothing heavy is imported here."""

from __future__ import annotations

import itertools
from typing import Literal

from pydantic import Field, field_validator

from taxiway.components.config_section import Section
from taxiway.components.monitoring.config import MonitoringConfig

OBJECT_STORES = ("gs", "s3")
"""Schemes that TensorFlow Serving reads."""
RolloutPolicy = Literal["shadow", "canary"]
Promotion = Literal["immediate", "shadow", "canary"]
REQUEST_LOG_FOLDER = "request_log"
"""In the serving directory, beside the versions."""
ROLLOUT_FOLDER = "rollout"
"""In the serving directory too: what servers found when they compared a shadow's answers."""
MONITOR_FOLDER = "monitor"
"""In the serving directory too: the newest verdict on each version as gauges, for the server's `/metrics`."""


class BatchingConfig(Section):
    """TensorFlow Serving's request batching, written to `batching_parameters.txt`."""

    enabled: bool = False
    """Batches requests of several clients together: more throughput for a few milliseconds of latency."""
    max_batch_size: int = Field(64, ge=1)
    """Rows, at most, in one call of the model."""
    timeout_micros: int = Field(0, ge=0)
    """How long a request waits for others to share its batch. 0 is TensorFlow Serving's advice for a CPU; then try 1000
    to 10000."""
    max_enqueued_batches: int = Field(100, ge=1)
    """Batches waiting, at most; further requests are answered UNAVAILABLE."""
    threads: int = Field(0, ge=0)
    """Batches computed at once. 0: the machine's cores."""


class RequestLogConfig(Section):
    """The log of requests and answers that the embedded server keeps in the serving directory, under `request_log/`."""

    sampling_rate: float = Field(0.0, ge=0, le=1)
    """Share of the answered Predict requests that are logged, each with its answer. 0: none."""
    drop_columns: tuple[str, ...] = ()
    """Columns (or inputs) left out of the log."""
    hash_columns: tuple[str, ...] = ()
    """Columns (or inputs) whose values are logged as a keyed hash: equal values stay equal and cannot be read."""
    file_mb: float = Field(64.0, gt=0)
    """A file is closed at this size, in 10^6 bytes."""
    file_minutes: float = Field(60.0, gt=0)
    """A file is closed at this age; closed files can be read."""
    files_kept: int = Field(48, ge=1)
    """Closed files kept; the oldest go first."""
    queue_mb: float = Field(64.0, gt=0)
    """Requests that may wait to be written, in 10^6 bytes; further ones are not logged, and counted."""


class RolloutConfig(Section):
    """How a candidate is tried on requests before it is promoted: `serving.promotion: shadow` or `canary`."""

    shadow_share: float = Field(0.1, gt=0, le=1)
    """`shadow`: share of the requests that the embedded server has the candidate answer too, in the background."""
    canary_shares: tuple[float, ...] = (0.05, 0.25, 0.5, 1.0)
    """`canary`: shares of the requests that the candidate answers, one after the other; `taxiway promote --auto` goes
    on to the next where the monitor's verdict on the candidate is right, and makes it live after the last."""
    queue_mb: float = Field(16.0, gt=0)
    """Requests that may wait to be compared, in 10^6 bytes; further ones are not compared, and counted."""

    @field_validator("canary_shares")
    @classmethod
    def _check_shares(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        ascending = all(low < high for low, high in itertools.pairwise(shares))
        if not shares or not ascending or not (shares[0] > 0 and shares[-1] <= 1):
            raise ValueError(f"{list(shares)} are no shares: ascending numbers above 0, at most 1, such as [0.05, 0.5]")
        return shares


class ServingConfig(Section):
    """Tests of a candidate before the push, and the contents of the serving directory."""

    max_output_error: float = Field(1e-4, ge=0)
    """How far a score of the pushed model may lie from the trained model's: the largest absolute difference, for a
    regression in units of the trained scores' standard deviation. The error that the optimizer stated for the chosen
    variant comes on top."""
    validation_rows: int = Field(500, ge=1)
    """Evaluation rows sent through every signature of the candidate."""
    warmup_batch_sizes: tuple[int, ...] = (1, 32)
    """Sizes of the warm-up requests that are pushed with the model, for each signature. Empty: none."""
    max_p99_ms: float | None = Field(None, gt=0)
    """Largest p99 latency of one-row requests that the validation accepts."""
    max_load_seconds: float | None = Field(None, gt=0)
    """Longest time from reading the files to the first answer that the validation accepts."""
    max_memory_mb: float | None = Field(None, gt=0)
    """Most memory that loading and serving the candidate may add to a server."""
    input_changes: Literal["report", "block"] = "report"
    """What it means that an input of the live version's `serving_raw` is gone, takes another column, is of another type
    or has become required, or that an output is gone: it is reported, or a verdict against the candidate."""
    validate_over: Literal["network", "process", "container"] = "network"
    """`network`: real gRPC and REST connections to the embedded server; `process`: direct calls, no sockets;
    `container`: gRPC and REST against the `tensorflow/serving` image through podman or docker."""
    timeout_seconds: float = Field(600, gt=0)
    """The validating process is ended after this time, which is a verdict against the candidate."""
    allowed_ops: tuple[str, ...] = ()
    """TensorFlow ops allowed beside those that Keras, TensorFlow Transform and the optimizer emit: those of your own
    layers, or of TF-TRT models, which run native code. Ops that touch files or run Python are refused whatever stands
    here."""
    versions_kept: int = Field(5, ge=1)
    """Newest versions kept; older ones go, but never the live one nor one that a label names."""
    versions_served: int = Field(1, ge=1)
    """Newest versions that the server keeps loaded (`models.config`)."""
    publish_to: str = ""
    """A folder of an object store, such as `gs://bucket/serving/taxi`, that every push, rollback and promotion makes
    hold the same versions, for servers that read there. Empty: none. Needs the extra `gs` or `s3`."""
    publish_timeout_seconds: float = Field(3600, gt=0)
    """The copying is ended after this time, and completed by the next push."""
    lock_timeout_seconds: float = Field(600, gt=0)
    """How long a push waits for another one into the same directory."""
    batching: BatchingConfig = BatchingConfig()
    """Request batching of TensorFlow Serving."""
    promotion: Promotion = "immediate"
    """What a push does: `immediate` makes the model live; `shadow` and `canary` publish it beside the live version, as
    a candidate that `taxiway promote` makes live. Where nothing is live yet, every push is immediate."""
    rollout: RolloutConfig = RolloutConfig()
    """How a candidate is tried."""
    request_log: RequestLogConfig = RequestLogConfig()
    """Which requests the embedded server logs, and how."""
    monitoring: MonitoringConfig = MonitoringConfig()
    """When `taxiway monitor` finds the logged requests unlike training."""

    @field_validator("publish_to")
    @classmethod
    def _check_url(cls, url: str) -> str:
        if url and (url.partition("://")[0] not in OBJECT_STORES or not url.partition("://")[2].strip("/")):
            accepted = ", ".join(f"{scheme}://BUCKET/FOLDER" for scheme in OBJECT_STORES)
            raise ValueError(f"{url!r} is no folder of an object store; accepted: {accepted}")
        return url.rstrip("/")

    @field_validator("warmup_batch_sizes")
    @classmethod
    def _check_sizes(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if any(size < 1 for size in sizes):
            raise ValueError(f"a batch has at least one row, so {sizes} cannot be warm-up sizes")
        return sizes
