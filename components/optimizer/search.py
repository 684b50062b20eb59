"""The search: makes the variants stage by stage within the budget, measures them, chooses, writes.

Runs in a process of its own that imports TensorFlow and never starts it; everything that does runs in forks. Variants
are made several at a time; latency is measured afterwards, with nothing beside it.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from functools import partial
from typing import Any

from taxiway.components.contract import serving_model_dir
from taxiway.components.errors import OptimizationError, UsageError, rebuild_error
from taxiway.components.metrics import quality_change
from taxiway.components.metrics.intervals import Interval
from taxiway.components.optimizer import outputs, plot, report
from taxiway.components.optimizer.building import fork, tasks
from taxiway.components.optimizer.building.builder import NODE, CandidateBuilder
from taxiway.components.optimizer.candidate import CandidateModel
from taxiway.components.optimizer.combinations import (
    find_combination_refusal,
    find_deepened_refusal,
    find_deeper_structure,
    find_surpassed_refusal,
    list_combinations,
    refuse_excess_variants,
    refuse_unavailable_variants,
)
from taxiway.components.optimizer.decision import choose_variant, list_rejections
from taxiway.components.optimizer.graphs import unused_variables
from taxiway.components.optimizer.job import OptimizerJob
from taxiway.components.optimizer.measurement import size, time_breakdown
from taxiway.components.optimizer.measurement.quality import build_estimate
from taxiway.components.optimizer.report import Latency, OptimizerReport, Variant
from taxiway.components.optimizer.techniques import REFERENCE, TECHNIQUES, split_techniques
from taxiway.components.processes import progress
from taxiway.components.processes.subprocesses import run_child_main
from taxiway.components.processes.usable_cores import count_usable_cores
from taxiway.components.refusal import Refusal
from taxiway.components.saved_models.prediction_output import find_prediction_output

_MOST_WORKERS = 4
_LOADING_SECONDS = 2.0
"""Share of the budget that is reserved for each variant that may be measured, to load it and to warm it up."""


class VariantSearch:
    """One search. `run_search` runs all of it."""

    def __init__(self, job: OptimizerJob, folder: str) -> None:
        self.job, self.config, self.folder = job, job.config, folder
        self.started = time.monotonic()
        workers = self.config.workers or min(count_usable_cores(), _MOST_WORKERS)
        self.builder = CandidateBuilder(job, folder, workers, self.get_remaining_seconds)
        self.planned = 0
        self.variants: list[Variant] = []
        self.machine: dict[str, Any] = {}

    def run_search(self) -> OptimizerReport:
        """Tries every variant, measures, decides and writes model and report."""
        if not self.job.given or self.job.label:
            quality_change.check_metric(self.job.metric)
        listed = self._list_variants()
        techniques = {name for variant in listed for name in split_techniques(variant)}
        tasks.preload_modules(sorted(techniques))
        self.variants = asyncio.run(self._make_variants(listed))
        progress.report_progress(NODE, "measuring latency", 0.7)
        self._measure_latency()
        return self._write_results()

    def _list_variants(self) -> list[str]:
        if not self.config.enabled or not self.job.blessed:
            return []
        return [name for name in dict.fromkeys((*self.config.variants, *self.config.exports)) if name != REFERENCE]

    def get_remaining_seconds(self) -> float:
        """Seconds of the budget that are left for making variants; a share is kept for measuring them."""
        measuring = 4 * self.config.measuring.seconds + _LOADING_SECONDS * self.planned
        reserve = min(0.25 * self.config.budget_seconds, measuring)
        return self.config.budget_seconds - reserve - (time.monotonic() - self.started)

    # Making

    async def _make_variants(self, listed: list[str]) -> list[Variant]:
        """The reference, what is listed, and the combinations, as far as they are made; in that order."""
        if not self.job.given:  # of a given model all outputs are compared
            self._find_output()
        await self._prepare_inputs()
        pairs = list_combinations(self.config) if listed else []
        names = [*listed, *(f"{s}+{t}" for s, t in pairs)]
        refused = {**refuse_excess_variants(names, self.config), **refuse_unavailable_variants(names)}
        self.planned = min(len(names), self.config.max_variants)
        reference = asyncio.create_task(self.builder.evaluate_chain(()))
        tried: dict[str, asyncio.Task[Variant]] = {}
        for name in listed:
            tried[name] = asyncio.create_task(self._try_listed(name, tried, refused))
        for structure, later in pairs:
            combined = self._try_combination(structure, later, tried, refused)
            tried[f"{structure}+{later}"] = asyncio.create_task(combined)
        return [await reference, *(await asyncio.gather(*(tried[name] for name in names)))]

    def _find_output(self) -> None:
        """Finds the output that holds the scores, before anything is made."""
        found = find_prediction_output(serving_model_dir(self.job.model), self.job.task, self.job.prediction_output)
        if found != self.job.output:
            progress.report_progress(NODE, f"the scores are the output {found!r} of the trained model", 0.0)
        self.job = self.builder.job = self.job.model_copy(update={"prediction_output": found})

    async def _prepare_inputs(self) -> None:
        progress.report_progress(NODE, "reading the evaluation rows", 0.0)
        rows = partial(tasks.prepare_rows, self.job, self.folder)
        candidate = self.builder.reference.candidate
        copy = partial(tasks.prepare_reference, self.job, self.folder, candidate)
        self.machine, _ = await asyncio.gather(
            self._run_required(rows, "reading the evaluation rows"),
            self._run_required(copy, "reading the trained model"),
        )
        self.builder.gpu = bool(self.machine["gpus"])
        self.builder.reference_size = size.measure_size(unused_variables.find_stripped_servable(candidate))

    async def _try_listed(
        self, name: str, tried: dict[str, asyncio.Task[Variant]], refused: dict[str, Refusal]
    ) -> Variant:
        """Makes one variant; of a structure that takes another further, once that one has kept its quality."""
        before = tried.get(TECHNIQUES[name].deepens) if "+" not in name else None
        refusal = find_deepened_refusal(await before if before else None, self.config)
        return _build_untried_variant(name, refusal) if refusal else await self._try_variant(name, refused)

    async def _try_variant(self, name: str, refused: dict[str, Refusal]) -> Variant:
        """Makes one variant, scores the evaluation rows with it and measures its size."""
        if name in refused:
            return _build_untried_variant(name, refused[name])
        return (await self.builder.evaluate_chain(split_techniques(name))).model_copy(deep=True)

    async def _try_combination(
        self, structure: str, later: str, tried: dict[str, asyncio.Task[Variant]], refused: dict[str, Refusal]
    ) -> Variant:
        """Waits for the entries that may exclude the combination, and makes it unless one of them does."""
        name = f"{structure}+{later}"
        if name in refused:
            return _build_untried_variant(name, refused[name])
        deeper = find_deeper_structure(structure, tried)
        refusal = find_combination_refusal(
            await tried[structure], await tried[later], self.config
        ) or find_surpassed_refusal(await tried[deeper] if deeper else None, self.config)
        return _build_untried_variant(name, refusal) if refusal else await self._try_variant(name, refused)

    async def _run_required(self, candidate: Any, doing: str) -> Any:
        """Runs a required step in a forked process: its failure ends the search."""
        ended = await fork.run_fork(candidate, self.config.required_seconds, self.job.memory_bytes)
        if not ended.ok:
            said = rebuild_error(ended.details)
            if isinstance(said, UsageError):
                raise said
            remedy = fork.suggest_remedy(ended, self.config.time_remedy)
            raise OptimizationError(f"The optimizer failed at {doing}: {ended.error}", remedy)
        return ended.value

    def _get_candidate(self, variant: Variant) -> CandidateModel:
        return self.builder.get_candidate(split_techniques(variant.name))

    # Measuring

    def _measure_latency(self) -> None:
        measured = [v for v in self.variants if v.status == "measured"]
        candidates = {v.name: self._get_candidate(v) for v in measured}
        seconds = max(self.config.budget_seconds - (time.monotonic() - self.started), 2.0)
        contenders = frozenset(v.name for v in measured if v.name != REFERENCE and not list_rejections(v, self.config))
        measure = partial(tasks.measure_latency, candidates, self.job, self.folder, seconds, contenders)
        result = asyncio.run(self._run_required(measure, "measuring latency"))
        for variant in measured:
            variant.latencies = [_build_latency(each) for each in result["records"] if each["name"] == variant.name]
            if not variant.latencies:
                variant.status = "not_tried"
                variant.reason = self._explain_unmeasured(variant.name, result)
            elif variant.start:
                for key, value in result["starts"][variant.name].items():
                    setattr(variant.start, key, round(value, 3))

    def _explain_unmeasured(self, name: str, result: dict[str, Any]) -> str:
        if name in result.get("without_room", ()):
            limit = f"{(self.job.memory_bytes or 0) / 1e9:.1f} GB"
            return f"the limit of {limit} left no room for it beside the models that were timed (--memory)"
        return f"{self.builder.budget_spent_text} before its latency was measured"

    # Concluding

    def _write_results(self) -> OptimizerReport:
        for variant in self.variants:
            if variant.status in ("measured", "exported"):
                variant.rejected = list_rejections(variant, self.config)
        decision = choose_variant(self.variants, self.config)
        if not self.job.blessed:
            decision.reasons.insert(0, "The evaluator did not bless the trained model: nothing was tried.")
        decision.findings = time_breakdown.describe_time_breakdown(self.variants, decision.batch_size)
        decision.reasons += decision.findings
        candidates = {v.name: self._get_candidate(v) for v in self.variants if v.status in ("measured", "exported")}
        outputs.write_chosen_model(candidates[decision.chosen], self.job.model, self.job.chosen_uri)
        result = OptimizerReport(
            task=self.job.task,
            label=self.job.label,
            metric=self.job.metric,
            decision=decision,
            variants=self.variants,
            exports=outputs.write_exports(candidates, self.config.exports, self.job.exports_uri),
            environment=outputs.describe_environment(self.machine, self.config.measuring, self.job.given is not None),
            rows=self.machine.get("told", ""),
            job=self.job,
            seconds=round(time.monotonic() - self.started, 3),
        )
        report.write_optimizer_report(result, self.job.report_uri)
        plot.write_plot(result, self.job.report_uri)
        progress.report_progress(NODE, f"chose {decision.chosen}", 1.0)
        return result


def _build_untried_variant(name: str, refusal: Refusal) -> Variant:
    techniques = list(split_techniques(name))
    return Variant(name=name, techniques=techniques, status="not_tried", reason=refusal.reason)


def _build_latency(record: dict[str, Any]) -> Latency:
    speedup = build_estimate(Interval(*(record[f"speedup{end}"] for end in ("", "_low", "_high"))))
    fields = ("path", "batch_size", "samples", "p50_ms", "p95_ms", "p99_ms", "rows_per_second", "round_ms")
    return Latency(**{key: record[key] for key in fields}, speedup=speedup)


def optimize_model(job: OptimizerJob) -> OptimizerReport:
    """Runs the whole optimizer in this process, which must not have started TensorFlow.

    Raises:
        OptimizationError: the trained model itself cannot be served or measured.
    """
    with tempfile.TemporaryDirectory(prefix="taxiway-optimizer-") as folder:
        return VariantSearch(job, folder).run_search()


def _run_job(job: dict[str, Any]) -> dict[str, Any]:
    result = optimize_model(OptimizerJob.model_validate(job))
    return {"chosen": result.decision.chosen, "seconds": result.seconds}


if __name__ == "__main__":
    run_child_main(_run_job)
