"""How a candidate's answers are judged. Arrays in, findings out; no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from components.contract import CLASSES, Task, score_output

FORMAT_VERSION = 1
REPORT_FILE = "report.json"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: What was looked at.
        passed: Whether it is as it should be.
        detail: A sentence with the numbers.
        value: The number found, where there is one.
        limit: The largest number allowed, where there is one.
    """

    check: str
    passed: bool
    detail: str
    value: float | None = None
    limit: float | None = None


@dataclass
class ServingReport:
    """What the validator asked and was answered; `report.json`."""

    digest: str
    findings: list[Finding] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def blessed(self) -> bool:
        return bool(self.findings) and all(finding.passed for finding in self.findings)

    @property
    def reason(self) -> str:
        """The failed checks in one paragraph; empty when the candidate is blessed."""
        return "; ".join(finding.detail for finding in self.findings if not finding.passed)

    def to_json(self) -> dict[str, Any]:
        return {
            "version": FORMAT_VERSION,
            "blessed": self.blessed,
            "reason": self.reason,
            "digest": self.digest,
            "findings": [asdict(finding) for finding in self.findings],
            "figures": self.figures,
        }


def compare(
    check: str,
    answers: Mapping[str, np.ndarray],
    expected: Mapping[str, np.ndarray],
    task: Task,
    allowed_error: float,
) -> list[Finding]:
    """Compares the answers to one set of rows with the trained model's.

    Args:
        check: Which signature, over what: begins each finding.
        answers: The candidate's outputs, each `[rows, ...]`.
        expected: The trained model's outputs to the same rows.
        task: Says which output holds the scores.
        allowed_error: Largest absolute difference of a score; for a regression in units of the standard deviation of
            the expected scores.
    """
    if set(answers) != set(expected):
        return [Finding(check, False, f"{check}: outputs {sorted(answers)}, the trained model has {sorted(expected)}")]
    name = score_output(task)
    if name not in answers:
        return [Finding(check, False, f"{check}: no output {name!r} among {sorted(answers)}")]
    scores = compare_scores(check, answers[name], expected[name], allowed_error * scale(expected[name], task))
    classes = _compare_classes(check, answers, expected, expected[name], scores.limit or 0.0)
    return [scores, *classes]


def scale(scores: np.ndarray, task: Task) -> float:
    """The unit of the allowed error: 1 for probabilities, the scores' standard deviation for a regression."""
    if task != "regression":
        return 1.0
    return float(np.std(scores.astype(np.float64))) or 1.0


def compare_scores(check: str, answer: np.ndarray, expected: np.ndarray, limit: float) -> Finding:
    """Compares scores of any one shape."""
    if answer.shape != expected.shape:
        return Finding(check, False, f"{check}: scores {list(answer.shape)} where {list(expected.shape)} are expected")
    bad = int(np.size(answer) - np.isfinite(answer.astype(np.float64)).sum())
    if bad:
        return Finding(check, False, f"{check}: {bad} of {answer.size} scores are NaN or infinite")
    error = float(np.max(np.abs(answer.astype(np.float64) - expected.astype(np.float64)), initial=0.0))
    rows = answer.shape[0] if answer.ndim else 1
    detail = f"{check}: largest difference from the trained model {error:.3g} over {rows} rows, allowed {limit:.3g}"
    return Finding(check, error <= limit, detail, error, limit)


def _compare_classes(
    check: str,
    answers: Mapping[str, np.ndarray],
    expected: Mapping[str, np.ndarray],
    scores: np.ndarray,
    limit: float,
) -> list[Finding]:
    """Class labels must agree wherever the allowed error cannot change the decision."""
    if CLASSES not in expected:
        return []
    if answers[CLASSES].shape != expected[CLASSES].shape:
        return [Finding(f"{check} classes", False, f"{check}: class labels of shape {list(answers[CLASSES].shape)}")]
    clear = margins(scores) > 2 * limit
    wrong = int(np.sum((answers[CLASSES] != expected[CLASSES]).reshape(len(clear), -1).any(axis=1) & clear))
    detail = (
        f"{check}: {wrong} of {int(clear.sum())} clearly decided rows get another label than the trained model gives"
    )
    return [Finding(f"{check} classes", wrong == 0, detail, float(wrong), 0.0)]


def margins(scores: np.ndarray) -> np.ndarray:
    """How far each row's decision is from another one: `[rows]` from probabilities `[rows, 1]` or `[rows, classes]`."""
    if scores.shape[1] == 1:
        return np.abs(2 * scores[:, 0] - 1)
    top = np.sort(scores, axis=1)[:, -2:]
    return top[:, 1] - top[:, 0]


def within(check: str, value: float, limit: float | None, unit: str) -> Finding | None:
    """A finding where the configuration sets a limit, else None."""
    if limit is None:
        return None
    detail = f"{check}: {value:.4g} {unit}, allowed {limit:.4g} {unit}"
    return Finding(check, value <= limit, detail, value, limit)
