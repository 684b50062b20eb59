"""Proposes settings from the profile of a table, by small rules; each setting has its reason as a comment."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from taxiway.components.contract import Task
from taxiway.components.errors import DataError
from taxiway.components.example_gen.labels.label import list_label_columns
from taxiway.components.text.lists import join_first
from taxiway.pipeline.scaffold.number_names import explain_names
from taxiway.pipeline.scaffold.profile import ColumnProfile, TableProfile
from taxiway.pipeline.scaffold.training import propose_training

LEAK = {"binary": 0.96, "multiclass": 0.97, "regression": 0.97}
"""A column that alone predicts this well leaks the label. Multiclass: of the share that the largest class leaves."""
SUSPICIOUS = 0.85
MIN_IDENTIFIER_ROWS = 30
FEW_ROWS = 100
FEW_OF_A_CLASS = 100
"""A fifth of them go to the evaluation, where the gates ask for 20 of each class."""
IDENTIFIER, CONSTANT, COMPUTED = "identifier", "constant", "the label is computed from it"
LEAST_STRENGTH = 0.02
"""Above what is known without the column; less may be chance."""
HASHED_VALUES = 5_000
"""A column of text with more values is hashed: a vocabulary of them would leave little for the other columns."""
FREE_TEXT_LENGTH = 40
"""Bytes of a text, on average, from which on it is read by its words, where most of the texts differ."""
HALF = 0.5
RARE_WORDS, RARE_SHARE = 10, 0.25
"""So many words of a column, and such a share of them, stand in one row only where rare ones are masked."""
Overrides = dict[str, Any]


@dataclass
class Proposal:
    """Settings that differ from the defaults, by dotted key, and comments, by dotted key."""

    settings: Overrides = field(default_factory=dict)
    comments: dict[str, list[str]] = field(default_factory=dict)
    odd: list[tuple[str, str]] = field(default_factory=list)
    """What looked odd: the key that changes it, and a sentence."""

    def set_value(self, key: str, value: Any, *comments: str) -> None:
        self.settings[key] = value
        self.add_comments(key, *comments)

    def add_comments(self, key: str, *comments: str) -> None:
        if comments:
            self.comments.setdefault(key, []).extend(comments)

    def add_finding(self, key: str, text: str) -> None:
        """Adds a guess, which is printed and stands as a comment above its key."""
        self.odd.append((key, text))
        self.add_comments(key.partition(" ")[0], text)


def propose_settings(profile: TableProfile) -> Proposal:
    """The whole proposal, section by section."""
    proposal = Proposal()
    _propose_data(profile, proposal)
    _propose_formats(profile, proposal)
    _propose_label(profile, proposal)
    _warn_few_rows(profile, proposal)
    left_out = _keep_some_columns(profile, dict(_find_left_out(profile)), proposal)
    times = _propose_times(profile, left_out, proposal)
    if left_out:
        proposal.set_value("features.leave_out", left_out)
    used = {name: c for name, c in profile.columns.items() if name not in left_out}
    used = {name: c for name, c in used.items() if name not in times}
    _propose_categorical(profile, used, proposal)
    _propose_texts(used, proposal)
    _propose_rare_words(used, proposal)
    _warn_suspicious(profile, used, proposal)
    _propose_thresholds(profile, used, proposal)
    _propose_slices(used, proposal)
    propose_training(profile, proposal)
    _note_missing(used, proposal, times)
    return proposal


def _propose_data(profile: TableProfile, proposal: Proposal) -> None:
    columns = (
        len(profile.columns) + len(profile.unsupported) + len(profile.empty) + (not profile.label.config.expression)
    )
    proposal.add_comments("data.path", f"{profile.rows:,} rows, {columns} columns")
    if profile.rows > profile.looked_at:
        proposal.add_comments("data.path", f"what follows was seen in {profile.looked_at:,} of them; types in all")
    if profile.bad.count:
        allowed = math.ceil(profile.bad.count * 1.5)
        proposal.set_value("data.max_bad_rows", allowed)
        what = "row cannot be read and is" if profile.bad.count == 1 else "rows cannot be read and are"
        proposal.add_finding(
            "data.max_bad_rows", f"{profile.bad.count:,} {what} left out, such as {profile.bad.samples[0]}"
        )
    reasons = [f"{name} {reason}" for name, reason in profile.unsupported.items()]
    reasons += [f"{name} holds no value in any row" for name in profile.empty]
    left_out = dict.fromkeys([*profile.data.leave_out, *profile.unsupported, *profile.empty])
    if left_out:
        proposal.set_value("data.leave_out", list(left_out), *reasons)


def _propose_formats(profile: TableProfile, proposal: Proposal) -> None:
    """Types and null words that were found, and the findings about them."""
    data = profile.data
    if data.types:
        proposal.set_value("data.types", dict(data.types))
    if data.null_values:
        proposal.set_value("data.null_values", {name: list(words) for name, words in data.null_values.items()})
    for finding in profile.findings:
        proposal.add_finding(finding.key, finding.text)


def _propose_label(profile: TableProfile, proposal: Proposal) -> None:
    config, label = profile.label.config, profile.label
    proposal.set_value("label.column", config.column)
    proposal.set_value("label.task", config.task)
    if config.expression:
        proposal.set_value("label.expression", config.expression)
    if label.missing:
        proposal.add_finding(
            "label.missing", f"{label.missing:,} of {profile.looked_at:,} rows have no label: they are left out"
        )
    if config.task == "regression":
        proposal.add_comments("label.task", f"mean {label.mean:.6g}, standard deviation {label.deviation:.6g}")
        return
    shares = [f"{name}: {share:.1%}" for name, share in zip(config.classes, label.shares, strict=True)]
    proposal.set_value(
        "label.classes", list(config.classes), ", ".join(shares[:20]) + (", ..." if len(shares) > 20 else "")
    )
    if config.spellings:
        proposal.set_value("label.spellings", dict(config.spellings))
        pairs = ", ".join(f"{text!r} is {usual!r}" for text, usual in config.spellings.items())
        proposal.add_finding("label.spellings", f"labels that differ by case and spaces only: {pairs}")
    if config.task == "binary":
        proposal.set_value("label.positive", config.classes[-1])
        share = f"{label.shares[-1]:.1%}, {label.counts[-1]:,} of {sum(label.counts):,} rows"
        proposal.add_comments("label.positive", f"{config.classes[-1]!r} ({share}): {label.why_positive}")


def _warn_few_rows(profile: TableProfile, proposal: Proposal) -> None:
    """Warns of too few rows, or rows of a class, to evaluate on: the evaluation gets a fifth of them."""
    label = profile.label
    rows = f"{profile.rows:,} rows" if profile.rows != 1 else "one row"
    if profile.rows < FEW_ROWS:
        proposal.add_finding(
            "data.path", f"{rows} are too few to evaluate a model on: what the gates say will prove little"
        )
    elif label.counts and profile.rows == profile.looked_at and min(label.counts) < FEW_OF_A_CLASS:
        rarest = label.config.classes[label.counts.index(min(label.counts))]
        proposal.add_finding(
            "label.classes",
            f"{rarest!r} has {min(label.counts)} of {rows}, about {min(label.counts) * 0.2:.0f} to evaluate on: "
            "too few to tell a good model from a bad one",
        )


def _find_left_out(profile: TableProfile) -> Iterator[tuple[str, str]]:
    """Columns that are not used as features, each with the reason."""
    given = set(_find_leaking_inputs(profile))
    for name, column in profile.columns.items():
        reason = COMPUTED if name in given else explain_left_out(column, profile)
        if reason:
            yield name, reason


def _keep_some_columns(profile: TableProfile, left_out: dict[str, str], proposal: Proposal) -> dict[str, str]:
    """Keeps what only looks like an identifier or a leak where no column would be left, and says so in a comment.

    Raises:
        DataError: No column is left to learn from.
    """
    if len(left_out) < len(profile.columns):
        return left_out
    kept = {name: reason for name, reason in left_out.items() if reason.startswith((CONSTANT, COMPUTED))}
    if len(kept) == len(profile.columns):
        raise DataError(
            "No column is left to learn from: " + "; ".join(f"{n}: {reason}" for n, reason in kept.items()) + ".",
            "Give data with more columns, or another label.",
        )
    stay = [f"{name} stays though it looks like this: {left_out[name]}" for name in left_out if name not in kept]
    proposal.add_comments("features.leave_out", "nothing else is left to learn from", *stay)
    return kept


def _find_leaking_inputs(profile: TableProfile) -> list[str]:
    """Columns of the label's expression that tell most of the label: without them it cannot be computed.

    Leaving out one is enough: the others are often known at prediction time (the fare, when the tip is predicted).
    """
    if not profile.label.config.expression:
        return []
    read = [profile.columns[name] for name in list_label_columns(profile.label.config) if name in profile.columns]
    strongest = max(read, key=lambda c: c.alone)
    return [
        strongest.name,
        *(c.name for c in read if measure_strength(c, profile) >= SUSPICIOUS and c is not strongest),
    ]


def measure_strength(column: ColumnProfile, profile: TableProfile) -> float:
    """How much of the label the column alone predicts, 0 to 1; for multiclass above the share of the largest class."""
    task = profile.label.config.task
    if task == "multiclass":
        naive = max(profile.label.shares)
        return (column.alone - naive) / (1 - naive) if naive < 1 else 0.0
    return column.alone


def explain_left_out(column: ColumnProfile, profile: TableProfile) -> str:
    """Why a column is left out; empty where it is used."""
    there = column.rows - column.missing
    task = profile.label.config.task
    if column.distinct <= 1 and not 0.01 < column.missing / column.rows < 0.99:  # else being missing may tell something
        if not column.examples:
            return f"{CONSTANT}: no row holds a value"
        return f"{CONSTANT}: {there:,} of {column.rows:,} rows hold {column.examples[0]!r}, the others nothing"
    if measure_strength(column, profile) >= LEAK[task]:
        return f"gives the label away: {_format_score(column, task)} alone"
    if _is_time(column):
        return ""
    if there < MIN_IDENTIFIER_ROWS:
        return ""
    if column.kind == "string" and column.distinct > 0.9 * there and not _is_free_text(column):
        return f"{IDENTIFIER}: {column.distinct:,} different texts in {there:,} rows"
    if column.kind == "int" and column.distinct == there and _looks_like_a_key(column, profile):
        return f"{IDENTIFIER}: a different number in every row"
    return ""


def _looks_like_a_key(column: ColumnProfile, profile: TableProfile) -> bool:
    """Whether different whole numbers count the rows, rise from row to row, or tell nothing of the label."""
    numbered = (column.greatest or 0) - (column.least or 0) + 1 <= 1.1 * column.rows
    return numbered or column.rises or not _tells_label(column, profile)


def _tells_label(column: ColumnProfile, profile: TableProfile) -> bool:
    naive = 0.5 if profile.label.config.task == "binary" else 0.0
    return measure_strength(column, profile) > naive + LEAST_STRENGTH


def _format_score(column: ColumnProfile, task: Task) -> str:
    names = {"binary": "AUC", "multiclass": "accuracy", "regression": "R2"}
    return f"{names[task]} {column.alone:.3f}"


def _is_time(column: ColumnProfile) -> bool:
    return column.kind == "time" or bool(column.time_formats) or bool(column.parts)


def _propose_times(profile: TableProfile, left_out: dict[str, str], proposal: Proposal) -> set[str]:
    """Replaces times by calendar parts: a point in time does not come again."""
    types: dict[str, str] = dict(profile.data.types)
    calendar: dict[str, list[str]] = {}
    for name, column in profile.columns.items():
        if not _is_time(column) or name in left_out:
            continue
        if column.kind != "time" and name not in types:
            types[name] = f"time:{column.time_formats[0]}" if any(column.time_formats[:1]) else "time"
            if types[name] != "time" or column.kind == "int":
                proposal.add_finding(f"data.types ({name})", _describe_times(column))
        parts = [part for part, count in column.parts if count > 1 and not _has_part(profile, name, part, count)]
        if parts:
            calendar[name] = parts
        else:
            left_out[name] = "a point in time that does not come again"
    if types:
        proposal.settings["data.types"] = types
    if calendar:
        proposal.set_value(
            "features.calendar",
            calendar,
            "a point in time does not come again; a served model computes its parts",
        )
        first = next(iter(calendar))
        proposal.add_comments("data.split.by", f"to evaluate on the latest rows instead: by: time and column: {first}")
    return set(calendar)


def _has_part(profile: TableProfile, time: str, part: str, count: int) -> bool:
    """Whether the table already has a column with the name of the part and as many values."""
    words = {"weekday": ("weekday", "day", "dow")}.get(part, (part,))
    others = (c for name, c in profile.columns.items() if name != time and c.kind == "int")
    return f"{time}_{part}" in profile.columns or any(
        c.name.lower().endswith(words) and abs(c.distinct - count) <= 1 for c in others
    )


def _describe_times(column: ColumnProfile) -> str:
    if not column.time_formats:
        return f"{column.name}: numbers such as {column.examples[0]} are seconds since 1970, by their name and size"
    first, *others = column.time_formats
    said = f"{column.name}: read as times, which {first} writes, such as {column.examples[0]!r}"
    return f"{said}; {' and '.join(others)} would fit too: choose" if others else said


def _propose_categorical(profile: TableProfile, used: Mapping[str, ColumnProfile], proposal: Proposal) -> None:
    """Proposes whole numbers that are names as categorical."""
    reasons = {c.name: explain_names(c, _tells_label(c, profile)) for c in used.values() if c.kind == "int"}
    names = [name for name, reason in reasons.items() if reason]
    if names:
        comments = [f"{name}: {reasons[name]}" for name in names]
        proposal.set_value("features.categorical", names, "numbers that are names, by their values", *comments)


def _propose_texts(used: Mapping[str, ColumnProfile], proposal: Proposal) -> None:
    """Proposes hashes for what a vocabulary is not for."""
    text = [c.name for c in used.values() if _is_free_text(c) and c.distinct > HALF * (c.rows - c.missing)]
    hashed = [c.name for c in used.values() if c.kind == "string" and c.distinct > HASHED_VALUES and c.name not in text]
    if text:
        proposal.set_value("features.text", text, "free text, by its hashed words; leave it out where it tells nothing")
    if hashed:
        counts = [f"{name}: {used[name].distinct:,} different texts" for name in hashed]
        proposal.set_value("features.hashed", hashed, "more values than a vocabulary is for", *counts)


def _propose_rare_words(used: Mapping[str, ColumnProfile], proposal: Proposal) -> None:
    """Proposes to mask words of one row where a vocabulary holds many of them: what is learned of one is chance."""
    settings = proposal.settings
    other = {*settings.get("features.hashed", ()), *settings.get("features.text", ())}
    named = settings.get("features.categorical", ())
    words = (c for c in used.values() if (c.kind == "string" and c.name not in other) or c.name in named)
    rare = [c for c in words if c.once >= max(RARE_WORDS, RARE_SHARE * c.distinct)]
    if rare:
        counts = [f"{c.name}: {c.once:,} of {c.distinct:,} words stand in one of the rows looked at" for c in rare]
        reason = "one row teaches nothing of a word; such words, of all columns, are treated as one never seen"
        proposal.set_value("preprocessing.vocabulary_min_frequency", 2, reason, *counts)


def _is_free_text(column: ColumnProfile) -> bool:
    return column.kind == "string" and column.text_length > FREE_TEXT_LENGTH


def _warn_suspicious(profile: TableProfile, used: Mapping[str, ColumnProfile], proposal: Proposal) -> None:
    task = profile.label.config.task
    for column in sorted(used.values(), key=lambda c: -c.alone):
        if measure_strength(column, profile) >= SUSPICIOUS:
            reached = _format_score(column, task)
            proposal.add_comments(
                "features.leave_out", f"{column.name} alone reaches {reached}: is it known when you predict?"
            )


def _propose_thresholds(profile: TableProfile, used: Mapping[str, ColumnProfile], proposal: Proposal) -> None:
    """Proposes a threshold half way from the naive model to the best single column."""
    label, key = profile.label, "evaluation.thresholds"
    best = max((c.alone for c in used.values()), default=0.0)
    if label.config.task == "binary":
        bar = 0.5 + max(0.5 * (best - 0.5), 0.01)
        proposal.set_value(key, {"auc": {"min": _round_down(bar), "max_drop": 0.01}})
        proposal.add_comments(key, f"the naive model has an AUC of 0.5, the best single column {best:.3f}")
    elif label.config.task == "multiclass":
        naive = max(label.shares)
        bar = naive + max(0.5 * (best - naive), 0.01)
        proposal.set_value(key, {"accuracy": {"min": _round_down(min(bar, 0.99)), "max_drop": 0.01}})
        proposal.add_comments(key, f"the naive model has an accuracy of {naive:.3f}, the best single column {best:.3f}")
    elif label.is_heavy_tailed:
        naive = label.absolute_deviation
        bounds = {"max": _round_significant(0.99 * naive), "max_rise": _round_significant(0.02 * naive)}
        proposal.set_value(key, {"mae": bounds}, f"the naive model has an MAE of {naive:.6g}")
    else:
        bar = label.deviation * math.sqrt(1 - max(0.5 * best, 0.01))
        proposal.set_value(
            key, {"rmse": {"max": _round_significant(bar), "max_rise": _round_significant(0.02 * label.deviation)}}
        )
        proposal.add_comments(
            key, f"the naive model has an RMSE of {label.deviation:.6g}, the best single column an R2 of {best:.3f}"
        )


def _round_down(value: float) -> float:
    return math.floor(value * 1000) / 1000


def _round_significant(value: float) -> float:
    return float(f"{value:.3g}")


def _propose_slices(used: Mapping[str, ColumnProfile], proposal: Proposal) -> None:
    few = [c for c in used.values() if c.kind in ("string", "bool") and 2 <= c.distinct <= 20 and not _is_time(c)]
    chosen = sorted(few, key=lambda c: c.distinct)[:2]
    if chosen:
        proposal.set_value("evaluation.slices", [[c.name] for c in chosen])


def _note_missing(used: Mapping[str, ColumnProfile], proposal: Proposal, times: set[str]) -> None:
    holes = sorted((c for c in used.values() if c.missing and c.name not in times), key=lambda c: -c.missing)
    if holes:
        listed = join_first([f"{c.name} {c.missing / c.rows:.0%}" for c in holes], 8)
        proposal.add_comments(
            "preprocessing", f"missing values: {listed}; each number has an indicator of its being missing"
        )
