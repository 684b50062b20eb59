"""What the history of a training run concludes from its evaluations."""

from __future__ import annotations

from taxiway.components.training.config import EarlyStopConfig
from taxiway.components.training.loop.history import History


def test_history_knows_the_best_and_when_to_give_up() -> None:
    history = History("auc", EarlyStopConfig(patience=2, min_delta=0.01))
    for step, auc in ((1, 0.8), (2, 0.9), (3, 0.905), (4, float("nan"))):
        history.add_evaluation({"step": step, "metrics": {"auc": auc}})
    best = history.best
    assert best is not None
    assert best["step"] == 3
    assert history.should_stop, "0.905 is no improvement of 0.01"
