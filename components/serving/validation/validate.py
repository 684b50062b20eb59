"""Tries a candidate as a server would run it, in a process of its own (`child`).

The job: `candidate`, `trained` and `live` (folders of SavedModels; `live` empty where none is), `files` (TFRecords of
raw evaluation examples) and their `split`, `label`, `task`, `classes`, `prediction_output` (empty: it is found),
`model_name`, `allowed_error`, `config` (a `ServingConfig` as JSON) and `extra_files` (a folder that takes the warm-up
requests and the scores). The result is a `ServingValidationReport` as JSON. A candidate that fails is a verdict; a job
that cannot be judged (no rows, no trained model) is an error.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from taxiway.components.contract import EVAL_SPLIT, SERVING_DEFAULT, SERVING_RAW
from taxiway.components.errors import ServingError
from taxiway.components.saved_models import manifest, training_reference
from taxiway.components.saved_models.decision_rule import read_threshold
from taxiway.components.saved_models.prediction_output import find_prediction_output
from taxiway.components.saved_models.session import SavedModelSession, Tensors
from taxiway.components.saved_models.tensorflow_private import disable_xla
from taxiway.components.serving.config import ServingConfig
from taxiway.components.serving.protocol.api_errors import ApiError
from taxiway.components.serving.requests import clients, from_examples, warmup
from taxiway.components.serving.requests.from_examples import RequestBuilder
from taxiway.components.serving.safety import allowed_ops
from taxiway.components.serving.validation import input_changes, malformed_requests
from taxiway.components.serving.validation.candidate_server import CandidateServer
from taxiway.components.serving.validation.comparison import (
    ServingFinding,
    ServingValidationReport,
    check_limit,
    compare_answers,
)

BATCH_SIZES = (1, 7, 64)
"""Rows a request: one, an odd number, many."""
REST_BATCH_SIZE = 32
ONE_BY_ONE = 64
"""At most so many rows are sent one by one."""

Ask = Callable[[str, Tensors], Tensors]


def validate_candidate(job: dict[str, Any]) -> dict[str, Any]:
    """The whole job, as the child runs it."""
    disable_xla()
    config = ServingConfig.model_validate_json(job["config"])
    examples = from_examples.read_examples(job["files"], config.validation_rows)
    output = find_prediction_output(job["trained"], job["task"], job.get("prediction_output", ""))
    report = ServingValidationReport(manifest.digest_folder(job["candidate"]), figures={"rows": len(examples)})
    _report_input_changes(job, config, report)
    try:
        problems = allowed_ops.check_saved_model(job["candidate"], config.allowed_ops)
        report.findings += [ServingFinding("program", False, problem) for problem in problems]
        if not problems:  # what may not run is not loaded
            _try_candidate(job, config, examples, output, report)
    except (ServingError, ApiError, tf.errors.OpError, KeyError, ValueError) as error:
        report.findings.append(
            ServingFinding("serving", False, f"the candidate does not serve: {take_first_line(error)}")
        )
    return report.to_json()


def _report_input_changes(job: dict[str, Any], config: ServingConfig, report: ServingValidationReport) -> None:
    block = config.input_changes == "block"
    findings, changes = input_changes.compare_with_live(job.get("live", ""), job["candidate"], block=block)
    report.findings += findings
    if changes:
        report.figures["input_changes"] = changes


def _try_candidate(
    job: dict[str, Any],
    config: ServingConfig,
    examples: list[tf.train.Example],
    output: str,
    report: ServingValidationReport,
) -> None:
    builder = RequestBuilder.from_examples(examples, job["candidate"], job["label"])
    extra = Path(job["extra_files"])
    written = warmup.write_requests(extra, job["model_name"], builder, config.warmup_batch_sizes)
    with CandidateServer(config.validate_over, job["candidate"], extra, job["model_name"], config.allowed_ops) as trial:
        report.figures |= {"over": config.validate_over, "warmup_requests": written, **trial.measure_figures()}
        report.findings += _check_signatures(trial.signatures, builder)
        answers = dict(_collect_answers(trial, builder, output))
        report.figures |= {"latency_ms": _measure_latency(trial.ask_candidate, builder), **trial.measure_figures()}
        if trial.grpc and trial.rest:
            report.findings += malformed_requests.probe_server(trial.grpc, trial.rest, builder)
    _keep_scores(job, extra, output, answers)
    expected = _ask_trained_model(job["trained"], examples, job["label"])
    threshold = read_threshold(job["trained"])
    for check, answer in answers.items():
        rows = len(next(iter(answer.values())))
        cut = {name: values[:rows] for name, values in expected.items()}
        report.findings += compare_answers(check, answer, cut, job["task"], job["allowed_error"], threshold, output)
    report.findings += check_figures(report.figures, config)


def _keep_scores(job: dict[str, Any], extra: Path, output: str, answers: dict[str, Tensors]) -> None:
    """Leaves the candidate's scores for its version: what `taxiway monitor` compares served scores with."""
    answer = answers.get(f"{SERVING_DEFAULT} in batches of {BATCH_SIZES[-1]}", {})
    scores = np.asarray(answer.get(output, ()), np.float64)[: training_reference.MOST_SCORES]
    if scores.ndim == 2 and np.isfinite(scores).all():
        kept = training_reference.ReferenceScores(
            label=job["label"],
            task=job["task"],
            classes=tuple(job.get("classes", ())),
            output=output,
            split=job.get("split", EVAL_SPLIT),
            scores=tuple(tuple(row) for row in np.round(scores, 7).tolist()),
        )
        training_reference.write_scores(extra, kept)


def check_figures(figures: dict[str, Any], config: ServingConfig) -> list[ServingFinding]:
    """Findings on load time, memory and latency, where the configuration sets limits."""
    findings = [
        check_limit("load time", figures["load_seconds"], config.max_load_seconds, "s"),
        check_limit("p99 latency of one row", figures["latency_ms"]["p99"], config.max_p99_ms, "ms"),
    ]
    if figures["memory_mb"] is not None:
        findings.append(check_limit("memory", figures["memory_mb"], config.max_memory_mb, "MB"))
    elif config.max_memory_mb is not None:
        findings.append(ServingFinding("memory", False, "memory: cannot be measured of a server in a container"))
    return [finding for finding in findings if finding]


def _check_signatures(signatures: dict[str, set[str]], builder: RequestBuilder) -> list[ServingFinding]:
    """The signatures are there, and `serving_raw` takes exactly the tensors that the file beside the model names."""
    missing = [name for name in builder.signatures if name not in signatures]
    findings = [ServingFinding(name, False, f"the model has no signature {name!r}") for name in missing]
    if SERVING_RAW in signatures:
        declared = signatures[SERVING_RAW]
        detail = f"{SERVING_RAW} takes {len(declared)} tensors, the file beside the model names {len(builder.inputs)}"
        findings.append(ServingFinding(f"{SERVING_RAW} inputs", declared == set(builder.inputs), detail))
    return findings


def _collect_answers(trial: CandidateServer, builder: RequestBuilder, output: str) -> Iterator[tuple[str, Tensors]]:
    """The candidate's answers to the rows: every signature, every batch size, gRPC and REST; by what was asked."""
    for signature in builder.signatures:
        for size in BATCH_SIZES:
            yield f"{signature} in batches of {size}", _ask_batches(trial.ask_candidate, builder, signature, size)
        if trial.rest:
            ask = functools.partial(_ask_rest, trial.rest, output)
            yield f"{signature} over REST", _ask_batches(ask, builder, signature, REST_BATCH_SIZE)


def _ask_rest(rest: clients.RestClient, only: str, signature: str, inputs: Tensors) -> Tensors:
    return clients.decode_outputs(rest.predict(signature, inputs), only)


def _ask_batches(ask: Ask, builder: RequestBuilder, signature: str, size: int) -> Tensors:
    rows = builder.examples if size > 1 else builder.examples[:ONE_BY_ONE]
    batches = RequestBuilder(rows, builder.inputs).split_batches(signature, size)
    return _concat_answers([ask(signature, batch) for batch in batches])


def _concat_answers(answers: list[Tensors]) -> Tensors:
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def _ask_trained_model(trained: str, examples: list[tf.train.Example], label: str) -> Tensors:
    builder = RequestBuilder.from_examples(examples, trained, label)
    with SavedModelSession(trained) as model:
        return _concat_answers(
            [model.run(SERVING_DEFAULT, batch) for batch in builder.split_batches(SERVING_DEFAULT, 256)]
        )


def _measure_latency(ask: Ask, builder: RequestBuilder, calls: int = 200) -> dict[str, float]:
    """Percentiles of one-row requests through `serving_default`, each with another row, in milliseconds."""
    batches = list(RequestBuilder(builder.examples[:ONE_BY_ONE], builder.inputs).split_batches(SERVING_DEFAULT, 1))
    times = []
    for call in range(calls):
        started = time.perf_counter()
        ask(SERVING_DEFAULT, batches[call % len(batches)])
        times.append((time.perf_counter() - started) * 1e3)
    p50, p95, p99 = np.percentile(times, [50, 95, 99])
    return {"p50": float(p50), "p95": float(p95), "p99": float(p99), "calls": calls}


def take_first_line(error: BaseException) -> str:
    """The first line of an error's message: TensorFlow appends the whole graph's history."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]
