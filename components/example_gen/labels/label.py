"""The label of every row: an int64 class index or a float32 value, from a column or an expression."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from taxiway.components.errors import ConfigError, DataError, suggest_matches
from taxiway.components.example_gen.config import LabelConfig
from taxiway.components.example_gen.labels.expression import ExpressionError, parse_expression
from taxiway.components.example_gen.labels.label_text import format_label
from taxiway.components.tables.columns.numbers import mask_non_finite
from taxiway.components.tables.columns.texts import is_text

MAX_CLASSES = 1000
MAX_NUMBERED = 1 << 16
"""Different labels that are told apart before it is known which of them are classes."""


def list_label_columns(config: LabelConfig) -> tuple[str, ...]:
    """The columns that the label is made from."""
    return parse_expression(config.expression).columns if config.expression else (config.column,)


def check_label_columns(config: LabelConfig, columns: Iterable[str]) -> None:
    """Refuses a label whose columns are not there, or whose made column already is.

    Raises:
        ConfigError, DataError: which.
    """
    columns = list(columns)
    for name in list_label_columns(config):
        if name not in columns:
            key = f"label.expression {config.expression!r} reads" if config.expression else "label.column is"
            raise DataError(f"{key} {name!r}, which is no column of the data.", suggest_matches(name, columns))
    if config.expression and config.column in columns:
        raise ConfigError(
            f"label.column {config.column!r} is to hold label.expression, but the data has a column of that name.",
            "Give the label another name.",
        )


def compute_raw_label(config: LabelConfig, columns: Mapping[str, pa.Array]) -> pa.Array:
    """What the column holds or the expression yields: `[rows]`, missing values null.

    Raises:
        ConfigError: the expression does not fit the columns' types.
    """
    if not config.expression:
        return _normalize_spellings(config, columns[config.column])
    try:
        value = parse_expression(config.expression).evaluate(columns)
    except ExpressionError as error:
        raise ConfigError(f"label.expression {config.expression!r}: {error}") from error
    return mask_non_finite(value) if pa.types.is_floating(value.type) else value


def _normalize_spellings(config: LabelConfig, values: pa.Array) -> pa.Array:
    """Text with `label.spellings` as the class that they mean; other values as they are."""
    if not config.spellings or not is_text(values.type):
        return values
    encoded = values.dictionary_encode()
    texts = [config.spellings.get(text, text) for text in map(str, format_labels(encoded.dictionary))]
    return pa.array([text.encode() for text in texts], values.type).take(encoded.indices)


def find_spelling_variants(counts: Mapping[str, int]) -> dict[str, str]:
    """Spellings that differ by case and spaces only, and the most frequent one, without the spaces around it."""
    groups: dict[str, list[str]] = {}
    for text in counts:
        groups.setdefault(" ".join(text.split()).casefold(), []).append(text)
    variants = {}
    for group in groups.values():
        usual = max(group, key=lambda text: (text == text.strip(), counts[text])).strip()
        if len(group) > 1:
            variants.update({text: usual for text in group if text != usual})
    return variants


_YES = frozenset({"yes", "true", "1", "1.0", "y", "t", "positive", "pos", "ja", "oui", "si", "sí", "present", "on"})
_EVENTS = re.compile(
    r"(?i)^(is[ _-]?|has[ _-]?)?(malignant|spam|fraud(ulent)?|scam|churn(ed)?|cancel(l)?ed|default(ed)?|died|dead|"
    r"deceased|fail(ed|ure|s)?|bad|abnormal|anomal(y|ous)|attack|sick|disease(d)?|ill|defect(ive)?|broken|exited|left|"
    r"attrited.*|clicked|converted|bought|purchased|lost|delayed|late|readmitted)$"
)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_NEGATION = re.compile(r"(?i)^(no|not|non|never|without)[ _-]*(?=\w)")


def guess_positive_class(classes: Sequence[str], counts: Mapping[str, int]) -> tuple[tuple[str, ...], str]:
    """Two classes with the positive one last, and why it is that one: what the words say, or the rarer one.

    Args:
        classes: Both, in any order.
        counts: Rows of each.
    """
    first, second = classes
    for positive, why in _guess_by_words(first, second):
        return (second if positive == first else first, positive), why
    if counts[first] == counts[second]:
        return (first, second), "both are as frequent: the last one in order"
    rarer = min(classes, key=lambda name: counts[name])
    return (second if rarer == first else first, rarer), "the rarer one"


def _guess_by_words(first: str, second: str) -> Iterator[tuple[str, str]]:
    """What the words say, the surest reading first."""
    for one, other in ((first, second), (second, first)):
        stem = _NEGATION.sub("", one.strip())
        same = stem.casefold() == other.strip().casefold() or _stem_word(stem) == _stem_word(other)
        if stem != one.strip() and same and not _NEGATION.match(other.strip()):
            yield other, f"{one!r} is its negation"
    numbers = {_parse_number(first), _parse_number(second)}
    if None not in numbers and numbers not in ({0.0, 1.0}, {-1.0, 1.0}):
        return  # codes: 1 and 2 say nothing
    for test, why in ((_is_yes, "it reads like a yes"), (_EVENTS.match, "it names the event")):
        if bool(test(first.strip())) != bool(test(second.strip())):
            yield first if test(first.strip()) else second, why
    for one, other in ((first, second), (second, first)):
        if re.match(r"(?i)(no|not|non|none|never)\b", one.strip()) and not re.match(r"(?i)no", other.strip()):
            yield other, f"{one!r} reads like a no"


def _is_yes(text: str) -> bool:
    return text.casefold() in _YES


def _parse_number(text: str) -> float | None:
    """A text that programs write for a number; None for `nan`, which has no place in an order, and for `1_000`."""
    return float(text) if _NUMBER.fullmatch(text.strip()) else None


def _stem_word(word: str) -> str:
    return re.sub(r"(?i)(ed|ing|er|s|e)$", "", re.sub(r"[ _-]+", "", word)).casefold()


def format_labels(values: pa.Array) -> list[str | None]:
    """Labels as text, as `label.classes` writes them: 1 and 1.0 are `1`, booleans `false` and `true`."""
    return [format_label(value) for value in values.to_pylist()]


def list_distinct_labels(values: pa.Array) -> list[str]:
    """The different labels of a batch, as text."""
    return [text for text in format_labels(pc.unique(values)) if text is not None]


def order_classes(config: LabelConfig, labels: Iterable[str]) -> tuple[str, ...]:
    """The classes in the order of their indices.

    Args:
        config: The label; its `classes`, if any, are the order.
        labels: The labels in the data.

    Raises:
        DataError: one class only, more than two for `binary`, or a label that `classes` does not name.
    """
    labels = set(labels)
    where = f"label.expression {config.expression!r}" if config.expression else f"label column {config.column!r}"
    if config.classes:
        unknown = sorted(labels - set(config.classes))
        if unknown:
            raise DataError(
                f"The {where} holds {unknown[0]!r}, which label.classes does not name.",
                f"Add it, or mend the data. label.classes: {', '.join(config.classes)}.",
            )
        return _move_positive_last(config, config.classes)
    classes = tuple(sorted(labels, key=_make_class_sort_key))
    _check_class_count(config, classes, where)
    return _move_positive_last(config, classes)


def _check_class_count(config: LabelConfig, classes: Sequence[str], where: str) -> None:
    shown = ", ".join(map(repr, classes[:5]))
    if len(classes) < 2:
        held = f"only one class, {shown}" if classes else "no value in any row"
        raise DataError(f"The {where} holds {held}: there is nothing to learn.", "Choose another label or other data.")
    if config.task == "binary" and len(classes) > 2:
        raise DataError(
            f"The {where} holds {len(classes)} different values ({shown}, ...), but label.task is binary.",
            "Set label.task to multiclass or regression, or make two classes with label.expression.",
        )
    if len(classes) > MAX_CLASSES:
        raise DataError(
            f"The {where} holds more than {MAX_CLASSES} different values ({shown}, ...).",
            "Set label.task to regression if it is a number; an identifier cannot be predicted.",
        )


def _move_positive_last(config: LabelConfig, classes: tuple[str, ...]) -> tuple[str, ...]:
    if not config.positive or classes[-1] == config.positive:
        return classes
    if config.positive not in classes:
        raise DataError(
            f"label.positive is {config.positive!r}, but the label's values are {', '.join(classes)}.",
            "Name one of them.",
        )
    return (*(c for c in classes if c != config.positive), config.positive)


def _make_class_sort_key(text: str) -> tuple[bool, float, str]:
    """Numbers by their value, then texts."""
    number = _parse_number(text)
    return number is None, number or 0.0, text


def materialize_labels(config: LabelConfig, columns: Mapping[str, pa.Array], classes: Sequence[str]) -> pa.Array:
    """The label as it is written to the examples.

    Args:
        config: The label.
        columns: The converted columns of a batch, `[rows]` each.
        classes: The order of classes; not for a regression.

    Returns:
        int64 class indices or float32 values `[rows]`; null where a row has no label.

    Raises:
        DataError: a label that is no number (regression) or not among `classes`.
    """
    values = compute_raw_label(config, columns)
    if config.task == "regression":
        return _convert_to_float(config, values)
    encoded = values.dictionary_encode()
    index = {text: i for i, text in enumerate(classes)}
    texts = format_labels(encoded.dictionary)
    order_classes(config.model_copy(update={"classes": tuple(classes)}), [t for t in texts if t is not None])
    order = pa.array([index.get(t) if t is not None else None for t in texts], pa.int64())
    return order.take(encoded.indices)


def _convert_to_float(config: LabelConfig, values: pa.Array) -> pa.Array:
    if is_text(values.type):
        example = next((t for t in format_labels(values) if t), "")
        what = f"label.expression {config.expression!r}" if config.expression else f"label column {config.column!r}"
        raise DataError(
            f"The {what} holds text such as {example!r}, but label.task is regression.",
            "Set label.task to binary or multiclass, or mend the values that are no numbers.",
        )
    return values.cast(pa.float64()).cast(pa.float32(), safe=False)


def drop_unlabelled_rows(
    config: LabelConfig, columns: dict[str, pa.Array], label: pa.Array, file: str
) -> tuple[dict[str, pa.Array], pa.Array]:
    """The rows that have a label: their columns, and the label.

    Raises:
        DataError: `missing: refuse` and a row has none.
    """
    kept = find_labelled_rows(config, label, file)
    if kept is None:
        return columns, label
    mask = pa.array(kept)
    return {name: array.filter(mask) for name, array in columns.items()}, label.filter(mask)


def number_labels(config: LabelConfig, label: pa.Array, classes: dict[str, int]) -> np.ndarray:
    """The number of each row's label among those `classes`, uint16 `[rows]`; 0 for a regression.

    Args:
        config: The label.
        label: The result of `compute_raw_label`, without nulls.
        classes: Labels as text with their numbers; takes those that are new. Beyond `MAX_NUMBERED` all are one.
    """
    if config.task == "regression":
        return np.zeros(len(label), np.uint16)
    encoded = label.dictionary_encode()
    texts = (text for text in format_labels(encoded.dictionary) if text is not None)
    numbers = [_number_label(text, classes) for text in texts]
    return np.asarray(numbers, np.uint16)[np.asarray(encoded.indices)]


def _number_label(text: str, numbers: dict[str, int]) -> int:
    if text not in numbers and len(numbers) < MAX_NUMBERED:
        numbers[text] = len(numbers)
    return numbers.get(text, MAX_NUMBERED - 1)


def find_labelled_rows(config: LabelConfig, label: pa.Array, file: str) -> np.ndarray | None:
    """Mask of the rows with a label, or None when all have one.

    Raises:
        DataError: `missing: refuse` and a row has none.
    """
    if label.null_count == 0:
        return None
    if config.missing == "refuse":
        raise DataError(
            f"{file}: {label.null_count} rows have no label in {config.column!r}, and label.missing is refuse.",
            "Fill the labels in, or set label.missing to drop.",
        )
    return np.asarray(label.is_valid())
