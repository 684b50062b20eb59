"""When a failed pod is tried again: Argo's `processNodeRetries`, given what the workflow compiler writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from taxiway.pipeline.emulator import errors
from taxiway.pipeline.emulator.errors import TaskFailedError


@dataclass(frozen=True)
class Retry:
    """The next try.

    Attributes:
        wait_seconds: Time until it starts.
        deadline: Time at which its pod is ended, on the clock of the first try's start.
    """

    wait_seconds: float
    deadline: float


def plan_retry(policy: Any, tries: int, started: float, now: float) -> Retry:
    """The next try after a failure.

    `backoffMaxDuration` does not limit one wait. It is a deadline that counts from the start of the first try, and
    later pods inherit it. Where the policy has none, the compiler writes 0, which has passed at once.

    Args:
        policy: `RetryPolicy` of the task.
        tries: Pods that have been started.
        started: Time of the first one's start, in seconds.
        now: Time of the failure.

    Raises:
        TaskFailedError: There is no further try.
    """
    if tries > policy.max_retry_count:
        raise TaskFailedError("No more retries left")
    deadline = started + policy.backoff_max_duration.seconds
    if now > deadline:
        raise TaskFailedError(f"Max duration limit exceeded ({deadline - started:g} s)", errors.RETRIES)
    factor = _read_factor(policy.backoff_factor)
    wait = policy.backoff_duration.seconds * (factor ** (tries - 1) if factor > 0 else 1)
    if now + wait > deadline:
        raise TaskFailedError(f"Backoff would exceed max duration limit ({deadline - started:g} s)", errors.RETRIES)
    return Retry(float(wait), deadline)


def _read_factor(factor: float) -> int:
    """A whole number, or the whole workflow ends with an error (`intstr.Int32`)."""
    if not float(factor).is_integer():
        problem = f'strconv.ParseInt: parsing "{factor:g}": invalid syntax: the workflow ends with an error'
        raise TaskFailedError(f"the retry's backoffFactor: {problem}", errors.RETRIES)
    return int(factor)
