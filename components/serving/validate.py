"""Tries a candidate as a server would run it, in a process of its own (`trying`).

The job: `candidate`, `trained` and `live` (folders of SavedModels; `live` empty where none is), `files` (TFRecords of
raw evaluation examples), `label`, `task`, `model_name`, `allowed_error`, `config` (a `ServingConfig` as JSON) and
`extra_files` (a folder that takes the warm-up requests). The result is a `ServingReport` as JSON. A candidate that
fails is a verdict, not an error; an error is a job that cannot be judged: no rows, no trained model.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from components.contract import SERVING_DEFAULT, SERVING_RAW, Task, score_output
from components.errors import ServingError
from components.serving import client, inputs, malformed, manifest, ops, requests, warmup
from components.serving.api_errors import ApiError
from components.serving.config import ServingConfig
from components.serving.requests import RequestMaker
from components.serving.servable import Servable, Tensors, disable_xla
from components.serving.trial import Trial
from components.serving.verdict import Finding, ServingReport, compare, within

BATCH_SIZES = (1, 7, 64)
"""Rows a request: one, an odd number, many."""
REST_BATCH_SIZE = 32
ONE_BY_ONE = 64
"""At most so many rows are sent one by one."""

Ask = Callable[[str, Tensors], Tensors]


def validate(job: dict[str, Any]) -> dict[str, Any]:
    """The whole job, as the child runs it."""
    disable_xla()
    config = ServingConfig.model_validate_json(job["config"])
    examples = requests.read_examples(job["files"], config.validation_rows)
    report = ServingReport(manifest.digest_folder(job["candidate"]), figures={"rows": len(examples)})
    _compare_inputs(job, config, report)
    try:
        problems = ops.check_folder(job["candidate"], config.allowed_ops)
        report.findings += [Finding("program", False, problem) for problem in problems]
        if not problems:  # what may not run is not loaded
            _try_candidate(job, config, examples, report)
    except (ServingError, ApiError, tf.errors.OpError, KeyError, ValueError) as error:
        report.findings.append(Finding("serving", False, f"the candidate does not serve: {first_line(error)}"))
    return report.to_json()


def _compare_inputs(job: dict[str, Any], config: ServingConfig, report: ServingReport) -> None:
    live = inputs.read_inputs(job["live"]) if job.get("live") else {}
    candidate, block = inputs.read_inputs(job["candidate"]), config.input_changes == "block"
    findings, changes = inputs.judge_inputs(live, candidate, block=block)
    report.findings += findings
    if changes:
        report.figures["input_changes"] = changes


def _try_candidate(
    job: dict[str, Any], config: ServingConfig, examples: list[tf.train.Example], report: ServingReport
) -> None:
    maker = RequestMaker.of(examples, job["candidate"], job["label"])
    extra = Path(job["extra_files"])
    written = warmup.write(extra, job["model_name"], maker, config.warmup_batch_sizes)
    with Trial(config.validate_over, job["candidate"], extra, job["model_name"], config.allowed_ops) as trial:
        report.figures |= {"over": config.validate_over, "warmup_requests": written, **trial.figures()}
        report.findings += _signature_findings(trial.signatures, maker)
        answers = dict(_all_answers(trial, maker, job["task"]))
        report.figures |= {"latency_ms": _latency_ms(trial.ask, maker), **trial.figures()}
        if trial.grpc and trial.rest:
            report.findings += malformed.probe(trial.grpc, trial.rest, maker)
    expected = _trained_answers(job["trained"], examples, job["label"])
    for check, answer in answers.items():
        rows = len(next(iter(answer.values())))
        cut = {name: values[:rows] for name, values in expected.items()}
        report.findings += compare(check, answer, cut, job["task"], job["allowed_error"])
    report.findings += limits(report.figures, config)


def limits(figures: dict[str, Any], config: ServingConfig) -> list[Finding]:
    """Load time, memory and latency against the configuration, where it sets limits."""
    found = [
        within("load time", figures["load_seconds"], config.max_load_seconds, "s"),
        within("p99 latency of one row", figures["latency_ms"]["p99"], config.max_p99_ms, "ms"),
    ]
    if figures["memory_mb"] is not None:
        found.append(within("memory", figures["memory_mb"], config.max_memory_mb, "MB"))
    elif config.max_memory_mb is not None:
        found.append(Finding("memory", False, "memory: cannot be measured of a server in a container"))
    return [finding for finding in found if finding]


def _signature_findings(signatures: dict[str, set[str]], maker: RequestMaker) -> list[Finding]:
    """The signatures are there, and `serving_raw` takes exactly the tensors that the file beside the model names."""
    missing = [name for name in maker.signatures if name not in signatures]
    found = [Finding(name, False, f"the model has no signature {name!r}") for name in missing]
    if SERVING_RAW in signatures:
        declared = signatures[SERVING_RAW]
        detail = f"{SERVING_RAW} takes {len(declared)} tensors, the file beside the model names {len(maker.inputs)}"
        found.append(Finding(f"{SERVING_RAW} inputs", declared == set(maker.inputs), detail))
    return found


def _all_answers(trial: Trial, maker: RequestMaker, task: Task) -> Iterator[tuple[str, Tensors]]:
    """The candidate's answers to the rows: every signature, every batch size, gRPC and REST; by what was asked."""
    for signature in maker.signatures:
        for size in BATCH_SIZES:
            yield f"{signature} in batches of {size}", _answers(trial.ask, maker, signature, size)
        if trial.rest:
            ask = functools.partial(_ask_rest, trial.rest, score_output(task))
            yield f"{signature} over REST", _answers(ask, maker, signature, REST_BATCH_SIZE)


def _ask_rest(rest: client.RestClient, only: str, signature: str, inputs: Tensors) -> Tensors:
    return client.as_arrays(rest.predict(signature, inputs), only)


def _answers(ask: Ask, maker: RequestMaker, signature: str, size: int) -> Tensors:
    rows = maker.examples if size > 1 else maker.examples[:ONE_BY_ONE]
    batches = RequestMaker(rows, maker.inputs).batches(signature, size)
    return _join([ask(signature, batch) for batch in batches])


def _join(answers: list[Tensors]) -> Tensors:
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def _trained_answers(trained: str, examples: list[tf.train.Example], label: str) -> Tensors:
    maker = RequestMaker.of(examples, trained, label)
    with Servable(trained) as model:
        return _join([model.run(SERVING_DEFAULT, batch) for batch in maker.batches(SERVING_DEFAULT, 256)])


def _latency_ms(ask: Ask, maker: RequestMaker, calls: int = 200) -> dict[str, float]:
    """Percentiles of one-row requests through `serving_default`, each with another row, in milliseconds."""
    batches = list(RequestMaker(maker.examples[:ONE_BY_ONE], maker.inputs).batches(SERVING_DEFAULT, 1))
    times = []
    for call in range(calls):
        started = time.perf_counter()
        ask(SERVING_DEFAULT, batches[call % len(batches)])
        times.append((time.perf_counter() - started) * 1e3)
    p50, p95, p99 = np.percentile(times, [50, 95, 99])
    return {"p50": float(p50), "p95": float(p95), "p99": float(p99), "calls": calls}


def first_line(error: BaseException) -> str:
    """The first line of an error's message: TensorFlow appends the whole graph's history."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]
