"""One cluster for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.flink.cluster import TASK_MANAGERS, FlinkCluster, UnusableClusterError, run_cluster
from tests.flink.packages import MissingPackagesError


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlinkCluster]:
    """A running cluster, until these tests end; skips where none can be had or Beam's own pipeline fails on it."""
    with ExitStack() as stack:
        try:
            started = stack.enter_context(run_cluster(tmp_path_factory.mktemp("flink")))
        except (MissingPackagesError, UnusableClusterError) as error:
            pytest.skip(f"no Flink cluster here: {error}")
        yield started


@pytest.fixture(scope="package")
def engine(cluster: FlinkCluster) -> str:
    """The setting `resources.beam` of the cluster."""
    addresses = f"job_endpoint: '{cluster.job_endpoint}', worker_pool: '{cluster.worker_pool}'"
    return f"resources.beam={{runner: flink, {addresses}, parallelism: {TASK_MANAGERS}}}"
