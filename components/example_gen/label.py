"""The label of every row: an int64 class index or a float32 value, from a column or an expression."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.errors import ConfigError, DataError
from components.example_gen.config import LabelConfig
from components.example_gen.expression import ExpressionError, parse
from components.tables.columns import finite, is_text

MAX_CLASSES = 1000
MAX_NUMBERED = 1 << 16
"""Different labels that are told apart before it is known which of them are classes."""


def columns_read(config: LabelConfig) -> tuple[str, ...]:
    """The columns that the label is made from."""
    return parse(config.expression).columns if config.expression else (config.column,)


def check_columns(config: LabelConfig, known: Iterable[str]) -> None:
    """Refuses a label whose columns are not there, or whose made column already is.

    Raises:
        ConfigError, DataError: which.
    """
    from components.errors import close_matches

    known = list(known)
    for name in columns_read(config):
        if name not in known:
            key = f"label.expression {config.expression!r} reads" if config.expression else "label.column is"
            raise DataError(f"{key} {name!r}, which is no column of the data.", close_matches(name, known))
    if config.expression and config.column in known:
        raise ConfigError(
            f"label.column {config.column!r} is to hold label.expression, but the data has a column of that name.",
            "Give the label another name.",
        )


def raw_label(config: LabelConfig, columns: Mapping[str, pa.Array]) -> pa.Array:
    """What the column holds or the expression yields: `[rows]`, missing values null.

    Raises:
        ConfigError: the expression does not fit the columns' types.
    """
    if not config.expression:
        return _one_spelling(config, columns[config.column])
    try:
        value = parse(config.expression).evaluate(columns)
    except ExpressionError as error:
        raise ConfigError(f"label.expression {config.expression!r}: {error}") from error
    return finite(value) if pa.types.is_floating(value.type) else value


def _one_spelling(config: LabelConfig, values: pa.Array) -> pa.Array:
    """Text with `label.spellings` as the class that they mean; other values as they are."""
    if not config.spellings or not is_text(values.type):
        return values
    encoded = values.dictionary_encode()
    texts = [config.spellings.get(text, text) for text in map(str, texts_of(encoded.dictionary))]
    return pa.array([text.encode() for text in texts], values.type).take(encoded.indices)


def alike(counts: Mapping[str, int]) -> dict[str, str]:
    """Spellings that differ by case and spaces only, and the most frequent one, without the spaces around it."""
    groups: dict[str, list[str]] = {}
    for text in counts:
        groups.setdefault(" ".join(text.split()).casefold(), []).append(text)
    found = {}
    for group in groups.values():
        usual = max(group, key=lambda text: (text == text.strip(), counts[text])).strip()
        if len(group) > 1:
            found.update({text: usual for text in group if text != usual})
    return found


_YES = frozenset({"yes", "true", "1", "1.0", "y", "t", "positive", "pos", "ja", "oui", "si", "sí", "present", "on"})
_EVENTS = re.compile(
    r"(?i)^(is[ _-]?|has[ _-]?)?(malignant|spam|fraud(ulent)?|scam|churn(ed)?|cancel(l)?ed|default(ed)?|died|dead|"
    r"deceased|fail(ed|ure|s)?|bad|abnormal|anomal(y|ous)|attack|sick|disease(d)?|ill|defect(ive)?|broken|exited|left|"
    r"attrited.*|clicked|converted|bought|purchased|lost|delayed|late|readmitted)$"
)
_NEGATION = re.compile(r"(?i)^(no|not|non|never|without)[ _-]*(?=\w)")


def positive_last(classes: Sequence[str], counts: Mapping[str, int]) -> tuple[tuple[str, ...], str]:
    """Two classes with the positive one last, and why it is that one: what the words say, or the rarer one.

    Args:
        classes: Both, in any order.
        counts: Rows of each.
    """
    first, second = classes
    for positive, why in _readings(first, second):
        return (second if positive == first else first, positive), why
    if counts[first] == counts[second]:
        return (first, second), "both are as frequent: the last one in order"
    rarer = min(classes, key=lambda name: counts[name])
    return (second if rarer == first else first, rarer), "the rarer one"


def _readings(first: str, second: str) -> Iterator[tuple[str, str]]:
    """What the words say, the surest reading first."""
    for one, other in ((first, second), (second, first)):
        stem = _NEGATION.sub("", one.strip())
        same = stem.casefold() == other.strip().casefold() or _root(stem) == _root(other)
        if stem != one.strip() and same and not _NEGATION.match(other.strip()):
            yield other, f"{one!r} is its negation"
    if _is_numeric(first) and _is_numeric(second) and {float(first), float(second)} not in ({0.0, 1.0}, {-1.0, 1.0}):
        return  # codes: 1 and 2 say nothing
    for test, why in ((_is_yes, "it reads like a yes"), (_EVENTS.match, "it names the event")):
        if bool(test(first.strip())) != bool(test(second.strip())):
            yield first if test(first.strip()) else second, why
    for one, other in ((first, second), (second, first)):
        if re.match(r"(?i)(no|not|non|none|never)\b", one.strip()) and not re.match(r"(?i)no", other.strip()):
            yield other, f"{one!r} reads like a no"


def _is_yes(text: str) -> bool:
    return text.casefold() in _YES


def _is_numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _root(word: str) -> str:
    return re.sub(r"(?i)(ed|ing|er|s|e)$", "", re.sub(r"[ _-]+", "", word)).casefold()


def texts_of(values: pa.Array) -> list[str | None]:
    """Labels as text, as `label.classes` writes them: 1 and 1.0 are `1`, booleans `false` and `true`."""
    return [_text(value) for value in values.to_pylist()]


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return None if value is None else str(value)


def distinct(values: pa.Array) -> list[str]:
    """The different labels of a batch, as text."""
    return [text for text in texts_of(pc.unique(values)) if text is not None]


def class_order(config: LabelConfig, found: Iterable[str]) -> tuple[str, ...]:
    """The classes in the order of their indices.

    Args:
        config: The label; its `classes`, if any, are the order.
        found: The labels in the data.

    Raises:
        DataError: one class only, more than two for `binary`, or a label that `classes` does not name.
    """
    found = set(found)
    where = f"label.expression {config.expression!r}" if config.expression else f"label column {config.column!r}"
    if config.classes:
        unknown = sorted(found - set(config.classes))
        if unknown:
            raise DataError(
                f"The {where} holds {unknown[0]!r}, which label.classes does not name.",
                f"Add it, or mend the data. label.classes: {', '.join(config.classes)}.",
            )
        return _positive_last(config, config.classes)
    classes = tuple(sorted(found, key=_sort_key))
    _check_count(config, classes, where)
    return _positive_last(config, classes)


def _check_count(config: LabelConfig, classes: Sequence[str], where: str) -> None:
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


def _positive_last(config: LabelConfig, classes: tuple[str, ...]) -> tuple[str, ...]:
    if not config.positive or classes[-1] == config.positive:
        return classes
    if config.positive not in classes:
        raise DataError(
            f"label.positive is {config.positive!r}, but the label's values are {', '.join(classes)}.",
            "Name one of them.",
        )
    return (*(c for c in classes if c != config.positive), config.positive)


def _sort_key(text: str) -> tuple[int, float, str]:
    try:
        return (0, float(text), text)
    except ValueError:
        return (1, 0.0, text)


def materialize(config: LabelConfig, columns: Mapping[str, pa.Array], classes: Sequence[str]) -> pa.Array:
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
    values = raw_label(config, columns)
    if config.task == "regression":
        return _numbers(config, values)
    encoded = values.dictionary_encode()
    index = {text: i for i, text in enumerate(classes)}
    texts = texts_of(encoded.dictionary)
    class_order(config.model_copy(update={"classes": tuple(classes)}), [t for t in texts if t is not None])
    order = pa.array([index.get(t) if t is not None else None for t in texts], pa.int64())
    return order.take(encoded.indices)


def _numbers(config: LabelConfig, values: pa.Array) -> pa.Array:
    if is_text(values.type):
        example = next((t for t in texts_of(values) if t), "")
        what = f"label.expression {config.expression!r}" if config.expression else f"label column {config.column!r}"
        raise DataError(
            f"The {what} holds text such as {example!r}, but label.task is regression.",
            "Set label.task to binary or multiclass, or mend the values that are no numbers.",
        )
    return values.cast(pa.float64()).cast(pa.float32(), safe=False)


def with_label(
    config: LabelConfig, columns: dict[str, pa.Array], label: pa.Array, file: str
) -> tuple[dict[str, pa.Array], pa.Array]:
    """The rows that have a label: their columns, and the label.

    Raises:
        DataError: `missing: refuse` and a row has none.
    """
    kept = labelled(config, label, file)
    if kept is None:
        return columns, label
    mask = pa.array(kept)
    return {name: array.filter(mask) for name, array in columns.items()}, label.filter(mask)


def numbered(config: LabelConfig, label: pa.Array, known: dict[str, int]) -> np.ndarray:
    """The number of each row's label among those `known`, uint16 `[rows]`; 0 for a regression.

    Args:
        config: The label.
        label: Of `raw_label`, without nulls.
        known: Labels as text with their numbers; takes those that are new. Beyond `MAX_NUMBERED` all are one.
    """
    if config.task == "regression":
        return np.zeros(len(label), np.uint16)
    encoded = label.dictionary_encode()
    texts = (text for text in texts_of(encoded.dictionary) if text is not None)
    numbers = [_number(text, known) for text in texts]
    return np.asarray(numbers, np.uint16)[np.asarray(encoded.indices)]


def _number(text: str, known: dict[str, int]) -> int:
    if text not in known and len(known) < MAX_NUMBERED:
        known[text] = len(known)
    return known.get(text, MAX_NUMBERED - 1)


def labelled(config: LabelConfig, label: pa.Array, file: str) -> np.ndarray | None:
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
