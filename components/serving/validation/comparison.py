"""Compares a candidate's answers with the trained model's: arrays in, findings out. No TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from taxiway.components.contract import PREDICTED_LABEL, Task, score_output

FORMAT_VERSION = 1
REPORT_FILE = "report.json"


@dataclass(frozen=True)
class ServingFinding:
    """The result of one check.

    Attributes:
        check: Name of the check.
        passed: Whether the candidate passed it.
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
class ServingValidationReport:
    """All findings on a candidate, as `report.json` has them."""

    digest: str
    findings: list[ServingFinding] = field(default_factory=list)
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


def compare_answers(
    check: str,
    answers: Mapping[str, np.ndarray],
    expected: Mapping[str, np.ndarray],
    task: Task,
    allowed_error: float,
    threshold: float = 0.5,
    output: str = "",
) -> list[ServingFinding]:
    """Compares the answers to one set of rows with the trained model's.

    Args:
        check: Name of the check: the signature and how it was asked. Begins each finding.
        answers: The candidate's outputs, each `[rows, ...]`.
        expected: The trained model's outputs to the same rows.
        task: Task of the model, which says which output holds the scores.
        allowed_error: Largest absolute difference of a probability; of values and logits, in units of the standard
            deviation of the expected scores.
        threshold: Probability above which a binary model decides for the positive class.
        output: Output that holds the scores; empty: ours by the task.
    """
    if set(answers) != set(expected):
        return [
            ServingFinding(
                check, False, f"{check}: outputs {sorted(answers)}, the trained model has {sorted(expected)}"
            )
        ]
    name = output or score_output(task)
    if name not in answers:
        return [ServingFinding(check, False, f"{check}: no output {name!r} among {sorted(answers)}")]
    scores = compare_scores(
        check, answers[name], expected[name], allowed_error * compute_error_unit(expected[name], task)
    )
    if PREDICTED_LABEL not in expected:
        return [scores]
    margins = compute_margins(expected[name], threshold)
    return [scores, *_compare_labels(check, answers, expected, margins > 2 * (scores.limit or 0.0))]


def compute_error_unit(scores: np.ndarray, task: Task) -> float:
    """The unit of the allowed error: 1 for probabilities, the scores' standard deviation for values and logits."""
    if task != "regression" and scores.min(initial=0.0) >= 0 and scores.max(initial=0.0) <= 1.001:
        return 1.0
    return float(np.std(scores.astype(np.float64))) or 1.0


def compare_scores(check: str, answer: np.ndarray, expected: np.ndarray, limit: float) -> ServingFinding:
    """Compares scores of any one shape."""
    if answer.shape != expected.shape:
        return ServingFinding(
            check, False, f"{check}: scores {list(answer.shape)} where {list(expected.shape)} are expected"
        )
    bad = int(np.size(answer) - np.isfinite(answer.astype(np.float64)).sum())
    if bad:
        return ServingFinding(check, False, f"{check}: {bad} of {answer.size} scores are NaN or infinite")
    error = float(np.max(np.abs(answer.astype(np.float64) - expected.astype(np.float64)), initial=0.0))
    rows = answer.shape[0] if answer.ndim else 1
    detail = f"{check}: largest difference from the trained model {error:.3g} over {rows} rows, allowed {limit:.3g}"
    return ServingFinding(check, error <= limit, detail, error, limit)


def _compare_labels(
    check: str, answers: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], clear: np.ndarray
) -> list[ServingFinding]:
    """Labels must agree wherever the allowed error cannot change the decision: in the rows that are `clear`."""
    answered, wanted = answers[PREDICTED_LABEL], expected[PREDICTED_LABEL]
    if answered.shape != wanted.shape:
        return [ServingFinding(f"{check} labels", False, f"{check}: labels of shape {list(answered.shape)}")]
    wrong = int(np.sum((answered != wanted).reshape(len(clear), -1).any(axis=1) & clear))
    detail = (
        f"{check}: {wrong} of {int(clear.sum())} clearly decided rows get another label than the trained model gives"
    )
    return [ServingFinding(f"{check} labels", wrong == 0, detail, float(wrong), 0.0)]


def compute_margins(scores: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """Distance of each row to another decision: `[rows]` from probabilities `[rows, 1]` or `[rows, classes]`."""
    if scores.shape[1] == 1:
        return np.abs(2 * (scores[:, 0] - threshold))
    top = np.sort(scores, axis=1)[:, -2:]
    return top[:, 1] - top[:, 0]


def check_limit(check: str, value: float, limit: float | None, unit: str) -> ServingFinding | None:
    """A finding where the configuration sets a limit, else None."""
    if limit is None:
        return None
    detail = f"{check}: {value:.4g} {unit}, allowed {limit:.4g} {unit}"
    return ServingFinding(check, value <= limit, detail, value, limit)
