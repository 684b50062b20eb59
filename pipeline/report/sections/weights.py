"""The weights of `model.kind: linear`, in the section of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from taxiway.components.text.printable import escape_text
from taxiway.pipeline.report import charts
from taxiway.pipeline.report.sections.common import Section

MOST_BARS, MOST_CLASS_BARS = 30, 12
"""In the chart of a model of one answer, and in each class's own."""
MOST_CHARTS, MOST_CLASSES, MOST_ROWS = 4, 10, 200
UNITS = {
    "log_odds": "in log-odds of the positive class, as they are served",
    "logits": "in logits, as they are served: between two classes the difference counts",
    "label": "in the label's own unit",
}
_WORDS = {
    "z_score": "times its z-score",
    "missing": "where it is missing",
    "position": "times its position among the quantiles, 0 to 1",
    "rank": "times its rank under a bell curve",
    "robust": "times its distance from the median, in quartile ranges",
    "unseen": "a value that is no word",
    "calendar": "times the {value}",
    "hash": "hash {value}",
    "text": "times its words of hash {value}",
    "id": "id {value}",
}


def describe_weights(told: Mapping[str, Any] | None) -> Section:
    """What the trainer's history tells of a linear model; None of other kinds and of a history from before."""
    if not told:
        return None
    classes = len(told["bias"])
    names = told["classes"] if len(told["classes"]) == classes else [str(index) for index in range(classes)]
    names = [escape_text(str(name)) for name in names] if classes > 1 else ["weight"]
    entries = [{**each, "term": _word_term(each)} for each in told["weights"]]
    rows = [{"column": "bias", "term": "of every row", "weights": told["bias"]}, *entries]
    return {
        "unit": UNITS[told["unit"]],
        "scale": (
            "A weight is for the number or the word that the transform graph makes of a column, not for the column "
            f"as it is: a z-score counts standard deviations from the mean, up to {told['numeric_limit']:g}, and a "
            "column may have several weights, which add up. Weights of columns that tell the same share what is told."
        ),
        "figures": [_draw_class(index, name, entries, classes) for index, name in enumerate(names[:MOST_CHARTS])],
        "columns": names[:MOST_CLASSES],
        "table": [
            {"column": escape_text(row["column"]), "term": row["term"], "weights": row["weights"][:MOST_CLASSES]}
            for row in rows[: MOST_ROWS + 1]
        ],
        "hidden": _list_hidden(told, classes),
    }


def _draw_class(index: int, name: str, entries: Sequence[Mapping[str, Any]], classes: int) -> charts.Figure:
    """The largest weights of one class, or of the only answer."""
    ordered = sorted(entries, key=lambda each: -abs(each["weights"][index]))
    shown = ordered[: MOST_BARS if classes == 1 else MOST_CLASS_BARS]
    labels = [f"{each['column']} {each['term']}" for each in shown]
    title = "Largest weights" if classes == 1 else f"Largest weights of {name}"
    return charts.draw_weights(title, labels, [each["weights"][index] for each in shown], "weight")


def _word_term(each: Mapping[str, Any]) -> str:
    """What of the column a weight is for."""
    kind, value = each["kind"], each.get("value")
    if kind == "word":
        return "= missing" if value is None else f"= {escape_text(value)}"
    if kind == "bucket":
        return "where it is missing (bucket)" if value is None else _word_bucket(value, each["buckets"])
    if kind == "number":
        return "times it" if value is None else f"times its number {value}"
    return _WORDS[kind].format(value=value)


def _word_bucket(bucket: int, buckets: int) -> str:
    low, high = (f"{100 * edge / buckets:.3g}" for edge in (bucket, bucket + 1))
    return f"from its {low} % to its {high} % quantile"


def _list_hidden(told: Mapping[str, Any], classes: int) -> list[str]:
    lines = []
    hidden = max(len(told["weights"]) - MOST_ROWS, 0)
    if hidden:
        lines.append(f"and {hidden:,} more in training/history.json beside the model")
    if told["left_out"]:
        lines.append(
            f"{told['left_out']:,} smaller ones, up to {told['largest_left_out']:.3g}, are nowhere but in the model"
        )
    if classes > MOST_CLASSES:
        lines.append(f"{classes - MOST_CLASSES} more classes in training/history.json")
    return lines
