"""Where every request of a server ends up: the metrics, the access log, the request log."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from taxiway.components.serving.protocol.tensor_protos import count_array_bytes
from taxiway.components.serving.request_log.access_log import AccessLog
from taxiway.components.serving.request_log.prediction_log import RequestLog
from taxiway.components.serving.request_log.request_trace import Entrypoint, Exchange, RequestTrace
from taxiway.components.serving.server.server_metrics import ServerMetrics


class RequestRecorder:
    """Begins and ends the trace of each request. Nothing here waits for a disk or fails a request."""

    def __init__(self, access_log: AccessLog | None = None, request_log: RequestLog | None = None) -> None:
        self.metrics = ServerMetrics()
        self._access_log, self._request_log = access_log, request_log
        if access_log:
            self.metrics.follow_log("access", access_log.count_records)
        if request_log:
            self.metrics.follow_log("request", request_log.count_records)

    def begin(self, entrypoint: Entrypoint, client: str, api: str = "") -> RequestTrace:
        """The trace of a request that has come."""
        sampled = self._request_log is not None and self._request_log.choose_request()
        return RequestTrace(entrypoint, client, api, is_sampled=sampled)

    def end(self, trace: RequestTrace) -> None:
        """Counts and logs a request that was answered, refused or given up."""
        trace.stop_clock()
        self.metrics.add_request(trace)
        if self._access_log:
            self._access_log.add_request(trace)
        if self._request_log:
            self._request_log.add_request(trace)

    def close(self, seconds: float) -> None:
        """Writes what waits in the logs."""
        for log in (self._access_log, self._request_log):
            if log:
                log.close(seconds)


def keep_exchange(
    trace: RequestTrace, folder: Path, inputs: dict[str, np.ndarray], outputs: dict[str, np.ndarray]
) -> None:
    """Leaves the tensors of a sampled request on its trace."""
    if trace.is_sampled:
        arrays: Collection[np.ndarray] = [*inputs.values(), *outputs.values()]
        trace.exchange = Exchange(folder, inputs, outputs, sum(count_array_bytes(array) for array in arrays))
