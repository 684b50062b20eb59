"""What a table hides: numbers among words, numbers written in other ways, codes, counted times, footers.

Every finding is a setting of the configuration and a sentence with its counts. Reading honours the setting, in training
and in prediction: nothing here changes a value.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.example_gen.config import DataConfig
from components.example_gen.times import TIME_FORMATS, TIME_NAME
from components.tables.bad_rows import BadRows
from components.tables.columns import (
    CODE,
    EXACT,
    EXPONENT_CODE,
    as_strings,
    invalid_text,
    is_text,
    parse_time,
)
from components.tables.files import SourceFile
from components.tables.number_format import NumberFormat, parse_format
from components.tables.reading import read

NUMBER_SHARE = 0.95
"""With so many numbers among its values a column is one of numbers, and the others are words for missing."""
MAX_WORDS = 3_000
"""Different words that are kept of a column."""
ONE_WORD_SHARE = 0.9
"""The same where it is a single word that comes again and again."""
SUSPICIOUS_SHARE = 0.8
"""A column of text with so many numbers is named."""
MIN_FORMATTED = 3
"""Fewer different words show no way to write numbers."""
MAX_TRIED = 500
"""Words on which ways to write numbers are tried."""
MAX_NULL_WORDS = 20
"""More different words among numbers are no words for missing."""
NULL_MARKS = frozenset({
    "", "?", "??", "-", "--", "---", ".", "..", "...", "*", "**", "\\n", "na", "n/a", "n.a.", "n.a", "#n/a", "#na",
    "nan", "-nan", "null", "(null)", "[null]", "<null>", "$null$", "<na>", "none", "nil", "missing", "(missing)",
    "unknown", "unk", "undefined", "not available", "not applicable", "no data", "n/d", "n.d.", "k.a.", "tbd", "blank",
    "(blank)", "empty", "void", "#null!", "#div/0!", "#value!", "#ref!", "#name?", "#num!", "_", "/", "x",
})  # fmt: skip
"""Words, in small letters, that stand for a missing value where all others are numbers, times, or true and false."""
_FOOTER = re.compile(
    r"(?i)\s*(grand |sub)?-?(totals?|sums?|summe|gesamt|insgesamt|averages?|avg|mean|count|rows|records|total rows|"
    r"end of (file|report|data)|source|note|notes)\b.{0,40}$"
)
_PLAIN = r"^\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*$|^\s*[+-]?(?i:inf|infinity)\s*$"
_WHOLE = r"^\s*[+-]?\d+(?:\.0*)?\s*$"
_THREE = r"^\s*[+-]?[1-9]\d{0,2}\.\d{3}\s*$"
_SEPARATORS = ("1,5", "1.234,5", "1,234.5", "1 234,5", "1 234.5", "1'234.5", "1'234,5", "1.5")
_CURRENCY = re.compile(r"^(?:[A-Z]{1,3})?[$€£¥₹₽₩₺₪฿₫₴¢]$|^(?:USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|SEK|NOK|DKK|PLN|CZK|HUF|"
                       r"BRL|MXN|RUB|TRY|ZAR|KRW|Kč|zł|kr|kr\.|Rs|Rs\.|Fr\.|SFr\.|DM|R\$)$")  # fmt: skip
_BEFORE = re.compile(r"^\s*[-+(\u2212]*\s*([^\d\s.,()+\-\u2212]+\.?)\s*[-+(\u2212]*\s*[\d.,]")
_AFTER = re.compile(r"[\d.,](\s*)([^\d\s.,()+\-\u2212][^\d()]{0,11}?)\s*[)\-]?\s*$")
EPOCHS = {"ms": (1e12, 2.2e12), "us": (1e15, 2.2e15), "ns": (1e18, 2.2e18)}
"""Counts since 1970 that are times from 2001 to 2039."""


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


@dataclass(frozen=True)
class Finding:
    """One thing that was odd: the key that changes it, and a sentence."""

    key: str
    text: str


@dataclass(frozen=True)
class Study:
    """The data's section with the settings that were found, the findings, and the words of every column."""

    data: DataConfig
    findings: tuple[Finding, ...]
    words: Mapping[str, Words]


def study(data: DataConfig, files: Sequence[SourceFile], label: str, numeric_label: bool) -> Study:
    """Looks at every value of the table.

    Args:
        data: How it is read so far.
        files: What to read.
        label: The label's column, whose words are classes, not missing values; empty for an expression.
        numeric_label: Whether the label is to be a number.
    """
    raw = data.model_copy(
        update={"csv": data.csv.model_copy(update={"null_values": ("",)}), "null_values": {}, "types": {}}
    )
    words, ends = _count(raw, files)
    footer = _footers(ends, words) if files[0].format == "csv" and not data.csv.footer else ()
    if footer:
        found = study(_with_footer(data, footer), files, label, numeric_label)
        said = [Finding("data.csv.footer", f"the last row is no data and is left out: {row!r}") for _, row in footer]
        return Study(found.data, (*said, *found.findings), found.words)
    return _judge(data, files[0].format, words, label, numeric_label)


def _with_footer(data: DataConfig, footer: Sequence[tuple[str, str]]) -> DataConfig:
    cells = tuple(dict.fromkeys(cell for cell, _ in footer))
    return data.model_copy(update={"csv": data.csv.model_copy(update={"footer": cells})})


# Counting


def _count(data: DataConfig, files: Sequence[SourceFile]) -> tuple[dict[str, Words], list[list[dict[str, str]]]]:
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
    plain = _matching(texts, _PLAIN)
    words.plain += int(counts[plain].sum())
    words.whole += int(counts[plain & _matching(texts, _WHOLE)].sum())
    words.three += int(counts[plain & _matching(texts, _THREE)].sum())
    _add_bounds(words, texts.filter(pa.array(plain)))
    is_code = plain & (_matching(texts, CODE) | _matching(texts, EXPONENT_CODE) | _beyond(texts, plain))
    _add_some(words.codes, texts.filter(pa.array(is_code)).to_pylist(), counts[is_code])
    _add_some(words.codes, texts.filter(pa.array(_matching(texts, r"^\s*0[xX][0-9a-fA-F]+\s*$"))).to_pylist(), counts)
    words.more += _add_some(words.odd, texts.filter(pa.array(~plain)).to_pylist(), counts[~plain])


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


def _footers(ends: Iterable[list[dict[str, str]]], words: Mapping[str, Words]) -> list[tuple[str, str]]:
    """The first cell and the text of last rows that sum the table up."""
    found = []
    for rows in ends:
        for row in rows:
            first = next(iter(row))
            cell = row[first].strip()
            alone = sum(words[first].odd[w] for w in words[first].odd if w.strip() == cell)
            if cell and _FOOTER.match(cell) and alone <= 2 and words[first].values > 3:
                found.append((cell, ",".join(row.values())[:80]))
    return found


# Judging


def _judge(data: DataConfig, form: str, words: Mapping[str, Words], label: str, numeric_label: bool) -> Study:
    findings: list[Finding] = []
    types = _number_formats(words, data, findings, "" if numeric_label else label)
    types |= _counted_times(words, data, findings, label)
    _name_codes(words, {**types, **data.types}, findings, label)
    hidden = {
        name: missing
        for name, each in words.items()
        if name not in data.null_values and (missing := _hidden_words(name, each, types.get(name, ""), findings))
    }
    null_words, by_column = _null_settings(hidden, words, data, form, label)
    for name, missing in hidden.items():
        key = f"data.null_values ({name})" if name in by_column else "data.csv.null_values"
        findings.append(Finding(key, _about_hidden(name, words[name], missing, name in types)))
    if form == "csv":
        by_column |= _kept_words(words, data, hidden, label, findings)
        _name_taken(words, data, {*hidden, *by_column, label}, findings)
    _name_garbled(words, findings)
    updated = data.model_copy(
        update={
            "csv": data.csv.model_copy(update={"null_values": null_words}),
            "null_values": {**data.null_values, **by_column},
            "types": {**types, **data.types},
        }
    )
    return Study(updated, tuple(findings), words)


def _is_mark(word: str) -> bool:
    return word.strip().casefold() in NULL_MARKS


def _hidden_words(name: str, words: Words, form: str, findings: list[Finding]) -> dict[str, int]:
    """The words that hide numbers, times, or true and false, by count; none where the column is one of text."""
    odd = {word: n for word, n in words.odd.items() if not (form and _fits(word, form))}
    if not odd:
        return {}
    others = {word: n for word, n in odd.items() if not _is_mark(word)}
    numbers = words.values - sum(odd.values()) - words.more
    if words.more and not form:
        return {}
    if not others and (numbers or not words.codes):
        return odd if numbers else {}
    share = numbers / max(numbers + sum(others.values()), 1)
    if share >= SUSPICIOUS_SHARE and not words.codes:
        if len(others) <= MAX_NULL_WORDS and (share >= NUMBER_SHARE or (len(others) == 1 and share >= ONE_WORD_SHARE)):
            return odd
        findings.append(Finding(
            "data.types", f"{name}: {numbers:,} of {words.values:,} values are numbers, but other words stand "
            f"among them: {_listed(others)}: read as text (data.null_values takes words as missing)"
        ))  # fmt: skip
        return {}
    marks = {word: n for word, n in odd.items() if _is_mark(word)}
    return marks if marks and not numbers and _are_times_or_truths(list(others)) else {}


def _are_times_or_truths(texts: Sequence[str]) -> bool:
    if {text.strip().lower() for text in texts} <= {"true", "false"}:
        return True
    array = pa.array([text.encode() for text in texts[:500]], pa.binary())
    return any(parse_time(array, pattern) is not None for pattern in TIME_FORMATS)


def _about_hidden(name: str, words: Words, missing: Mapping[str, int], formatted: bool) -> str:
    total = sum(missing.values())
    kind = "numbers" if words.plain or formatted else "times, or true and false"
    return (
        f"{name}: {words.values - total:,} of {words.values:,} values are {kind}; {_listed(missing)} "
        f"{'is' if len(missing) == 1 else 'are'} taken as missing"
    )


def _listed(words: Mapping[str, int], most: int = 4) -> str:
    first = sorted(words.items(), key=lambda item: -item[1])[:most]
    listed = ", ".join(f"{word[:40]!r} ({count:,})" for word, count in first)
    return listed + (f" and {len(words) - most} more words" if len(words) > most else "")


def _null_settings(
    hidden: Mapping[str, Mapping[str, int]], words: Mapping[str, Words], data: DataConfig, form: str, label: str
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Words of the whole file, and of single columns where another column of text holds the word as a value."""
    usual = data.csv.null_values
    by_column: dict[str, tuple[str, ...]] = {}
    everywhere: list[str] = []
    for name, missing in hidden.items():
        new = [word for word in missing if form != "csv" or (word.strip() if data.csv.trim else word) not in usual]
        shared = {w for w in new if any(w in other.odd for n, other in words.items() if n not in hidden)}
        own = [word for word in new if form != "csv" or word in shared or not _is_mark(word) or name == label]
        if own:
            by_column[name] = tuple(dict.fromkeys([*(usual if form == "csv" else ("",)), *new]))
        else:
            everywhere += [word.strip() if data.csv.trim else word for word in new]
    return tuple(dict.fromkeys([*usual, *everywhere])), by_column


def _kept_words(
    words: Mapping[str, Words], data: DataConfig, hidden: Mapping[str, object], label: str, findings: list[Finding]
) -> dict[str, tuple[str, ...]]:
    """Columns in which a null word is a value: Namibia beside the Netherlands, and classes of the label."""
    kept: dict[str, tuple[str, ...]] = {}
    for name, each in words.items():
        if name in hidden or name in data.null_values:
            continue
        taken = {word: n for word, n in each.odd.items() if word in data.csv.null_values and word}
        others = [word for word in each.odd if word not in taken]
        if name == label:
            settings = _label_words(name, each, data, findings)
            kept |= {name: settings} if settings else {}
        elif "NA" in taken and _are_codes_of_two_letters(others):
            kept[name] = tuple(word for word in ("", *taken) if word != "NA")
            findings.append(Finding(
                f"data.null_values ({name})",
                f"{name}: 'NA' ({taken['NA']:,}) is a code like {', '.join(map(repr, others[:3]))}, not a missing value",
            ))  # fmt: skip
    return kept


def _label_words(name: str, words: Words, data: DataConfig, findings: list[Finding]) -> tuple[str, ...]:
    """The null words of a label of text: a word beside yes and no is none of them, any other is a class."""
    key = f"data.null_values ({name})"
    taken = {word: n for word, n in words.odd.items() if word in data.csv.null_values and word}
    marks = {word: n for word, n in words.odd.items() if _is_mark(word) and word.strip()}
    others = [word for word in words.odd if word not in marks and word.strip()]
    if marks and _is_yes_and_no(others):
        beside = " and ".join(map(repr, others))
        findings.append(
            Finding(key, f"the label {name}: {_listed(marks)} beside {beside} is no class: a missing label")
        )
        return () if taken.keys() == marks.keys() else tuple(dict.fromkeys([*data.csv.null_values, *marks]))
    if taken:
        findings.append(Finding(key, f"the label {name}: {_listed(taken)} is a class, not a missing value"))
        return ("",)
    return ()


def _is_yes_and_no(texts: Sequence[str]) -> bool:
    pairs = ({"yes", "no"}, {"y", "n"}, {"true", "false"}, {"t", "f"}, {"0", "1"}, {"positive", "negative"},
             {"pos", "neg"}, {"pass", "fail"}, {"ja", "nein"}, {"oui", "non"}, {"si", "no"}, {"good", "bad"})  # fmt: skip
    return {text.strip().casefold() for text in texts} in pairs


def _are_codes_of_two_letters(texts: Sequence[str]) -> bool:
    codes = [text for text in texts if re.fullmatch(r"[A-Z]{2}", text.strip())]
    return len(codes) >= 2 and len(codes) >= 0.9 * len(texts)


def _name_taken(words: Mapping[str, Words], data: DataConfig, known: set[str], findings: list[Finding]) -> None:
    """Null words in columns of text, which may be values there."""
    for name, each in words.items():
        if name in known or name in data.null_values:
            continue
        taken = {word: n for word, n in each.odd.items() if word in data.csv.null_values and word.strip()}
        if taken and len(taken) < len(each.odd):
            findings.append(Finding(f"data.null_values ({name})", f"{name}: {_listed(taken)} is taken as missing"))


def _name_codes(words: Mapping[str, Words], types: Mapping[str, str], findings: list[Finding], label: str) -> None:
    for name, each in words.items():
        odd = {word for word in each.odd if not _is_mark(word) and word not in each.codes}
        exponents = {code for code in each.codes if re.match(EXPONENT_CODE, code)}
        if not each.codes or odd or each.more or name in types:
            continue
        if len(exponents) == len(each.codes) and each.whole + sum(each.codes.values()) < each.plain:
            continue  # a float among fractions
        text = (
            f"{name}: {sum(each.codes.values()):,} {_why_code(each)}, such as {next(iter(each.codes))!r}: read as text"
        )
        findings.append(Finding(f"data.types ({name})", text))


def _why_code(words: Words) -> str:
    code = next(iter(words.codes)).strip()
    if code[:2].lower() == "0x":
        return "values are hexadecimal"
    if code[0] == "0" and len(code) > 1:
        return "values begin with a zero, which a number has not"
    if re.match(EXPONENT_CODE, code):
        return "values look like 12E4, a code and a number"
    return "values begin with a plus" if code[0] == "+" else "values are beyond 2^53, where a float becomes another"


def _name_garbled(words: Mapping[str, Words], findings: list[Finding]) -> None:
    for name, each in words.items():
        if each.garbled and not is_bytes(each):
            findings.append(Finding("data.max_bad_rows", f"{name}: {each.garbled:,} values are no UTF-8 text"))


def is_bytes(words: Words) -> bool:
    """Whether a column holds bytes, such as pictures, not text."""
    return words.garbled > 0.02 * (words.values + words.garbled)


# Times that are counted


def _counted_times(words: Mapping[str, Words], data: DataConfig, findings: list[Finding], label: str) -> dict[str, str]:
    found = {}
    for name, each in words.items():
        unit = _unit(name, each)
        if unit and name != label and name not in data.types:
            found[name] = f"time:{unit}"
            what = {"ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}[unit]
            first = np.datetime64(int(each.least), unit).astype("datetime64[s]")
            said = f"{name}: numbers such as {each.least:.0f} are {what} since 1970, the first of them {first} UTC"
            findings.append(Finding(f"data.types ({name})", said))
    return found


def _unit(name: str, words: Words) -> str:
    if not words.plain or words.whole < words.plain or any(not _is_mark(word) for word in words.odd) or words.more:
        return ""
    for unit, (least, greatest) in EPOCHS.items():
        if least <= words.least and words.greatest <= greatest and words.greatest > words.least:
            # Other numbers of 13 and 16 digits are rare; those of 19 digits may well be identifiers.
            return unit if unit != "ns" or TIME_NAME.search(name) else ""
    return ""


# Numbers that are written in other ways


def _number_formats(
    words: Mapping[str, Words], data: DataConfig, findings: list[Finding], label: str
) -> dict[str, str]:
    """Types of columns whose numbers are written with other marks or signs."""
    decimal_comma = any(
        _best_format(each, comma=True) in ("1,5", "1.234,5") and _has_clear_comma(each) for each in words.values()
    )
    found = {}
    for name, each in words.items():
        if name in data.types or each.typed or name == label and not _is_plainly_numeric(each):
            continue
        form = _best_format(each, decimal_comma)
        if decimal_comma and not form and _is_thousands_of_points(each):
            form = "1.234,5"
        if not form:
            continue
        found[name] = _typed(form, each)
        findings.append(Finding(f"data.types ({name})", _about_format(name, form, each)))
    return found


def _is_plainly_numeric(words: Words) -> bool:
    """Whether a label's words are many: with a few, such as `<50%` and `50%`, they are classes."""
    return len(words.odd) > 20


def _has_clear_comma(words: Words) -> bool:
    """Whether some comma cannot stand between thousands."""
    return any(re.search(r"\d,\d{1,2}(\D|$)|\d,\d{4,}|(^|\D)0+,\d", word) for word in list(words.odd)[:300])


def _is_thousands_of_points(words: Words) -> bool:
    return not words.odd and words.three > 0 and words.three == words.plain - words.whole and words.greatest < 1000


def _typed(form: str, words: Words) -> str:
    number = parse_format(form)
    fraction = number is None or number.before or number.after or any(_has_fraction(w, number) for w in words.odd)
    if fraction or words.whole < words.plain and form != "1.234,5":
        return f"float:{form}"
    return f"int:{_whole(number)}" if number and number.thousands else f"float:{form}"


def _whole(number: NumberFormat) -> str:
    return f"1{number.thousands}234"


def _has_fraction(word: str, number: NumberFormat) -> bool:
    return re.search(rf"{re.escape(number.decimal)}\d", word) is not None


def _about_format(name: str, form: str, words: Words) -> str:
    texts = [word for word in words.odd if _fits(word, form)][:2] or [f"{words.least:.3f}"]
    number = parse_format(form)
    shown = " and ".join(repr(text[:30]) for text in texts) + (" are" if len(texts) > 1 else " is")
    doubt = ""
    if number and number.thousands == "," and not _has_two_marks(words):
        doubt = f" (a comma between thousands; were it a decimal comma: {name}: 'float:1,5')"
    sign = " without its sign" if number and (number.before or number.after) else ""
    if form == "1.5":
        return f"{name}: {shown} read as negative numbers"
    return f"{name}: {shown} read as numbers{sign}, in the format {form}{doubt}"


def _has_two_marks(words: Words) -> bool:
    return any(word.count(",") > 1 or ("," in word and "." in word) for word in words.odd)


def _best_format(words: Words, comma: bool) -> str:
    """The example of the format that nearly all values are written in; empty for plain numbers and for text."""
    texts = dict(itertools.islice(((w, n) for w, n in words.odd.items() if not _is_mark(w)), MAX_TRIED))
    if not texts or words.codes and not comma or len(texts) < MIN_FORMATTED:
        return ""
    scale = 1.0
    if len(texts) == MAX_TRIED:  # the words that were tried stand for all
        scale = sum(n for w, n in words.odd.items() if not _is_mark(w)) + words.more
        scale /= sum(texts.values())
    total = words.plain + scale * sum(texts.values())
    if words.plain >= NUMBER_SHARE * total and not any(ch in word for word in texts for ch in ",'$€£%()\u2212"):
        return ""
    best, most = "", 0.0
    for form in _candidates(texts):
        fitting: float = sum(n for word, n in texts.items() if _fits(word, form))
        if not fitting or not _is_sound(form, texts, words, comma):
            continue
        fitting = scale * fitting + _plain_fitting(form, words)
        if fitting > most:
            best, most = form, fitting
    return best if most >= NUMBER_SHARE * total else ""


def _plain_fitting(form: str, words: Words) -> int:
    """How many of the plain numbers are numbers of this format too."""
    number = parse_format(form)
    if number is None or "%" in (number.before, number.after):
        return 0
    return words.whole if number.decimal == "," else words.plain


def _candidates(texts: Mapping[str, int]) -> Iterator[str]:
    """Formats with the usual marks, alone and with the signs that stand before and after most values."""
    befores = {"", *_common(_BEFORE, texts, 1)} - {None}
    afters = {"", *_common(_AFTER, texts, 2)}
    signs = [(b, a) for b in befores for a in afters if _is_sign(b, a, texts)]
    for form in _SEPARATORS:
        for before, after in sorted(signs, key=lambda pair: len(pair[0] + pair[1])):
            number = parse_format(form)
            if number:
                example = NumberFormat(number.decimal, number.thousands, before, after).example
                yield form if not (before or after) else example


def _common(pattern: re.Pattern[str], texts: Mapping[str, int], group: int) -> set[str]:
    counted: Counter[str] = Counter()
    for text, count in texts.items():
        match = pattern.search(text)
        if match:
            counted[match[group].strip()] += count
    return {sign for sign, count in counted.items() if count > 0.5 * sum(texts.values())}


def _is_sign(before: str, after: str, texts: Mapping[str, int]) -> bool:
    """Whether signs are of money or percent, or a unit after numbers that vary; Q1 and 3rd are names."""
    if before and not _CURRENCY.match(before):
        return False
    if not after or after == "%" or _CURRENCY.match(after):
        return True
    if not after[0].isalpha() and after[0] not in "°µ":
        return False
    apart = sum(bool(re.search(r"\d\s+\S", text)) for text in texts) > 0.9 * len(texts)
    fractions = any(re.search(r"\d[.,]\d", text) for text in texts)
    return len(texts) >= 5 and (apart or fractions)


def _is_sound(form: str, texts: Mapping[str, int], words: Words, comma: bool) -> bool:
    """Whether marks between thousands are that: no leading zero, no longer number without them, no phone numbers."""
    number = parse_format(form)
    fitting = [text for text in texts if _fits(text, form)]
    if number is None:
        return False
    if not number.thousands:
        return number.decimal != "," or comma or _has_clear_comma(words) or not _are_thousands(fitting, ",", words)
    mark = (
        "[ \u00a0\u202f]"
        if number.thousands == " "
        else "['\u2019]"
        if number.thousands == "'"
        else f"[{number.thousands}]"
    )
    if not any(re.search(rf"\d{mark}\d{{3}}(?!\d)", text) for text in fitting):
        return False
    if number.thousands == "," and comma and not _has_two_marks(words):
        return False
    return _are_thousands(fitting, number.thousands, words) and not _are_phone_numbers(fitting)


def _are_thousands(texts: Sequence[str], mark: str, words: Words) -> bool:
    starts_with_zero = any(re.search(rf"(^|[^\d.,])0+{re.escape(mark)}\d{{3}}", text) for text in texts)
    unmarked = words.greatest >= 10_000 or any(re.search(r"\d{5,}", re.split(r"[.,](?=\d*\D*$)", t)[0]) for t in texts)
    return not starts_with_zero and not unmarked


def _are_phone_numbers(texts: Sequence[str]) -> bool:
    """Whether nearly all texts have as many digits, nine or more, and nothing but one mark between them."""
    counted = Counter((sum(map(str.isdigit, text)), "".join(sorted(set(re.sub(r"\d", "", text))))) for text in texts)
    (length, marks), count = counted.most_common(1)[0]
    return length >= 9 and len(marks) == 1 and count > NUMBER_SHARE * len(texts) and len(texts) > 5


def _fits(word: str, form: str) -> bool:
    """Whether a word is a number of the type or format, as `components.tables.columns.matches_format` says it."""
    if form.startswith("time:"):
        return re.match(_PLAIN, word) is not None
    pattern, is_percent = _compiled(form.partition(":")[2] or form)
    if not pattern.match(word) or word.count("(") != word.count(")"):
        return False
    return not is_percent or "%" in word or not re.search(r"[1-9]", word)


@functools.cache
def _compiled(example: str) -> tuple[re.Pattern[str], bool]:
    number = parse_format(example)
    if number is None:
        return re.compile(r"(?!)"), False
    return re.compile(number.pattern), "%" in (number.before, number.after)
