"""The pool of Python workers beside each of an engine's machines: `python -m taxiway.components.beam.worker_pool`.

It speaks the protocol of Beam's own (`apache_beam.runners.worker.worker_pool_main`). There every worker imports
TensorFlow anew, several for a step; here the libraries are imported once and workers are forked from that process.
There a pool that two of the engine's machines share ends the workers of one when the other has done with its own,
because both count their workers from 1; here only what is meant for sure is ended. And a pool whose workers could not
import our code does not start at all.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import multiprocessing
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.utils import thread_pool_executor

from taxiway.environment import set_environment

IMPORTED = (
    "tensorflow",
    "tensorflow_transform",
    "tensorflow_data_validation",
    "tensorflow_model_analysis",
    "apache_beam.runners.worker.sdk_worker",
    "taxiway.components.files.beam_private",
)
"""What every worker has when it is forked. None of them starts a thread when it is imported."""
DEFAULT_PORT = 50000
END_SECONDS = 10.0
"""A worker ends by itself when the engine closes its channel; after this it is ended."""


class ForkingWorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):  # type: ignore[misc]
    """Answers the engine's requests for workers."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([*IMPORTED])
        self._workers: list[tuple[str, BaseProcess]] = []
        self._lock = threading.Lock()

    def check_imports(self) -> str:
        """Why a worker could not run our steps, a traceback; empty where it could."""
        receiving, sending = self._context.Pipe(duplex=False)
        process = self._context.Process(target=report_imports, args=(sending,))
        process.start()
        sending.close()
        try:
            problem: str = receiving.recv()
        except EOFError:
            problem = (
                f"The first worker ended with exit code {process.exitcode} while it imported {', '.join(IMPORTED)}."
            )
        process.join()
        return problem

    def StartWorker(self, start_worker_request: Any, unused_context: Any) -> Any:  # noqa: N802 (Beam's name)
        """Forks a worker for one of the engine's machines."""
        worker, url = start_worker_request.worker_id, start_worker_request.control_endpoint.url
        try:
            process = self._context.Process(target=run_worker, args=(url, worker))
            process.start()
        except Exception:  # the engine must hear of it, whatever it is
            return beam_fn_api_pb2.StartWorkerResponse(error=traceback.format_exc())
        with self._lock:
            self._workers = [each for each in self._workers if each[1].is_alive()] + [(worker, process)]
        logging.info("worker %s of %s: process %s", worker, url, process.pid)
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, stop_worker_request: Any, unused_context: Any) -> Any:  # noqa: N802 (Beam's name)
        """Ends a worker, where only one has this number; where several have, theirs close their channels."""
        with self._lock:
            named = [process for worker, process in self._workers if worker == stop_worker_request.worker_id]
            named = [process for process in named if process.is_alive()]
        if len(named) == 1:
            end_worker(named[0])
        return beam_fn_api_pb2.StopWorkerResponse()

    def end_workers(self) -> None:
        """Ends every worker."""
        with self._lock:
            for _, process in self._workers:
                process.terminate()


def run_worker(control_url: str, worker_id: str) -> None:
    """A worker: takes work from one of the engine's machines until that one closes the channel."""
    from apache_beam.runners.worker.sdk_worker import SdkHarness

    from taxiway.components.beam.beam_private import remember_signatures
    from taxiway.components.files.beam_private import patch_beam_matching

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    patch_beam_matching()
    remember_signatures()
    SdkHarness(control_url, worker_id=worker_id, state_cache_size=0, data_buffer_time_limit_ms=-1).run()


def report_imports(sending: Any) -> None:
    """Imports what workers need and sends what went wrong."""
    try:
        for name in IMPORTED:
            importlib.import_module(name)
        sending.send("")
    except Exception:
        sending.send(traceback.format_exc())


def end_worker(process: BaseProcess) -> None:
    """Waits for a worker's own end, then ends it."""
    process.join(END_SECONDS)
    if process.is_alive():
        process.terminate()
        process.join()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until it is ended; exit code 1 where workers cannot import what they need."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--service_port", type=int, default=DEFAULT_PORT, help="port of the pool, default %(default)s")
    parser.add_argument(
        "--host",
        default="localhost",
        help="address to listen at, default %(default)s: whoever can reach it can have workers run anything",
    )
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    set_environment()
    pool = ForkingWorkerPool()
    if problem := pool.check_imports():
        print(f"Workers cannot run Taxiway's steps here:\n{problem}", file=sys.stderr)
        return 1
    return serve_pool(pool, chosen.host, chosen.service_port)


def serve_pool(pool: ForkingWorkerPool, host: str, port: int) -> int:
    """Serves until SIGTERM or SIGINT."""
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    executor = thread_pool_executor.shared_unbounded_instance()  # a request may wait for a worker's end
    server = grpc.server(executor, options=[("grpc.http2.max_ping_strikes", 0)])
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    server.add_insecure_port(f"{host}:{port}")
    server.start()
    logging.info("workers are started at %s:%s", host, port)
    stopped.wait()
    server.stop(0)
    pool.end_workers()
    return 0


if __name__ == "__main__":
    sys.exit(main())
