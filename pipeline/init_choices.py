"""What `taxiway init` proposes, and why: small rules over the profile of a table. Every proposal has its reason."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from components.contract import Task
from components.errors import DataError
from components.example_gen.profile import Column, Profile

LEAK = {"binary": 0.96, "multiclass": 0.97, "regression": 0.97}
"""A column that alone predicts this well gives the label away. Multiclass: of what is left above the largest class."""
SUSPICIOUS = 0.85
MIN_IDENTIFIER_ROWS = 30
FEW_ROWS = 100
FEW_OF_A_CLASS = 100
"""A fifth of them is what the gates ask for of each class."""
IDENTIFIER, CONSTANT, COMPUTED = "identifier", "constant", "the label is computed from it"
_ID_NAME = re.compile(r"(^|[^a-z])(id|uuid|guid|key|index|idx|unnamed_\d+|row|number|nr|no)$", re.IGNORECASE)
_CODE_NAME = re.compile(
    r"(^|[^a-z])(id|code|zip|zipcode|postal|postcode|area|tract|district|region|zone|flight|number|type|class)$",
    re.IGNORECASE,
)
Overrides = dict[str, Any]


@dataclass
class Proposal:
    """Settings that differ from the defaults, by dotted key, and comments, by dotted key."""

    settings: Overrides = field(default_factory=dict)
    comments: dict[str, list[str]] = field(default_factory=dict)
    odd: list[tuple[str, str]] = field(default_factory=list)
    """What looked odd: the key that changes it, and a sentence."""

    def set(self, key: str, value: Any, *comments: str) -> None:
        self.settings[key] = value
        self.note(key, *comments)

    def note(self, key: str, *comments: str) -> None:
        if comments:
            self.comments.setdefault(key, []).extend(comments)

    def find_odd(self, key: str, text: str) -> None:
        """What was guessed is shown, and stands above its key."""
        self.odd.append((key, text))
        self.note(key.partition(" ")[0], text)


def choose(profile: Profile) -> Proposal:
    """The whole proposal, section by section."""
    made = Proposal()
    _rows(profile, made)
    _findings(profile, made)
    _label(profile, made)
    _few_rows(profile, made)
    left_out = _something_left(profile, dict(_left_out(profile)), made)
    times = _times(profile, left_out, made)
    if left_out:
        made.set("features.leave_out", left_out)
    used = {name: c for name, c in profile.columns.items() if name not in left_out}
    _categorical(used, made)
    _suspicious(profile, used, made)
    _thresholds(profile, used, made)
    _slices(used, made)
    _training(profile, made)
    _missing(used, made, times)
    return made


def _rows(profile: Profile, made: Proposal) -> None:
    columns = (
        len(profile.columns) + len(profile.unsupported) + len(profile.empty) + (not profile.label.config.expression)
    )
    made.note("data.path", f"{profile.rows:,} rows, {columns} columns")
    if profile.rows > profile.looked_at:
        made.note("data.path", f"what follows was seen in {profile.looked_at:,} of them; types in all")
    if profile.bad.count:
        allowed = math.ceil(profile.bad.count * 1.5)
        made.set("data.max_bad_rows", allowed)
        what = "row cannot be read and is" if profile.bad.count == 1 else "rows cannot be read and are"
        made.find_odd("data.max_bad_rows", f"{profile.bad.count:,} {what} left out, such as {profile.bad.samples[0]}")
    reasons = [f"{name} {reason}" for name, reason in profile.unsupported.items()]
    reasons += [f"{name} holds no value in any row" for name in profile.empty]
    left_out = dict.fromkeys([*profile.data.leave_out, *profile.unsupported, *profile.empty])
    if left_out:
        made.set("data.leave_out", list(left_out), *reasons)


def _findings(profile: Profile, made: Proposal) -> None:
    """What was found about how the table is written."""
    data = profile.data
    if data.types:
        made.set("data.types", dict(data.types))
    if data.null_values:
        made.set("data.null_values", {name: list(words) for name, words in data.null_values.items()})
    for finding in profile.findings:
        made.find_odd(finding.key, finding.text)


def _label(profile: Profile, made: Proposal) -> None:
    config, label = profile.label.config, profile.label
    made.set("label.column", config.column)
    made.set("label.task", config.task)
    if config.expression:
        made.set("label.expression", config.expression)
    if label.missing:
        made.find_odd(
            "label.missing", f"{label.missing:,} of {profile.looked_at:,} rows have no label: they are left out"
        )
    if config.task == "regression":
        made.note("label.task", f"mean {label.mean:.6g}, standard deviation {label.deviation:.6g}")
        return
    shares = [f"{name}: {share:.1%}" for name, share in zip(config.classes, label.shares, strict=True)]
    made.set("label.classes", list(config.classes), ", ".join(shares[:20]) + (", ..." if len(shares) > 20 else ""))
    if config.spellings:
        made.set("label.spellings", dict(config.spellings))
        pairs = ", ".join(f"{text!r} is {usual!r}" for text, usual in config.spellings.items())
        made.find_odd("label.spellings", f"labels that differ by case and spaces only: {pairs}")
    if config.task == "binary":
        made.set("label.positive", config.classes[-1])
        share = f"{label.shares[-1]:.1%}, {label.counts[-1]:,} of {sum(label.counts):,} rows"
        made.note("label.positive", f"{config.classes[-1]!r} ({share}): {label.why_positive}")


def _few_rows(profile: Profile, made: Proposal) -> None:
    """What is too little to be judged by: the evaluation has a fifth of the rows."""
    label = profile.label
    rows = f"{profile.rows:,} rows" if profile.rows != 1 else "one row"
    if profile.rows < FEW_ROWS:
        made.find_odd("data.path", f"{rows} are too few to evaluate a model on: what the gates say will prove little")
    elif label.counts and profile.rows == profile.looked_at and min(label.counts) < FEW_OF_A_CLASS:
        rarest = label.config.classes[label.counts.index(min(label.counts))]
        made.find_odd(
            "label.classes",
            f"{rarest!r} has {min(label.counts)} of {rows}, about {min(label.counts) * 0.2:.0f} to evaluate on: "
            "too few to tell a good model from a bad one",
        )


def _left_out(profile: Profile) -> Iterator[tuple[str, str]]:
    """Columns that are no features, each with the reason."""
    given = set(_given_away(profile))
    for name, column in profile.columns.items():
        reason = COMPUTED if name in given else why_left_out(column, profile)
        if reason:
            yield name, reason


def _something_left(profile: Profile, left_out: dict[str, str], made: Proposal) -> dict[str, str]:
    """Where nothing else would be left, what only looks like an identifier or a giveaway stays, and a comment says so.

    Raises:
        DataError: Then there is nothing to learn from.
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
    made.note("features.leave_out", "nothing else is left to learn from", *stay)
    return kept


def _given_away(profile: Profile) -> list[str]:
    """Columns of the label's expression without which the label cannot be computed: the ones that tell most of it.

    One is enough to take away: what the others hold is often known beforehand (a fare, when the tip is asked for).
    """
    from components.example_gen.label import columns_read

    if not profile.label.config.expression:
        return []
    read = [profile.columns[name] for name in columns_read(profile.label.config) if name in profile.columns]
    strongest = max(read, key=lambda c: c.alone)
    return [strongest.name, *(c.name for c in read if strength(c, profile) >= SUSPICIOUS and c is not strongest)]


def strength(column: Column, profile: Profile) -> float:
    """What the column alone knows of the label, 0 (nothing) to 1 (all): above the largest class, for multiclass."""
    task = profile.label.config.task
    if task == "multiclass":
        naive = max(profile.label.shares)
        return (column.alone - naive) / (1 - naive) if naive < 1 else 0.0
    return column.alone


def why_left_out(column: Column, profile: Profile) -> str:
    """The reason, or nothing."""
    there = column.rows - column.missing
    task = profile.label.config.task
    if column.distinct <= 1 and not 0.01 < column.missing / column.rows < 0.99:  # else being missing may tell something
        return f"{CONSTANT}: {there:,} of {column.rows:,} rows hold {column.examples[0]!r}, the others nothing"
    if strength(column, profile) >= LEAK[task]:
        return f"gives the label away: {_what_it_reaches(column, task)} alone"
    if _is_time(column):
        return ""
    if there < MIN_IDENTIFIER_ROWS:
        return ""
    if column.kind == "string" and column.distinct > 0.9 * there:
        what = "free text" if column.text_length > 40 else IDENTIFIER
        return f"{what}: {column.distinct:,} different texts in {there:,} rows"
    if column.kind == "int" and column.distinct == there and _looks_like_a_key(column):
        return f"{IDENTIFIER}: a different number in every row"
    return ""


def _looks_like_a_key(column: Column) -> bool:
    numbered = (column.greatest or 0) - (column.least or 0) + 1 <= 1.1 * column.rows
    return numbered or bool(_ID_NAME.search(column.name))


def _what_it_reaches(column: Column, task: Task) -> str:
    names = {"binary": "AUC", "multiclass": "accuracy", "regression": "R2"}
    return f"{names[task]} {column.alone:.3f}"


def _is_time(column: Column) -> bool:
    return column.kind == "time" or bool(column.time_formats) or bool(column.parts)


def _times(profile: Profile, left_out: dict[str, str], made: Proposal) -> set[str]:
    """Times become calendar parts; the points in time themselves never come again."""
    types: dict[str, str] = dict(profile.data.types)
    calendar: dict[str, list[str]] = {}
    for name, column in profile.columns.items():
        if not _is_time(column) or name in left_out:
            continue
        if column.kind != "time" and name not in types:
            types[name] = f"time:{column.time_formats[0]}" if any(column.time_formats[:1]) else "time"
            if types[name] != "time" or column.kind == "int":
                made.find_odd(f"data.types ({name})", _as_times(column))
        parts = [part for part, count in column.parts if count > 1 and not _has_part(profile, name, part, count)]
        if parts:
            calendar[name] = parts
        left_out[name] = "a point in time that does not come again" + (": see data.calendar" if parts else "")
    if types:
        made.settings["data.types"] = types
    if calendar:
        made.set("data.calendar", calendar)
        first = next(iter(calendar))
        made.note("data.split.by", f"to evaluate on the latest rows instead: by: time and column: {first}")
    return set(calendar)


def _has_part(profile: Profile, time: str, part: str, count: int) -> bool:
    """Whether a column named like the part, with as many values, is there already."""
    words = {"weekday": ("weekday", "day", "dow")}.get(part, (part,))
    others = (c for name, c in profile.columns.items() if name != time and c.kind == "int")
    return f"{time}_{part}" in profile.columns or any(
        c.name.lower().endswith(words) and abs(c.distinct - count) <= 1 for c in others
    )


def _as_times(column: Column) -> str:
    if not column.time_formats:
        return f"{column.name}: numbers such as {column.examples[0]} are seconds since 1970, by their name and size"
    first, *others = column.time_formats
    said = f"{column.name}: read as times, which {first} writes, such as {column.examples[0]!r}"
    return f"{said}; {' and '.join(others)} would fit too: choose" if others else said


def _categorical(used: Mapping[str, Column], made: Proposal) -> None:
    """Whole numbers that are names."""
    names = [c.name for c in used.values() if c.kind == "int" and _is_code(c)]
    if names:
        made.set("features.categorical", names, "numbers that are names, by their column's name or their size")


def _is_code(column: Column) -> bool:
    few = 3 <= column.distinct <= max(1000, 3) and column.distinct < 0.2 * max(column.rows, 1)
    huge = (column.least or 0) > 1_000_000
    return few and (huge or bool(_CODE_NAME.search(column.name)))


def _suspicious(profile: Profile, used: Mapping[str, Column], made: Proposal) -> None:
    task = profile.label.config.task
    for column in sorted(used.values(), key=lambda c: -c.alone):
        if strength(column, profile) >= SUSPICIOUS:
            reached = _what_it_reaches(column, task)
            made.note("features.leave_out", f"{column.name} alone reaches {reached}: is it known when you predict?")


def _thresholds(profile: Profile, used: Mapping[str, Column], made: Proposal) -> None:
    """Half of the way from the naive model to the best single column: a model that misses it has learnt little."""
    label, key = profile.label, "evaluation.thresholds"
    best = max((c.alone for c in used.values()), default=0.0)
    if label.config.task == "binary":
        bar = 0.5 + max(0.5 * (best - 0.5), 0.01)
        made.set(key, {"auc": {"min": _down(bar), "max_drop": 0.01}})
        made.note(key, f"the naive model has an AUC of 0.5, the best single column {best:.3f}")
    elif label.config.task == "multiclass":
        naive = max(label.shares)
        bar = naive + max(0.5 * (best - naive), 0.01)
        made.set(key, {"accuracy": {"min": _down(min(bar, 0.99)), "max_drop": 0.01}})
        made.note(key, f"the naive model has an accuracy of {naive:.3f}, the best single column {best:.3f}")
    else:
        bar = label.deviation * math.sqrt(1 - max(0.5 * best, 0.01))
        made.set(key, {"rmse": {"max": _significant(bar), "max_rise": _significant(0.02 * label.deviation)}})
        made.note(
            key, f"the naive model has an RMSE of {label.deviation:.6g}, the best single column an R2 of {best:.3f}"
        )


def _down(value: float) -> float:
    return math.floor(value * 1000) / 1000


def _significant(value: float) -> float:
    return float(f"{value:.3g}")


def _slices(used: Mapping[str, Column], made: Proposal) -> None:
    few = [c for c in used.values() if c.kind in ("string", "bool") and 2 <= c.distinct <= 20 and not _is_time(c)]
    chosen = sorted(few, key=lambda c: c.distinct)[:2]
    if chosen:
        made.set("evaluation.slices", [[c.name] for c in chosen])


def _training(profile: Profile, made: Proposal) -> None:
    """Enough steps for few rows, large enough batches for many."""
    rows = max(1, int(0.8 * profile.rows))
    batch = next((size for limit, size in ((2_000, 32), (50_000, 128), (500_000, 512)) if rows <= limit), 1024)
    epochs = min(60, max(3, round(3000 * batch / rows)))
    made.set("training.global_batch_size", batch)
    made.set("training.epochs", epochs, f"about {epochs * rows // batch:,} steps")


def _missing(used: Mapping[str, Column], made: Proposal, times: set[str]) -> None:
    holes = sorted((c for c in used.values() if c.missing and c.name not in times), key=lambda c: -c.missing)
    if holes:
        listed = ", ".join(f"{c.name} {c.missing / c.rows:.0%}" for c in holes[:8])
        more = f" and {len(holes) - 8} more" if len(holes) > 8 else ""
        made.note("preprocessing", f"missing values: {listed}{more}; each number has an indicator of its being missing")
