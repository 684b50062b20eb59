"""How a model's logits become the probabilities and the label that it serves: a file beside it. No TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from taxiway.components.config_section import Section
from taxiway.components.contract import DECISION_RULE_FILE
from taxiway.components.errors import ServingError


class DecisionRule(Section):
    """What was fitted on `eval` after training. Probabilities are `softmax((logits - offsets) / temperature)`."""

    version: Literal[1] = 1
    temperature: float = Field(1.0, gt=0)
    """Divides the logits: above 1 the model was too sure of itself."""
    offsets: tuple[float, ...] = ()
    """By class, what class weights added to the logits: their logarithms. Empty: nothing is taken off."""
    goal: str = "fixed"
    """`training.decision.goal` of a binary model; `likeliest` of one with more classes."""
    threshold: float = Field(0.5, ge=0, le=1)
    """Of a binary model: above it is the positive class. Models of more classes give the likeliest one."""
    rows: int = Field(0, ge=0)
    """Rows of `eval` that were looked at."""
    measured: dict[str, float] = Field({})
    """On these rows: `log_loss` and `ece`, each `_before` and `_after`; `precision`, `recall`, `f1`, `cost` at the
    threshold."""
    notes: tuple[str, ...] = ()
    """What was not fitted, and why."""


def read_decision_rule(model_dir: str | Path) -> DecisionRule | None:
    """The rule of a SavedModel; None where it has none: a regression, a model from before there were rules.

    Raises:
        ServingError: the file is not what the exporter writes.
    """
    path = Path(model_dir, DECISION_RULE_FILE)
    try:
        return parse_decision_rule(path.read_text(encoding="utf-8"), str(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, OSError) as error:
        raise _refuse_file(str(path), error) from error


def parse_decision_rule(text: str, path: str) -> DecisionRule:
    """The rule that a file's text holds.

    Raises:
        ServingError: it is not what the exporter writes.
    """
    try:
        return DecisionRule.model_validate_json(text)
    except ValidationError as error:
        raise _refuse_file(path, error) from error


def _refuse_file(path: str, error: Exception) -> ServingError:
    return ServingError(f"{path} cannot be read: {error}.", "Export the model again.")


def read_threshold(model_dir: str | Path) -> float:
    """The probability above which a SavedModel decides for the positive class of two: its rule's, else 0.5.

    Raises:
        ServingError: as `read_decision_rule`.
    """
    return (read_decision_rule(model_dir) or DecisionRule()).threshold


def write_decision_rule(rule: DecisionRule, model_dir: str | Path) -> None:
    """Writes the rule beside a SavedModel."""
    path = Path(model_dir, DECISION_RULE_FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(rule.model_dump_json(indent=1), encoding="utf-8")
