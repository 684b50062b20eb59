"""The jobs that the stages exchange, and the runner of a stage in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from taxiway.components.example_gen.config import DataConfig, LabelConfig
from taxiway.components.processes.usable_cores import count_usable_cores
from taxiway.components.tables.sources.source_file import SourceFile

Job = dict[str, Any]
Stage = Callable[[Job], dict[str, Any]]
Run = Callable[[Stage, Sequence[Job]], list[dict[str, Any]]]
_MOST_THREADS = 8
"""Each holds the hashes of its part's rows and some batches."""


def run_in_threads(stage: Stage, jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Runs a stage in this process, a few jobs at a time: parsing, hashing and encoding leave Python's lock.

    Raises:
        Exception: what the first job, in their order, has raised.
    """
    most = min(len(jobs), count_usable_cores(), _MOST_THREADS)
    with ThreadPoolExecutor(most, thread_name_prefix=stage.__name__) as pool:
        running = [pool.submit(stage, job) for job in jobs]
        try:
            return [future.result() for future in running]
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)  # what has not begun never begins
            raise


def parse_job(job: Job) -> tuple[DataConfig, LabelConfig, SourceFile]:
    return DataConfig(**job["data"]), LabelConfig(**job["label"]), SourceFile(**job["file"])


def count_rows(columns: Mapping[str, pa.Array]) -> int:
    return len(next(iter(columns.values()))) if columns else 0
