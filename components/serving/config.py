"""What may be chosen about validating, pushing and serving. Nothing heavy is imported here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from components.configuration import Section

OBJECT_STORES = ("gs", "s3")
"""Schemes that TensorFlow writes, and TensorFlow Serving reads: gs by itself, s3 with tensorflow-io."""


class BatchingConfig(Section):
    """TensorFlow Serving's request batching, written to `batching_parameters.txt`."""

    enabled: bool = False
    """Batches requests of several clients together: more throughput for a few milliseconds of latency."""
    max_batch_size: int = Field(64, ge=1)
    """Rows, at most, in one call of the model."""
    timeout_micros: int = Field(0, ge=0)
    """How long a request waits for company. 0 is TensorFlow Serving's advice for a CPU; then try 1000 to 10000."""
    max_enqueued_batches: int = Field(100, ge=1)
    """Batches waiting, at most; further requests are answered UNAVAILABLE."""
    threads: int = Field(0, ge=0)
    """Batches computed at once. 0: the machine's cores."""


class ServingConfig(Section):
    """How a candidate is tried before the push, and what stands in the serving directory."""

    max_output_error: float = Field(1e-4, ge=0)
    """How far a score of the pushed model may lie from the trained model's: the largest absolute difference, for a
    regression in units of the trained scores' standard deviation. Where the optimizer states a larger error for the
    variant that it chose, that one holds."""
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
    or has become required: it is reported, or a verdict against the candidate."""
    validate_over: Literal["network", "process", "container"] = "network"
    """`network`: real gRPC and REST connections to the embedded server; `process`: direct calls, no sockets;
    `container`: gRPC and REST against the `tensorflow/serving` image through docker or podman."""
    timeout_seconds: float = Field(600, gt=0)
    """The validating process is ended after this time, which is a verdict against the candidate."""
    allowed_ops: tuple[str, ...] = ()
    """TensorFlow ops allowed beside those that Keras, TensorFlow Transform and the optimizer emit: those of your own
    layers. Ops that touch files or run Python are refused whatever stands here."""
    versions_kept: int = Field(5, ge=1)
    """Newest versions kept; older ones go, but never the live one nor one that a label names."""
    versions_served: int = Field(1, ge=1)
    """Newest versions that the server keeps loaded (`models.config`)."""
    publish_to: str = ""
    """A folder of an object store, such as `gs://bucket/serving/taxi`, that every push, rollback and promotion makes
    hold the same versions, for servers that read there. Empty: none. `s3://` needs tensorflow-io (the extra `s3`)."""
    publish_timeout_seconds: float = Field(3600, gt=0)
    """The copying is ended after this time, and completed by the next push."""
    lock_timeout_seconds: float = Field(600, gt=0)
    """How long a push waits for another one into the same directory."""
    batching: BatchingConfig = BatchingConfig()
    """Request batching of TensorFlow Serving."""

    @field_validator("publish_to")
    @classmethod
    def _url(cls, url: str) -> str:
        if url and (url.partition("://")[0] not in OBJECT_STORES or not url.partition("://")[2].strip("/")):
            accepted = ", ".join(f"{scheme}://BUCKET/FOLDER" for scheme in OBJECT_STORES)
            raise ValueError(f"{url!r} is no folder of an object store; accepted: {accepted}")
        return url.rstrip("/")

    @field_validator("warmup_batch_sizes")
    @classmethod
    def _sizes(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if any(size < 1 for size in sizes):
            raise ValueError(f"a batch has at least one row, so {sizes} cannot be warm-up sizes")
        return sizes
