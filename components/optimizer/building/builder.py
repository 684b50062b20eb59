"""Applies chains of techniques, each prefix once and several at a time, and measures size and quality of the results.

Everything that starts TensorFlow runs in forks (`fork`). Latency is not measured here, because here the cores are
shared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from taxiway.components.errors import OptimizationError, UsageError, rebuild_error
from taxiway.components.optimizer.building import fork, tasks
from taxiway.components.optimizer.building.priority_semaphore import PrioritySemaphore
from taxiway.components.optimizer.candidate import CandidateModel, TechniqueContext
from taxiway.components.optimizer.decision import list_quality_rejections
from taxiway.components.optimizer.job import OptimizerJob
from taxiway.components.optimizer.measurement import size
from taxiway.components.optimizer.report import (
    Check,
    OutputAgreement,
    OutputError,
    Quality,
    ServableSize,
    StartCost,
    Status,
    Variant,
)
from taxiway.components.optimizer.techniques import REFERENCE, TECHNIQUES, Stage, find_hardware, find_runtime
from taxiway.components.optimizer.variants import load_technique
from taxiway.components.processes import progress
from taxiway.components.refusal import Refusal

NODE = "ModelOptimizer"
Chain = tuple[str, ...]
_SCORING = 0
_RANKS: dict[Stage, int] = {"graph": 1, "precision": 1, "runtime": 1, "structure": 2}
"""Ranks in the queue for slots: what costs least comes first, so that a short budget still yields variants."""


@dataclass
class BuildResult:
    """What a chain of techniques made and what was verified of it, or why it made nothing."""

    candidate: CandidateModel
    applied: Chain = ()
    checks: list[Check] = field(default_factory=list)
    seconds: float = 0.0
    failure: Refusal | None = None
    refused: Refusal | None = None
    dropped: Refusal | None = None

    @property
    def refusal(self) -> Refusal | None:
        """Why there is nothing; None where it was made."""
        return self.failure or self.refused or self.dropped

    @property
    def status(self) -> Status:
        """What the report calls that; what was made is not measured yet."""
        return "failed" if self.failure or not self.refusal else "refused" if self.refused else "not_tried"


class CandidateBuilder:
    """Candidates and their report entries by chain of techniques; each is made when it is first asked for.

    Args:
        job: Job of the optimizer.
        folder: Working folder.
        workers: Most forks at a time.
        remaining: Function that gives the seconds of the budget that are left.
    """

    def __init__(self, job: OptimizerJob, folder: str, workers: int, remaining: Callable[[], float]) -> None:
        self.job, self.config, self.folder, self.remaining = job, job.config, folder, remaining
        self.context = TechniqueContext.from_job(job, folder)
        self.slots = PrioritySemaphore(workers)
        self.gpu = False
        self.memory_bytes = job.memory_bytes
        reference = CandidateModel(str(Path(folder, REFERENCE)))
        Path(reference.uri).mkdir()
        self.reference = BuildResult(reference)
        self.reference_size: ServableSize | None = None
        self._made: dict[Chain, asyncio.Task[BuildResult]] = {}
        self._applied: dict[Chain, asyncio.Task[BuildResult]] = {}
        self._judged: dict[Chain, asyncio.Task[Variant]] = {}

    async def build_chain(self, chain: Chain) -> BuildResult:
        """The result of a chain applied to the trained model."""
        if not chain:
            return self.reference
        if chain not in self._made:
            self._made[chain] = asyncio.create_task(self._build_from_prefix(chain))
        return await self._made[chain]

    async def evaluate_chain(self, chain: Chain) -> Variant:
        """A chain's entry in the report, without latencies."""
        if chain not in self._judged:
            self._judged[chain] = asyncio.create_task(self._evaluate_uncached(chain))
        return await self._judged[chain]

    def get_candidate(self, chain: Chain) -> CandidateModel:
        """The candidate of a chain that was made."""
        return self._made[chain].result().candidate if chain else self.reference.candidate

    # Making

    async def _build_from_prefix(self, chain: Chain) -> BuildResult:
        before = await self.build_chain(chain[:-1])
        dropped = before.dropped or await self._find_branch_refusal(chain[:-1], before)
        if before.refusal or dropped:
            return replace(before, seconds=0.0, dropped=dropped)
        return await self._apply_once(chain[-1], await self._apply_prerequisites(chain[-1], before))

    async def _apply_prerequisites(self, name: str, before: BuildResult) -> BuildResult:
        """The candidate after the techniques that this one asks for first, as far as they can be applied."""
        for earlier in load_technique(name).after:
            if earlier not in before.applied:
                tried = await self._apply_once(earlier, before)
                before = before if tried.refusal else tried
        return before

    async def _apply_once(self, name: str, before: BuildResult) -> BuildResult:
        """`_apply_technique`, once for each chain of applied techniques."""
        key = (*before.applied, name)
        if key not in self._applied:
            self._applied[key] = asyncio.create_task(self._apply_technique(name, before))
        return await self._applied[key]

    async def _find_branch_refusal(self, chain: Chain, build_result: BuildResult) -> Refusal | None:
        """Why nothing more is made of a changed structure: it has lost too much quality."""
        if not chain or build_result.refusal or TECHNIQUES[chain[-1]].stage != "structure":
            return None
        lost = list_quality_rejections(await self.evaluate_chain(chain), self.config)
        return Refusal(f"its branch was dropped: {'+'.join(chain)}: {'; '.join(lost)}") if lost else None

    async def _apply_technique(self, name: str, before: BuildResult) -> BuildResult:
        """Runs one technique in a fork: pre-check, transform, post-check."""
        applied = (*before.applied, name)
        candidate = CandidateModel(str(Path(self.folder, "+".join(applied))))
        build_result = BuildResult(candidate, applied, list(before.checks), before.seconds)
        async with self.slots.hold_slot(_RANKS[TECHNIQUES[name].stage]):
            if self.remaining() <= 0:
                build_result.dropped = Refusal(self.budget_spent_text)
                return build_result
            progress.report_progress(NODE, f"making {'+'.join(applied)}")
            make = partial(tasks.apply_technique, self.context, name, before.candidate, candidate)
            ended = await fork.run_fork(make, max(self.remaining(), 1.0), self.memory_bytes)
        build_result.seconds += ended.seconds
        if ended.timed_out:
            build_result.dropped = Refusal(f"{self.budget_spent_text} while {name} was at work")
            return build_result
        if not ended.ok:
            build_result.failure = Refusal(f"{name}: {ended.error}")
            return build_result
        if ended.value["refused"]:
            build_result.refused = Refusal(f"{name}: {ended.value['refused']}")
        checks = [Check.model_validate(check) for check in ended.value["checks"]]
        build_result.checks += checks
        wrong = [f"{check.name}: {check.detail}" for check in checks if not check.passed]
        if wrong:
            build_result.failure = Refusal(f"{name}: what was made is not what was asked for: {'; '.join(wrong)}")
        return build_result

    # Judging

    async def _evaluate_uncached(self, chain: Chain) -> Variant:
        """Measures the size, and scores the evaluation rows."""
        name = "+".join(chain) or REFERENCE
        build_result = await self.build_chain(chain)
        entry = Variant(name=name, techniques=list(build_result.applied or chain), status=build_result.status)
        entry.checks = build_result.checks
        if build_result.refusal:
            return entry.model_copy(update={"reason": build_result.refusal.reason})
        entry.runtime, entry.hardware, entry.seconds = (
            find_runtime(name),
            find_hardware(name),
            round(build_result.seconds, 3),
        )
        if chain:
            await self.evaluate_chain(())  # sizes and scores are compared with the reference's
        entry.size = size.measure_size(
            build_result.candidate.runtime_file or build_result.candidate.servable, self.reference_size
        )
        if entry.hardware == "gpu" and not self.gpu:
            return entry.model_copy(update={"status": "exported", "reason": "it cannot be run on this machine: no GPU"})
        return await self._score_candidate(entry, build_result.candidate)

    @property
    def budget_spent_text(self) -> str:
        """Reason of what was not tried."""
        return f"the budget of {self.config.budget_seconds:g} s was spent"

    def _compute_scoring_seconds(self, name: str) -> float:
        """Time-out of scoring: what was made within the budget still gets 10 s, and the reference is always scored."""
        return self.config.required_seconds if name == REFERENCE else max(self.remaining(), 10.0)

    async def _score_candidate(self, entry: Variant, candidate: CandidateModel) -> Variant:
        score = partial(tasks.score_candidate, candidate, self.job, self.folder, entry.name)
        async with self.slots.hold_slot(_SCORING):
            ended = await fork.run_fork(score, self._compute_scoring_seconds(entry.name), self.memory_bytes)
        if ended.timed_out and entry.name != REFERENCE:
            return entry.model_copy(
                update={"status": "not_tried", "reason": f"{self.budget_spent_text} while it was scored"}
            )
        if not ended.ok and entry.name == REFERENCE:
            said = rebuild_error(ended.details)
            if isinstance(said, UsageError):  # the rows or their labels are wrong, not the model
                raise said
            remedy = fork.suggest_remedy(ended, self.config.time_remedy)
            raise OptimizationError(f"The trained model does not answer: {ended.error}", remedy)
        if not ended.ok:
            return entry.model_copy(update={"reason": f"it was made, but does not answer: {ended.error}"})
        scored = ended.value
        entry.start = StartCost(memory_mb=round(scored["memory_mb"], 3))
        entry.quality = Quality.model_validate(scored["quality"])
        entry.output_error = OutputError.model_validate(scored["output_error"])
        entry.agreement = [OutputAgreement.model_validate(each) for each in scored.get("agreement", ())]
        entry.status = "measured"
        return entry
