"""Which variants need more timing: a sequential test after some rounds, with a stated error rate.

Rounds are compared in pairs: one variant is faster than another in a round or it is not. Where both were the same,
each would win half of the rounds, so the number of rounds won is binomial with share 1/2 whatever the distribution of
the times (the sign test). A variant leaves the race once another has won too many rounds for chance. The chance that
any order is taken for settled that is none, or the other way round, is at most `ERROR_RATE` over all looks: it is
divided by the looks and by the pairs that are compared (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from taxiway.components.optimizer.techniques import REFERENCE

MIN_ROUNDS = 10
LOOKS = (10, 14, 20, 28)
"""Rounds after which the race is looked at."""
ERROR_RATE = 0.05
Rounds = Mapping[str, Sequence[float]]
"""Median seconds of each round, by variant; one that has left the race has fewer, all have the same first rounds."""


def is_surely_faster(one: Sequence[float], other: Sequence[float], error_rate: float, factor: float = 1.0) -> bool:
    """Whether one is faster than `other / factor` by the one-sided sign test on their common rounds."""
    pairs = list(zip(one, other, strict=False))
    wins = sum(a * factor < b for a, b in pairs)
    return compute_tail(wins, len(pairs)) <= error_rate


def compute_tail(wins: int, rounds: int) -> float:
    """Probability that a fair coin wins at least so often."""
    return sum(math.comb(rounds, k) for k in range(wins, rounds + 1)) / 2**rounds


@dataclass(frozen=True)
class Race:
    """What is compared, at one batch size of one path.

    Attributes:
        contenders: Variants that can still be chosen, by quality, size and runtime. Empty where this measurement
            decides nothing: then each variant is compared with the reference alone.
        min_gain: Share by which the chosen variant must beat the reference.
    """

    contenders: frozenset[str] = frozenset()
    min_gain: float = 0.0

    def list_open(self, rounds: Rounds) -> set[str]:
        """The variants whose place is not settled, and the reference beside them; empty where everything is settled."""
        names = set(rounds) - {REFERENCE}
        unsettled = self._list_undecided(rounds, names & self.contenders) if self.contenders else None
        if unsettled is None:
            unsettled = _list_unseparated(rounds, names)
        return {REFERENCE, *unsettled} if unsettled else set()

    def _list_undecided(self, rounds: Rounds, racing: Collection[str]) -> set[str]:
        """The contenders that may be the best. A single one counts only until it surely beats the reference."""
        level = ERROR_RATE / (len(LOOKS) * max(len(racing) * (len(racing) + 1), 1))
        gain, reference = 1 + self.min_gain, rounds[REFERENCE]
        alive = {
            name
            for name in racing
            if not _is_surely_slower(reference, rounds[name], level, gain)
            and not any(is_surely_faster(rounds[other], rounds[name], level) for other in racing if other != name)
        }
        if len(alive) == 1 and is_surely_faster(rounds[next(iter(alive))], reference, level, gain):
            return set()
        return alive


def _is_surely_slower(reference: Sequence[float], variant: Sequence[float], level: float, gain: float) -> bool:
    """Whether the variant surely misses the gain: `reference / gain` is faster than it."""
    return is_surely_faster(reference, variant, level, 1 / gain)


def _list_unseparated(rounds: Rounds, names: Collection[str]) -> set[str]:
    level, reference = ERROR_RATE / (len(LOOKS) * max(2 * len(names), 1)), rounds[REFERENCE]
    return {
        name
        for name in names
        if not is_surely_faster(rounds[name], reference, level) and not is_surely_faster(reference, rounds[name], level)
    }
