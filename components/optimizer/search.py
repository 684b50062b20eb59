"""The search: makes the variants stage by stage within the budget, measures them, chooses, writes.

Runs in a process of its own that imports TensorFlow and never starts it; everything that does runs in forks. Variants
are made several at a time; latency is measured afterwards, with nothing beside it.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from functools import partial
from typing import Any

from components import progress
from components.errors import OptimizationError
from components.measures.intervals import Interval
from components.optimizer import findings, handover, isolation, judging, plot, quality, report, sizes, slim, work
from components.optimizer.combinations import combinations, in_time, no_combination
from components.optimizer.config import REFERENCE, techniques_of
from components.optimizer.decision import decide, rejections
from components.optimizer.job import OptimizerJob
from components.optimizer.making import NODE, Maker
from components.optimizer.report import Latency, Report, Variant
from components.optimizer.variants.base import Piece
from components.subprocesses import child_main

_MOST_WORKERS = 4
_LOADING_SECONDS = 2.0
"""Kept of the budget for each variant that may be measured: it is loaded and warmed up before the rounds begin."""


class Search:
    """One search. `run` does it all."""

    def __init__(self, job: OptimizerJob, folder: str) -> None:
        self.job, self.config, self.folder = job, job.config, folder
        self.started = time.monotonic()
        workers = self.config.workers or min(_cores(), _MOST_WORKERS)
        self.maker = Maker(job, folder, workers, self.remaining)
        self.planned = 0
        self.variants: list[Variant] = []
        self.machine: dict[str, Any] = {}

    def run(self) -> Report:
        """Tries every variant, measures, decides and writes model and report."""
        quality.check_metric(self.job.metric)
        listed = self._listed()
        techniques = {name for variant in listed for name in techniques_of(variant)}
        work.preload(sorted(techniques))
        self.variants = asyncio.run(self._make(listed))
        progress.report(NODE, "measuring latency", 0.7)
        self._measure_latency()
        return self._conclude()

    def _listed(self) -> list[str]:
        if not self.config.enabled or not self.job.blessed:
            return []
        return [name for name in dict.fromkeys((*self.config.variants, *self.config.exports)) if name != REFERENCE]

    def remaining(self) -> float:
        """Seconds of the budget that are left for making variants; a share is kept for measuring them."""
        measuring = 4 * self.config.measuring.seconds + _LOADING_SECONDS * self.planned
        reserve = min(0.25 * self.config.budget_seconds, measuring)
        return self.config.budget_seconds - reserve - (time.monotonic() - self.started)

    # Making

    async def _make(self, listed: list[str]) -> list[Variant]:
        """The reference, what is listed, and the combinations, as far as they are made; in that order."""
        await self._prepare()
        pairs = combinations(self.config) if listed else []
        names = [*listed, *(f"{s}+{t}" for s, t in pairs)]
        refused = in_time(names, self.config)
        self.planned = min(len(names), self.config.max_variants)
        reference = asyncio.create_task(self.maker.judged(()))
        tasks: dict[str, asyncio.Task[Variant]] = {}
        for name in listed:
            tasks[name] = asyncio.create_task(self._try(name, refused))
        for structure, later in pairs:
            combined = self._combine(structure, later, tasks, refused)
            tasks[f"{structure}+{later}"] = asyncio.create_task(combined)
        return [await reference, *(await asyncio.gather(*(tasks[name] for name in names)))]

    async def _prepare(self) -> None:
        progress.report(NODE, "reading the evaluation rows", 0.0)
        rows = partial(work.prepare_rows, self.job, self.folder)
        piece = self.maker.reference.piece
        copy = partial(work.prepare_reference, self.job, self.folder, piece)
        self.machine, _ = await asyncio.gather(
            self._must(rows, "reading the evaluation rows"), self._must(copy, "reading the trained model")
        )
        self.maker.gpu = bool(self.machine["gpus"])
        self.maker.reference_size = sizes.measure(slim.folder_of(piece))

    async def _try(self, name: str, refused: dict[str, str]) -> Variant:
        """One variant: made, scored, sized."""
        if name in refused:
            return _not_tried(name, refused[name])
        return (await self.maker.judged(techniques_of(name))).model_copy(deep=True)

    async def _combine(
        self, structure: str, later: str, tasks: dict[str, asyncio.Task[Variant]], refused: dict[str, str]
    ) -> Variant:
        """A combination, once both are judged by themselves and something speaks for it."""
        name = f"{structure}+{later}"
        if name in refused:
            return _not_tried(name, refused[name])
        reason = no_combination(await tasks[structure], await tasks[later], self.config)
        return _not_tried(name, reason) if reason else await self._try(name, refused)

    async def _must(self, piece: Any, doing: str) -> Any:
        """Work without which there is nothing to optimize."""
        ended = await isolation.run(piece, max(4 * self.config.budget_seconds, 300.0))
        if not ended.ok:
            raise OptimizationError(f"The optimizer failed at {doing}: {ended.error}", "Its log has the details.")
        return ended.value

    def _piece(self, variant: Variant) -> Piece:
        return self.maker.piece(techniques_of(variant.name))

    # Measuring

    def _measure_latency(self) -> None:
        measured = [v for v in self.variants if v.status == "measured"]
        pieces = {v.name: self._piece(v) for v in measured}
        seconds = max(self.config.budget_seconds - (time.monotonic() - self.started), 2.0)
        measure = partial(work.latency, pieces, self.job.task, self.config, self.folder, seconds)
        told = asyncio.run(self._must(measure, "measuring latency"))
        for variant in measured:
            variant.latencies = [_latency(record) for record in told["records"] if record["name"] == variant.name]
            if variant.start:
                for key, value in told["starts"][variant.name].items():
                    setattr(variant.start, key, round(value, 3))

    # Concluding

    def _conclude(self) -> Report:
        for variant in self.variants:
            if variant.status in ("measured", "exported"):
                variant.rejected = rejections(variant, self.config)
        decision = decide(self.variants, self.config)
        if not self.job.blessed:
            decision.reasons.insert(0, "The evaluator did not bless the trained model: nothing was tried.")
        decision.findings = findings.where_time_goes(self.variants, decision.batch_size)
        decision.reasons += decision.findings
        pieces = {v.name: self._piece(v) for v in self.variants if v.status in ("measured", "exported")}
        handover.hand_on(pieces[decision.chosen], self.job.model, self.job.chosen_uri)
        result = Report(
            task=self.job.task,
            label=self.job.label,
            metric=self.job.metric,
            decision=decision,
            variants=self.variants,
            exports=handover.export(pieces, self.config.exports, self.job.exports_uri),
            environment=handover.environment(self.machine, self.config.measuring),
            job=self.job,
            seconds=round(time.monotonic() - self.started, 3),
        )
        report.write(result, self.job.report_uri)
        plot.write(result, self.job.report_uri)
        progress.report(NODE, f"chose {decision.chosen}", 1.0)
        return result


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _not_tried(name: str, reason: str) -> Variant:
    return Variant(name=name, techniques=list(techniques_of(name)), status="not_tried", reason=reason)


def _latency(record: dict[str, Any]) -> Latency:
    speedup = judging.estimate(Interval(*(record[f"speedup{end}"] for end in ("", "_low", "_high"))))
    fields = ("path", "batch_size", "samples", "p50_ms", "p95_ms", "p99_ms", "rows_per_second")
    return Latency(**{key: record[key] for key in fields}, speedup=speedup)


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
