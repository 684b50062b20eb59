"""The load of `taxiway bench serve`, from a process of its own: closed loop, or at a fixed rate.

The job: `model`, `warmup` (the folder of a version with warm-up requests: real rows), and `steps`, one after the other,
each with `target` (`host:port` of gRPC), `batch`, `clients`, `seconds`, `rate` (requests a second; 0: closed loop). The
result: for each step percentiles in milliseconds, throughput, failures.
At a fixed rate a latency counts from when the request was due, so the queue of a stalled server counts.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import tensorflow as tf

from taxiway.components.contract import EXAMPLES_INPUT, SERVING_DEFAULT
from taxiway.components.processes import subprocesses
from taxiway.components.serving.requests import warmup
from taxiway.components.serving.requests.clients import GrpcClient, ServerError


class LoadGenerator:
    """Clients that send requests until the time is over, and their latencies and failures."""

    def __init__(self, model: str, step: dict[str, Any], inputs: list[dict[str, np.ndarray]]) -> None:
        self._model, self._step, self._inputs = model, step, inputs
        self._lock = threading.Lock()
        self.milliseconds: list[float] = []
        self.failures: list[str] = []

    def run_clients(self) -> float:
        """Runs all clients and returns the seconds it took."""
        started = time.perf_counter()
        clients = self._step["clients"]
        threads = [threading.Thread(target=self._run_client, args=(number, started)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - started

    def _run_client(self, number: int, started: float) -> None:
        client = GrpcClient(self._step["target"], self._model)
        rate, clients, sent = self._step["rate"], self._step["clients"], 0
        while sent == 0 or time.perf_counter() - started < self._step["seconds"]:
            due = started + (number + sent * clients) / rate if rate else time.perf_counter()
            time.sleep(max(0.0, due - time.perf_counter()))
            self._send_request(client, self._inputs[(number + sent * clients) % len(self._inputs)], due)
            sent += 1
        client.close()

    def _send_request(self, client: GrpcClient, inputs: dict[str, np.ndarray], due: float) -> None:
        try:
            client.predict(SERVING_DEFAULT, inputs)
        except ServerError as error:
            with self._lock:
                self.failures.append(str(error))
            return
        with self._lock:
            self.milliseconds.append((time.perf_counter() - due) * 1e3)


def make_requests(folder: str, batch: int) -> list[dict[str, np.ndarray]]:
    """Requests of `batch` rows from the rows of a version's warm-up file, each beginning with another row."""
    rows = [
        row
        for request in warmup.read_requests(folder)
        if request.model_spec.signature_name == SERVING_DEFAULT
        for row in tf.make_ndarray(request.inputs[EXAMPLES_INPUT])
    ]
    starts = range(len(rows))
    return [{EXAMPLES_INPUT: np.array([rows[(s + i) % len(rows)] for i in range(batch)], object)} for s in starts]


def run_load(job: dict[str, Any]) -> dict[str, Any]:
    """Runs the steps of a job in the child process."""
    return {"steps": [run_step(job["model"], job["warmup"], step) for step in job["steps"]]}


def run_step(model: str, warm: str, step: dict[str, Any]) -> dict[str, Any]:
    """One load and its figures."""
    load = LoadGenerator(model, step, make_requests(warm, step["batch"]))
    seconds = load.run_clients()
    figures = {"requests": len(load.milliseconds), "failures": len(load.failures), "first_failure": load.failures[:1]}
    if load.milliseconds:
        p50, p95, p99 = (float(value) for value in np.percentile(load.milliseconds, [50, 95, 99]))
        figures |= {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "max_ms": max(load.milliseconds)}
    answered = len(load.milliseconds) / seconds
    return {**figures, "requests_per_second": answered, "rows_per_second": answered * step["batch"]}


if __name__ == "__main__":
    subprocesses.run_child_main(run_load)
