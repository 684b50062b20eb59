"""When a failed pod is tried again, as Argo decides it."""

from __future__ import annotations

import pytest
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from taxiway.pipeline.emulator.errors import TaskFailedError
from taxiway.pipeline.emulator.retries import Retry, plan_retry


def policy(**values):
    written = {"maxRetryCount": 2, "backoffDuration": "30s", "backoffFactor": 2, "backoffMaxDuration": "600s"}
    return json_format.ParseDict({**written, **values}, pipeline_spec_pb2.PipelineTaskSpec.RetryPolicy())


def test_waits_grow_and_the_deadline_counts_from_the_first_start():
    assert plan_retry(policy(), 1, started=1000.0, now=1050.0) == Retry(30, 1600)
    assert plan_retry(policy(), 2, started=1000.0, now=1200.0) == Retry(60, 1600)


def test_the_maximum_is_no_limit_of_one_wait():
    long = policy(maxRetryCount=5, backoffDuration="100s", backoffMaxDuration="10000s")
    assert plan_retry(long, 5, 0.0, 2000.0).wait_seconds == 1600


@pytest.mark.parametrize(
    ("changes", "tries", "now", "said"),
    [
        ({}, 1, 601.0, "Max duration limit exceeded (600 s)"),
        ({}, 1, 571.0, "Backoff would exceed max duration limit (600 s)"),
        ({"backoffMaxDuration": "0s"}, 1, 1.0, "Max duration limit exceeded (0 s)"),
        ({}, 3, 10.0, "No more retries left"),
        ({"backoffFactor": 1.5}, 1, 10.0, 'parsing "1.5": invalid syntax'),
    ],
)
def test_no_further_try(changes, tries, now, said):
    with pytest.raises(TaskFailedError) as failure:
        plan_retry(policy(**changes), tries, 0.0, now)
    assert said in str(failure.value)


def test_without_a_maximum_nothing_is_ever_tried_again():
    """The workflow compiler writes 0 for what a policy does not say."""
    said = json_format.ParseDict({"maxRetryCount": 2}, pipeline_spec_pb2.PipelineTaskSpec.RetryPolicy())
    with pytest.raises(TaskFailedError, match="Max duration"):
        plan_retry(said, 1, 0.0, 1.0)


def test_a_factor_of_nothing_leaves_the_wait_as_it_is():
    assert plan_retry(policy(backoffFactor=0), 2, 0.0, 100.0).wait_seconds == 30
