"""Counts the values of each column over all rows: numbers, codes, other words, and bytes that are no text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from taxiway.components.example_gen.config import DataConfig
from taxiway.components.tables.columns.numbers import CODE, EXACT, EXPONENT_CODE
from taxiway.components.tables.columns.texts import cast_to_strings, find_invalid_text, is_text
from taxiway.components.tables.readers.bad_rows import BadRows
from taxiway.components.tables.readers.record_batches import read_record_batches
from taxiway.components.tables.sources.source_file import SourceFile

MAX_WORDS = 3_000
"""At most so many different words of a column are counted."""
NUMBER_SHARE = 0.95
"""From this share of numbers on a column is numeric, and its other words stand for missing values."""
LONGEST_WORD, SHOWN_OF_LONG = 300, 40
"""Cells with more characters than the first number are cut to the second."""
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
class TableFinding:
    """Something odd in the table: a sentence, and the configuration's key that changes how it is read."""

    key: str
    text: str


@dataclass
class ColumnWords:
    """Counts of the values of one column.

    Attributes:
        plain: Number of values that are numbers as programs write them; `whole` of them have no fraction, and `three`
            are like 1.234, which some countries read as a thousand.
        odd: Counts of the other words, at most `MAX_WORDS`; `more` values are further words.
        codes: Counts of numbers that would be written differently once parsed, such as 007.
        garbled: Number of values that are no UTF-8 text.
        least, greatest: Range of the plain numbers.
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


def is_null_mark(word: str) -> bool:
    return word.strip().casefold() in NULL_MARKS


def count_words(
    data: DataConfig, files: Sequence[SourceFile]
) -> tuple[dict[str, ColumnWords], list[list[dict[str, str]]]]:
    """The words of all columns, and the last rows of each csv file."""
    words: dict[str, ColumnWords] = {}
    ends: list[list[dict[str, str]]] = []
    for file in files:
        last: list[dict[str, str]] = []
        for batch in read_record_batches(file, data, None, BadRows()):
            for name, array in zip(batch.schema.names, batch.columns, strict=True):
                _add_column(words.setdefault(name, ColumnWords()), array)
            if file.format == "csv" and batch.num_rows:
                last = [*last, *_decode_rows(batch.slice(max(0, batch.num_rows - 3)))][-3:]
        ends.append(last)
    return words, ends


def _decode_rows(batch: pa.RecordBatch) -> list[dict[str, str]]:
    return [{n: (v or b"").decode("utf-8", "replace") for n, v in row.items()} for row in batch.to_pylist()]


def _add_column(words: ColumnWords, array: pa.Array) -> None:
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        _add_numbers(words, array)
    elif is_text(array.type) and array.null_count < len(array):
        _add_texts(words, array.drop_null())


def _add_numbers(words: ColumnWords, array: pa.Array) -> None:
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


def _add_texts(words: ColumnWords, array: pa.Array) -> None:
    bad = find_invalid_text(array)
    if bad is not None:
        words.garbled += int(bad.sum())
        array = array.filter(pa.array(~bad))
        if not len(array):
            return
    counted = pc.value_counts(cast_to_strings(array))
    texts, counts = counted.field("values"), counted.field("counts").to_numpy(zero_copy_only=False)
    words.distinct = max(words.distinct, len(texts))
    texts = _shorten_texts(texts)
    plain = _match_pattern(texts, PLAIN)
    words.plain += int(counts[plain].sum())
    words.whole += int(counts[plain & _match_pattern(texts, _WHOLE)].sum())
    words.three += int(counts[plain & _match_pattern(texts, _THREE)].sum())
    _update_bounds(words, texts.filter(pa.array(plain)))
    is_code = plain & (
        _match_pattern(texts, CODE) | _match_pattern(texts, EXPONENT_CODE) | _find_inexact_numbers(texts, plain)
    )
    _count_within_limit(words.codes, texts.filter(pa.array(is_code)).to_pylist(), counts[is_code])
    _count_within_limit(
        words.codes, texts.filter(pa.array(_match_pattern(texts, r"^\s*0[xX][0-9a-fA-F]+\s*$"))).to_pylist(), counts
    )
    words.more += _count_within_limit(words.odd, texts.filter(pa.array(~plain)).to_pylist(), counts[~plain])


def _shorten_texts(texts: pa.Array) -> pa.Array:
    """The texts, with very long ones cut: Python's patterns take quadratic time on thousands of spaces."""
    long = pc.greater(pc.utf8_length(texts), LONGEST_WORD)
    if not pc.any(long).as_py():
        return texts
    beginning = pc.utf8_slice_codeunits(texts, 0, SHOWN_OF_LONG)
    mark = pa.scalar("\u2026", texts.type)
    return pc.if_else(long, pc.binary_join_element_wise(beginning, mark, pa.scalar("", texts.type)), texts)


def _match_pattern(texts: pa.Array, pattern: str) -> np.ndarray:
    matched = pc.match_substring_regex(texts, pattern)
    return np.asarray(matched.to_numpy(zero_copy_only=False), bool)


def _find_inexact_numbers(texts: pa.Array, plain: np.ndarray) -> np.ndarray:
    long = plain & _match_pattern(texts, r"^\s*[+-]?\d{16}\s*$")
    return np.array([bool(is_long) and abs(int(texts[i].as_py())) > EXACT for i, is_long in enumerate(long)], bool)


def _update_bounds(words: ColumnWords, numbers: pa.Array) -> None:
    bare = pc.replace_substring_regex(pc.utf8_trim_whitespace(numbers), r"^\+", "")
    values = bare.cast(pa.float64()).to_numpy(zero_copy_only=False)
    values = values[np.isfinite(values)]
    if len(values):
        words.least, words.greatest = min(words.least, values.min()), max(words.greatest, values.max())


def _count_within_limit(counter: Counter[str], texts: Sequence[str], counts: np.ndarray) -> int:
    """Counts words while there is room.

    Returns:
        How many values were of words for which there was none.
    """
    left = 0
    for text, count in zip(texts, counts.tolist(), strict=False):
        if text in counter or len(counter) < MAX_WORDS:
            counter[text] += count
        else:
            left += count
    return left


def holds_bytes(words: ColumnWords) -> bool:
    """Whether a column holds bytes, such as pictures, not text."""
    return words.garbled > 0.02 * (words.values + words.garbled)
