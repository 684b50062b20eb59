"""Makes chains of techniques, each prefix once, several at a time, and judges what was made.

Everything that starts TensorFlow happens in forks (`isolation`). What is measured against the clock is not done here,
because here the cores are shared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from components import progress
from components.errors import OptimizationError
from components.optimizer import isolation, sizes, work
from components.optimizer.config import REFERENCE, STAGES, Stage, hardware_of, runtime_of
from components.optimizer.decision import quality_rejections
from components.optimizer.job import OptimizerJob
from components.optimizer.report import Check, OutputError, Quality, Size, Start, Variant
from components.optimizer.slots import Slots
from components.optimizer.variants import technique
from components.optimizer.variants.base import Piece, Workshop

NODE = "ModelOptimizer"
Chain = tuple[str, ...]
_SCORING = 0
_RANKS: dict[Stage, int] = {"graph": 1, "precision": 1, "runtime": 1, "structure": 2}
"""What is urgent when slots are few: first what costs least, so that a short budget still buys something."""


@dataclass
class Made:
    """A chain of techniques: where what it made is and what was verified, or why there is nothing."""

    piece: Piece
    applied: Chain = ()
    checks: list[Check] = field(default_factory=list)
    seconds: float = 0.0
    failure: str = ""
    dropped: str = ""

    @property
    def nothing(self) -> str:
        """Why there is nothing; empty where it was made."""
        return self.failure or self.dropped


class Maker:
    """Pieces and judgements by chain; each is made when it is first asked for.

    Args:
        job: What is asked.
        folder: Working folder.
        workers: Pieces of work at a time.
        remaining: Seconds of the budget that are left.
    """

    def __init__(self, job: OptimizerJob, folder: str, workers: int, remaining: Callable[[], float]) -> None:
        self.job, self.config, self.folder, self.remaining = job, job.config, folder, remaining
        self.workshop = Workshop.of(job, folder)
        self.slots = Slots(workers)
        self.gpu = False
        reference = Piece(str(Path(folder, REFERENCE)))
        Path(reference.uri).mkdir()
        self.reference = Made(reference)
        self.reference_size: Size | None = None
        self._made: dict[Chain, asyncio.Task[Made]] = {}
        self._applied: dict[Chain, asyncio.Task[Made]] = {}
        self._judged: dict[Chain, asyncio.Task[Variant]] = {}

    async def made(self, chain: Chain) -> Made:
        """What a chain makes of the trained model."""
        if not chain:
            return self.reference
        if chain not in self._made:
            self._made[chain] = asyncio.create_task(self._chain(chain))
        return await self._made[chain]

    async def judged(self, chain: Chain) -> Variant:
        """A chain's entry in the report, without what is measured against the clock."""
        if chain not in self._judged:
            self._judged[chain] = asyncio.create_task(self._judge(chain))
        return await self._judged[chain]

    def piece(self, chain: Chain) -> Piece:
        """The piece of a chain that was made."""
        return self._made[chain].result().piece if chain else self.reference.piece

    # Making

    async def _chain(self, chain: Chain) -> Made:
        before = await self.made(chain[:-1])
        dropped = before.dropped or await self._lost_quality(chain[:-1], before)
        if before.failure or dropped:
            return Made(before.piece, before.applied, before.checks, failure=before.failure, dropped=dropped)
        return await self._once(chain[-1], await self._prepared(chain[-1], before))

    async def _prepared(self, name: str, before: Made) -> Made:
        """The piece with what a technique wants applied before itself, as far as that can be done."""
        for earlier in technique(name).after:
            if earlier not in before.applied:
                tried = await self._once(earlier, before)
                before = before if tried.nothing else tried
        return before

    async def _once(self, name: str, before: Made) -> Made:
        """`_apply`, once for each chain of techniques that were applied."""
        key = (*before.applied, name)
        if key not in self._applied:
            self._applied[key] = asyncio.create_task(self._apply(name, before))
        return await self._applied[key]

    async def _lost_quality(self, chain: Chain, made: Made) -> str:
        """Why nothing more is made of a changed structure: its quality is gone already. Empty where it is kept."""
        if not chain or made.nothing or STAGES[chain[-1]] != "structure":
            return ""
        lost = quality_rejections(await self.judged(chain), self.config)
        return f"its branch was dropped: {'+'.join(chain)}: {'; '.join(lost)}" if lost else ""

    async def _apply(self, name: str, before: Made) -> Made:
        """One technique: pre-check, transform, post-check."""
        applied = (*before.applied, name)
        piece = Piece(str(Path(self.folder, "+".join(applied))))
        made = Made(piece, applied, list(before.checks), before.seconds)
        async with self.slots.taken(_RANKS[STAGES[name]]):
            if self.remaining() <= 0:
                made.dropped = self._spent
                return made
            progress.report(NODE, f"making {'+'.join(applied)}")
            make = partial(work.make, self.workshop, name, before.piece, piece)
            ended = await isolation.run(make, max(self.remaining(), 1.0))
        made.seconds += ended.seconds
        if ended.timed_out:
            made.dropped = f"{self._spent} while {name} was at work"
            return made
        if not ended.ok:
            made.failure = f"{name}: {ended.error}"
            return made
        made.failure = f"{name}: {ended.value['refused']}" if ended.value["refused"] else ""
        checks = [Check.model_validate(check) for check in ended.value["checks"]]
        made.checks += checks
        wrong = [f"{check.name}: {check.detail}" for check in checks if not check.passed]
        if wrong:
            made.failure = f"{name}: what was made is not what was asked for: {'; '.join(wrong)}"
        return made

    # Judging

    async def _judge(self, chain: Chain) -> Variant:
        """Sized, and the evaluation rows scored."""
        name = "+".join(chain) or REFERENCE
        made = await self.made(chain)
        entry = Variant(name=name, techniques=list(made.applied or chain), status="failed", checks=made.checks)
        if made.nothing:
            return entry.model_copy(
                update={"status": "failed" if made.failure else "not_tried", "reason": made.nothing}
            )
        entry.runtime, entry.hardware, entry.seconds = runtime_of(name), hardware_of(name), round(made.seconds, 3)
        if chain:
            await self.judged(())  # sizes and scores are compared with the reference's
        entry.size = sizes.measure(made.piece.foreign or made.piece.servable, self.reference_size)
        if entry.hardware == "gpu" and not self.gpu:
            return entry.model_copy(update={"status": "exported", "reason": "it cannot be run on this machine: no GPU"})
        return await self._scored(entry, made.piece)

    @property
    def _spent(self) -> str:
        return f"the budget of {self.config.budget_seconds:g} s was spent"

    def _scoring_seconds(self, name: str) -> float:
        """Most seconds for scoring: what was made in time is not lost for a few; the reference is always scored."""
        return max(4 * self.config.budget_seconds, 300.0) if name == REFERENCE else max(self.remaining(), 10.0)

    async def _scored(self, entry: Variant, piece: Piece) -> Variant:
        score = partial(work.score, piece, self.job, self.folder, entry.name)
        async with self.slots.taken(_SCORING):
            ended = await isolation.run(score, self._scoring_seconds(entry.name))
        if ended.timed_out and entry.name != REFERENCE:
            return entry.model_copy(update={"status": "not_tried", "reason": f"{self._spent} while it was scored"})
        if not ended.ok and entry.name == REFERENCE:
            raise OptimizationError(f"The trained model does not answer: {ended.error}", "Its log has the details.")
        if not ended.ok:
            return entry.model_copy(update={"reason": f"it was made, but does not answer: {ended.error}"})
        told = ended.value
        entry.start = Start(memory_mb=round(told["memory_mb"], 3))
        entry.quality = Quality.model_validate(told["quality"])
        entry.output_error = OutputError.model_validate(told["output_error"])
        entry.status = "measured"
        return entry
