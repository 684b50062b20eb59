"""What is known of one request while it is answered, for the metrics and the logs. Imports nothing heavy."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

Entrypoint = Literal["REST", "GRPC"]


@dataclass(frozen=True)
class Exchange:
    """The tensors of one Predict request and of its answer.

    Attributes:
        folder: The version that answered.
        inputs: Alias to array.
        outputs: Alias to array.
        byte_count: Size of all arrays; a text counts by its own length.
    """

    folder: Path
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    byte_count: int


@dataclass
class RequestTrace:
    """One request. It is filled as the request goes on, by the thread that has it.

    Attributes:
        entrypoint: How it came; TensorFlow Serving's words.
        client: Address of the client.
        api: `Predict`, `GetModelMetadata` or `GetModelStatus`; empty where it names none.
        model: The model; empty where this server has no such model, so that clients cannot make names up in metrics.
        version: The version that answered; 0: none.
        signature: The signature; empty where the model has no such signature.
        rows: Rows of the request.
        status: Name of TensorFlow's status code.
        seconds: From the first byte to the answer's; set at the end.
        is_sampled: Whether the request log wants its tensors.
        request_id: What the client calls it (`X-Request-Id`); empty: nothing.
        split_point: Where it falls between 0 and 1, the same for the same id, else for the same bytes: it is a
            candidate's below the candidate's share. None where there is no candidate.
        exchange: Its tensors, where they are wanted and it was answered.
    """

    entrypoint: Entrypoint
    client: str = ""
    api: str = ""
    model: str = ""
    version: int = 0
    signature: str = ""
    rows: int = 0
    status: str = "OK"
    seconds: float = 0.0
    is_sampled: bool = False
    exchange: Exchange | None = None
    request_id: str = ""
    split_point: float | None = None
    _began: float = field(default_factory=time.monotonic)

    def stop_clock(self) -> None:
        """Sets `seconds`."""
        self.seconds = time.monotonic() - self._began
