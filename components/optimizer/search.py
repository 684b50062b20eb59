"""The search: makes the variants stage by stage within the budget, judges them, chooses, writes.

Runs in a process of its own that imports TensorFlow and never starts it; everything that does runs in forks.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from components import progress
from components.contract import serving_model_dir, training_dir
from components.errors import OptimizationError
from components.optimizer import isolation, judging, plot, quality, report, sizes, work
from components.optimizer.config import REFERENCE, STAGES, hardware_of, runtime_of, techniques_of
from components.optimizer.decision import decide, quality_rejections, rejections
from components.optimizer.job import OptimizerJob
from components.optimizer.report import Check, Latency, Report, Size, Start, Variant
from components.optimizer.variants.base import Piece, Workshop
from components.subprocesses import child_main

NODE = "ModelOptimizer"
_METHOD = (
    "Whole path: serving_default through a session's RunCallable, XLA as the server has it, {threads} thread(s) pinned "
    "to as many cores; each round every variant and the reference take turns in a random order, {calls} timed calls "
    "each on changing batches; warm-up apart. Speed-up: median over rounds of the ratio of the rounds' medians; 95 % "
    "interval by resampling rounds. Quality: on the labelled evaluation split through serving_default; 95 % interval "
    "of the paired difference by resampling rows. Core: from transformed features to scores, in the variant's own "
    "runtime."
)


@dataclass
class _Made:
    """A chain of techniques that was made: where it is, what was verified, or why it is not there."""

    piece: Piece
    checks: list[Check] = field(default_factory=list)
    seconds: float = 0.0
    failure: str = ""
    dropped: str = ""


class Search:
    """One search. `run` does it all."""

    def __init__(self, job: OptimizerJob, folder: str) -> None:
        self.job, self.config, self.folder = job, job.config, folder
        self.started = time.monotonic()
        self.workshop = Workshop.of(job, folder)
        reference = Piece(str(Path(folder, REFERENCE)))
        Path(reference.uri).mkdir()
        self.made: dict[tuple[str, ...], _Made] = {(): _Made(reference)}
        self.judged: dict[tuple[str, ...], Variant] = {}
        self.variants: list[Variant] = []
        self.reference_scores: Any = None
        self.reference_size: Size | None = None

    def run(self) -> Report:
        """Tries every variant, measures, decides and writes model and report."""
        quality.check_metric(self.job.metric)
        prepare = partial(work.prepare, self.job, self.folder, self.made[()].piece)
        self.machine = self._must(prepare, "reading the evaluation rows")
        self.labels, columns = work.data.load_columns(self.folder)
        self.slices = list(judging.slices_of(columns, self.job.slices, self.config.min_slice_rows))
        wanted = self._wanted()
        for i, name in enumerate([REFERENCE, *wanted]):
            progress.report(NODE, f"making {name}", i / (len(wanted) + 2))
            self.variants.append(self._try(name))
        progress.report(NODE, "measuring latency", len(wanted) / (len(wanted) + 1))
        self._measure_latency()
        return self._conclude()

    def _wanted(self) -> list[str]:
        if not self.config.enabled or not self.job.blessed:
            return []
        return [name for name in dict.fromkeys((*self.config.variants, *self.config.exports)) if name != REFERENCE]

    def remaining(self) -> float:
        """Seconds of the budget that are left for making variants; a share is kept for measuring them."""
        reserve = min(0.25 * self.config.budget_seconds, 4 * self.config.measuring.seconds)
        return self.config.budget_seconds - reserve - (time.monotonic() - self.started)

    # Making

    def _try(self, name: str) -> Variant:
        """One variant: made, scored, sized."""
        chain = techniques_of(name)
        entry = Variant(name=name, techniques=list(chain), status="failed")
        reason = self._no_time(name)
        if reason:
            return entry.model_copy(update={"status": "not_tried", "reason": reason})
        made = self._chain(chain)
        if made.failure or made.dropped:
            status = "failed" if made.failure else "not_tried"
            reason = made.failure or made.dropped
            return entry.model_copy(update={"status": status, "reason": reason, "checks": made.checks})
        return self._judge(name, made)

    def _no_time(self, name: str) -> str:
        if name == REFERENCE:
            return ""
        if sum(v.status != "not_tried" for v in self.variants) > self.config.max_variants:
            return f"max_variants is {self.config.max_variants}"
        if self.remaining() <= 0:
            return f"the budget of {self.config.budget_seconds:g} s was spent"
        return ""

    def _chain(self, chain: tuple[str, ...]) -> _Made:
        """The chain's last piece; what an earlier variant has made of it is used again."""
        if chain in self.made:
            return self.made[chain]
        before = self._chain(chain[:-1])
        dropped = before.dropped or self._loses_quality(chain[:-1], before)
        if before.failure or dropped:
            made = _Made(before.piece, before.checks, failure=before.failure, dropped=dropped)
        else:
            made = self._apply(chain, before)
        self.made[chain] = made
        return made

    def _loses_quality(self, chain: tuple[str, ...], made: _Made) -> str:
        """Why nothing more is made of a changed structure: its quality is gone already. Empty where it is kept."""
        if not chain or made.failure or made.dropped or STAGES[chain[-1]] != "structure":
            return ""
        name = "+".join(chain)
        judged = self._judge(name, made)
        lost = quality_rejections(judged, self.config)
        return f"its branch was dropped: {name}: {'; '.join(lost)}" if lost else ""

    def _apply(self, chain: tuple[str, ...], before: _Made) -> _Made:
        piece = Piece(str(Path(self.folder, "+".join(chain))))
        timeout = max(self.remaining(), 1.0)
        ended = isolation.call(partial(work.make, self.workshop, chain[-1], before.piece, piece), timeout)
        made = _Made(piece, list(before.checks), before.seconds + ended.seconds)
        if not ended.ok:
            made.failure = f"{chain[-1]}: {ended.error}"
            return made
        made.failure = f"{chain[-1]}: {ended.value['refused']}" if ended.value["refused"] else ""
        checks = [Check.model_validate(check) for check in ended.value["checks"]]
        made.checks += checks
        wrong = [f"{check.name}: {check.detail}" for check in checks if not check.passed]
        if wrong:
            made.failure = f"{chain[-1]}: what was made is not what was asked for: {'; '.join(wrong)}"
        return made

    # Judging

    def _judge(self, name: str, made: _Made) -> Variant:
        """Scores the evaluation rows, sizes and compares. Done once for each chain."""
        chain = techniques_of(name)
        if chain not in self.judged:
            self.judged[chain] = self._judged(name, made)
        return self.judged[chain]

    def _judged(self, name: str, made: _Made) -> Variant:
        entry = Variant(
            name=name,
            techniques=list(techniques_of(name)),
            status="failed",
            runtime=runtime_of(name),
            hardware=hardware_of(name),
            checks=made.checks,
            seconds=round(made.seconds, 3),
        )
        if name == REFERENCE:
            self.reference_size = sizes.measure(self._slim_reference())
        entry.size = sizes.measure(made.piece.foreign or made.piece.servable, self.reference_size)
        not_here = "" if hardware_of(name) == self._machine_hardware else "it cannot be run on this machine: no GPU"
        if not_here:
            return entry.model_copy(update={"status": "exported", "reason": not_here})
        return self._scored(entry, made)

    def _scored(self, entry: Variant, made: _Made) -> Variant:
        scores, told, error = self._score(entry.name, made.piece)
        if error:
            return entry.model_copy(update={"reason": error})
        if entry.name == REFERENCE:
            self.reference_scores = scores
        entry.start = Start(**{key: round(told[key], 3) for key in ("load_ms", "first_ms", "memory_mb")})
        entry.quality = judging.quality(
            self.job.metric, self.labels, scores, self.reference_scores, self.slices, self.config
        )
        entry.output_error = judging.output_error(self.job.task, scores, self.reference_scores)
        entry.status = "measured"
        return entry

    @property
    def _machine_hardware(self) -> str:
        return "gpu" if self.machine["gpus"] else "cpu"

    def _slim_reference(self) -> str:
        """The trained model without what no signature reads: what sizes are compared with."""
        reference = self.made[()].piece
        slim = Path(reference.uri, "slim")
        return str(slim) if slim.exists() else reference.servable

    def _score(self, name: str, piece: Piece) -> tuple[Any, dict[str, Any], str]:
        file = str(Path(self.folder, f"{name}.npy"))
        score = partial(work.score, piece, self.job.task, self.folder, file, self.config.xla)
        if name == REFERENCE:
            told = self._must(score, "scoring the evaluation rows with the trained model")
        else:
            ended = isolation.call(score, max(self.remaining(), 10.0))
            if not ended.ok:
                return None, {}, f"it was made, but does not answer: {ended.error}"
            told = ended.value
        return np.load(file).astype(np.float64), told, ""

    def _measure_latency(self) -> None:
        pieces = {v.name: self.made[tuple(v.techniques)].piece for v in self.variants if v.status == "measured"}
        seconds = max(self.config.budget_seconds - (time.monotonic() - self.started), 2.0)
        records = self._must(
            partial(work.latency, pieces, self.job.task, self.config, self.folder, seconds), "measuring latency"
        )
        for variant in self.variants:
            variant.latencies = [_latency(record) for record in records if record["name"] == variant.name]

    # Concluding

    def _conclude(self) -> Report:
        for variant in self.variants:
            if variant.status in ("measured", "exported"):
                variant.rejected = rejections(variant, self.config)
        decision = decide(self.variants, self.config)
        if not self.job.blessed:
            decision.reasons.insert(0, "The evaluator did not bless the trained model: nothing was tried.")
        made = self.made[techniques_of(decision.chosen)]
        hand_on(made.piece, self.job.model, self.job.chosen_uri)
        exported = self._export()
        result = Report(
            task=self.job.task,
            label=self.job.label,
            metric=self.job.metric,
            decision=decision,
            variants=self.variants,
            exports=exported,
            environment=_environment(self.machine, self.config.measuring.threads, self.config.measuring.calls),
            job=self.job,
            seconds=round(time.monotonic() - self.started, 3),
        )
        report.write(result, self.job.report_uri)
        plot.write(result, self.job.report_uri)
        progress.report(NODE, f"chose {decision.chosen}", 1.0)
        return result

    def _export(self) -> dict[str, str]:
        """Copies the variants that `exports` names beside the report. Returns the folder, relative to the exports'
        artifact, by variant."""
        done: dict[str, str] = {}
        for name in self.config.exports:
            made = self.made.get(techniques_of(name))
            if made is None or made.failure or made.dropped or not self.job.exports_uri:
                continue
            shutil.copytree(made.piece.uri, Path(self.job.exports_uri, name), dirs_exist_ok=True)
            done[name] = name
        return done

    def _must(self, piece: Any, doing: str) -> Any:
        """Work without which there is nothing to optimize."""
        ended = isolation.call(piece, max(4 * self.config.budget_seconds, 300.0))
        if not ended.ok:
            raise OptimizationError(f"The optimizer failed at {doing}: {ended.error}", "Its log has the details.")
        return ended.value


def hand_on(piece: Piece, trained: str, chosen: str) -> None:
    """Copies a piece to where the chosen `Model` artifact is: the servable, and a `training/` to train on from.

    A technique that changes the weights leaves its own `training/`; for the others the trained model's goes along.
    """
    servable = piece.servable if piece.has_servable else serving_model_dir(trained)
    shutil.copytree(servable, serving_model_dir(chosen), dirs_exist_ok=True)
    if piece.foreign:  # TensorFlow Serving's TFLite mode falls back to the SavedModel beside it
        shutil.copy2(piece.foreign, serving_model_dir(chosen))
    training = training_dir(piece.uri) if piece.trainable else training_dir(trained)
    if Path(training).is_dir():
        shutil.copytree(training, training_dir(chosen), dirs_exist_ok=True)


def _latency(record: dict[str, Any]) -> Latency:
    speedup = judging.estimate(quality.Interval(*(record[f"speedup{end}"] for end in ("", "_low", "_high"))))
    fields = ("path", "batch_size", "samples", "p50_ms", "p95_ms", "p99_ms", "rows_per_second")
    return Latency(**{key: record[key] for key in fields}, speedup=speedup)


def _environment(machine: dict[str, Any], threads: int, calls: int) -> report.Environment:
    return report.Environment(
        cpu=_cpu(),
        cores=os.cpu_count() or 0,
        threads=threads,
        platform=platform.platform(),
        python=platform.python_version(),
        tensorflow=machine["tensorflow"],
        gpu=", ".join(machine["gpus"]) or "none",
        method=_METHOD.format(threads=threads, calls=calls),
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def optimize(job: OptimizerJob) -> Report:
    """Runs the whole optimizer in this process, which must not have started TensorFlow.

    Raises:
        OptimizationError: the trained model itself cannot be served or measured.
    """
    with tempfile.TemporaryDirectory(prefix="taxiway-optimizer-") as folder:
        return Search(job, folder).run()


def _work(job: dict[str, Any]) -> dict[str, Any]:
    result = optimize(OptimizerJob.model_validate(job))
    return {"chosen": result.decision.chosen, "seconds": result.seconds}


if __name__ == "__main__":
    child_main(_work)
