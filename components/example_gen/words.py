"""The words of a table's columns, counted over all rows: what is a number, a code, another word, or no text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.example_gen.config import DataConfig
from components.tables.bad_rows import BadRows
from components.tables.columns import CODE, EXACT, EXPONENT_CODE, as_strings, invalid_text, is_text
from components.tables.files import SourceFile
from components.tables.reading import read

MAX_WORDS = 3_000
"""Different words that are kept of a column."""
NUMBER_SHARE = 0.95
"""With so many numbers among its values a column is one of numbers, and the others are words for missing."""
LONGEST_WORD, SHOWN_OF_LONG = 300, 40
"""Characters of the longest cell that is looked at whole, and of a longer one's beginning that stands for it."""
NULL_MARKS = frozenset({
    "", "?", "??", "-", "--", "---", ".", "..", "...", "*", "**", "\\n", "na", "n/a", "n.a.", "n.a", "#n/a", "#na",
    "nan", "-nan", "null", "(null)", "[null]", "<null>", "$null$", "<na>", "none", "nil", "missing", "(missing)",
    "unknown", "unk", "undefined", "not available", "not applicable", "no data", "n/d", "n.d.", "k.a.", "tbd", "blank",
    "(blank)", "empty", "void", "#null!", "#div/0!", "#value!", "#ref!", "#name?", "#num!", "_", "/", "x",
})  # fmt: skip
"""Words, in small letters, that stand for a missing value where all others are numbers, times, or true and false."""
PLAIN = r"^\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*$|^\s*[+-]?(?i:inf|infinity)\s*$"
_WHOLE = r"^\s*[+-]?\d+(?:\.0*)?\s*$"
_THREE = r"^\s*[+-]?[1-9]\d{0,2}\.\d{3}\s*$"


@dataclass(frozen=True)
class Finding:
    """One thing that was odd: the key that changes it, and a sentence."""

    key: str
    text: str


@dataclass
class Words:
    """What one column holds as text, or its whole numbers.

    Attributes:
        plain: Values that are numbers as programs write them; of them `whole` without a fraction, and `three` like
            1.234, which elsewhere is a thousand.
        odd: The other values, by word, at most `MAX_WORDS`; `more` values are of further words.
        codes: Numbers that would not come back as they were.
        garbled: Values that are no text at all.
        least, greatest: Of the plain numbers.
    """

    plain: int = 0
    whole: int = 0
    three: int = 0
    odd: Counter[str] = field(default_factory=Counter)
    more: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    garbled: int = 0
    least: float = float("inf")
    greatest: float = float("-inf")
    typed: bool = False
    distinct: int = 0

    @property
    def values(self) -> int:
        return self.plain + sum(self.odd.values()) + self.more


def is_mark(word: str) -> bool:
    return word.strip().casefold() in NULL_MARKS


def count_words(data: DataConfig, files: Sequence[SourceFile]) -> tuple[dict[str, Words], list[list[dict[str, str]]]]:
    """The words of all columns, and the last rows of each csv file."""
    words: dict[str, Words] = {}
    ends: list[list[dict[str, str]]] = []
    for file in files:
        last: list[dict[str, str]] = []
        for batch in read(file, data, None, BadRows()):
            for name, array in zip(batch.schema.names, batch.columns, strict=True):
                _add(words.setdefault(name, Words()), array)
            if file.format == "csv" and batch.num_rows:
                last = [*last, *_as_texts(batch.slice(max(0, batch.num_rows - 3)))][-3:]
        ends.append(last)
    return words, ends


def _as_texts(batch: pa.RecordBatch) -> list[dict[str, str]]:
    return [{n: (v or b"").decode("utf-8", "replace") for n, v in row.items()} for row in batch.to_pylist()]


def _add(words: Words, array: pa.Array) -> None:
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        _add_numbers(words, array)
    elif is_text(array.type) and array.null_count < len(array):
        _add_texts(words, array.drop_null())


def _add_numbers(words: Words, array: pa.Array) -> None:
    numbers = array.cast(pa.float64(), safe=False).drop_null().to_numpy(zero_copy_only=False)
    numbers = numbers[np.isfinite(numbers)]
    words.typed = True
    words.plain += len(numbers)
    words.whole += int((numbers == np.floor(numbers)).sum())
    if len(numbers):
        words.least, words.greatest = min(words.least, numbers.min()), max(words.greatest, numbers.max())
        beyond = numbers[np.abs(numbers) > EXACT] if pa.types.is_integer(array.type) else numbers[:0]
        for number in beyond[:1]:
            words.codes[f"{number:.0f}"] += len(beyond)


def _add_texts(words: Words, array: pa.Array) -> None:
    bad = invalid_text(array)
    if bad is not None:
        words.garbled += int(bad.sum())
        array = array.filter(pa.array(~bad))
        if not len(array):
            return
    counted = pc.value_counts(as_strings(array))
    texts, counts = counted.field("values"), counted.field("counts").to_numpy(zero_copy_only=False)
    words.distinct = max(words.distinct, len(texts))
    texts = _shortened(texts)
    plain = _matching(texts, PLAIN)
    words.plain += int(counts[plain].sum())
    words.whole += int(counts[plain & _matching(texts, _WHOLE)].sum())
    words.three += int(counts[plain & _matching(texts, _THREE)].sum())
    _add_bounds(words, texts.filter(pa.array(plain)))
    is_code = plain & (_matching(texts, CODE) | _matching(texts, EXPONENT_CODE) | _beyond(texts, plain))
    _add_some(words.codes, texts.filter(pa.array(is_code)).to_pylist(), counts[is_code])
    _add_some(words.codes, texts.filter(pa.array(_matching(texts, r"^\s*0[xX][0-9a-fA-F]+\s*$"))).to_pylist(), counts)
    words.more += _add_some(words.odd, texts.filter(pa.array(~plain)).to_pylist(), counts[~plain])


def _shortened(texts: pa.Array) -> pa.Array:
    """The texts, those that no number, code or mark is as long as by their beginning: Python's patterns take quadratic
    time on thousands of spaces."""
    long = pc.greater(pc.utf8_length(texts), LONGEST_WORD)
    if not pc.any(long).as_py():
        return texts
    beginning = pc.utf8_slice_codeunits(texts, 0, SHOWN_OF_LONG)
    mark = pa.scalar("\u2026", texts.type)
    return pc.if_else(long, pc.binary_join_element_wise(beginning, mark, pa.scalar("", texts.type)), texts)


def _matching(texts: pa.Array, pattern: str) -> np.ndarray:
    found = pc.match_substring_regex(texts, pattern)
    return np.asarray(found.to_numpy(zero_copy_only=False), bool)


def _beyond(texts: pa.Array, plain: np.ndarray) -> np.ndarray:
    long = plain & _matching(texts, r"^\s*[+-]?\d{16}\s*$")
    return np.array([bool(is_long) and abs(int(texts[i].as_py())) > EXACT for i, is_long in enumerate(long)], bool)


def _add_bounds(words: Words, numbers: pa.Array) -> None:
    bare = pc.replace_substring_regex(pc.utf8_trim_whitespace(numbers), r"^\+", "")
    values = bare.cast(pa.float64()).to_numpy(zero_copy_only=False)
    values = values[np.isfinite(values)]
    if len(values):
        words.least, words.greatest = min(words.least, values.min()), max(words.greatest, values.max())


def _add_some(counter: Counter[str], texts: Sequence[str], counts: np.ndarray) -> int:
    """Counts words as long as there is room; how many values found none."""
    left = 0
    for text, count in zip(texts, counts.tolist(), strict=False):
        if text in counter or len(counter) < MAX_WORDS:
            counter[text] += count
        else:
            left += count
    return left


def is_bytes(words: Words) -> bool:
    """Whether a column holds bytes, such as pictures, not text."""
    return words.garbled > 0.02 * (words.values + words.garbled)
