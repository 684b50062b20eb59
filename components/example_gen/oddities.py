"""What a table hides: numbers among words, numbers written in other ways, codes, counted times, footers.

Every finding is a setting of the configuration and a sentence with its counts. Reading honours the setting, in training
and in prediction: nothing here changes a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from components.example_gen.config import DataConfig
from components.example_gen.number_formats import fits, number_formats
from components.example_gen.times import TIME_FORMATS, TIME_NAME
from components.example_gen.words import NUMBER_SHARE, Finding, Words, count_words, is_bytes, is_mark
from components.tables.columns import EXPONENT_CODE, parse_time
from components.tables.files import SourceFile

ONE_WORD_SHARE = 0.9
"""The same where it is a single word that comes again and again."""
SUSPICIOUS_SHARE = 0.5
"""A column of text with so many numbers is named."""
MAX_NULL_WORDS = 20
"""More different words among numbers are no words for missing."""
_FOOTER = re.compile(
    r"(?i)\s*(grand |sub)?-?(totals?|sums?|summe|gesamt|insgesamt|averages?|avg|mean|count|rows|records|total rows|"
    r"end of (file|report|data)|source|note|notes)\b.{0,40}$"
)
EPOCHS = {"ms": (1e12, 2.2e12), "us": (1e15, 2.2e15), "ns": (1e18, 2.2e18)}
"""Counts since 1970 that are times from 2001 to 2039."""


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
    words, ends = count_words(raw, files)
    footer = _footers(ends, words, data.csv.delimiter) if files[0].format == "csv" and not data.csv.footer else ()
    if footer:
        found = study(_with_footer(data, footer), files, label, numeric_label)
        said = [Finding("data.csv.footer", f"the last row is no data and is left out: {row!r}") for _, row in footer]
        return Study(found.data, (*said, *found.findings), found.words)
    return _judge(data, files[0].format, words, label, numeric_label)


def _with_footer(data: DataConfig, footer: Sequence[tuple[str, str]]) -> DataConfig:
    cells = tuple(dict.fromkeys(cell for cell, _ in footer))
    return data.model_copy(update={"csv": data.csv.model_copy(update={"footer": cells})})


def _footers(ends: Iterable[list[dict[str, str]]], words: Mapping[str, Words], delimiter: str) -> list[tuple[str, str]]:
    """The first cell and the text of last rows that sum the table up."""
    found = []
    for rows in ends:
        for row in rows:
            first = next(iter(row))
            cell = row[first].strip()
            alone = sum(words[first].odd[w] for w in words[first].odd if w.strip() == cell)
            if cell and _FOOTER.match(cell) and alone <= 2 and words[first].values > 3:
                found.append((cell, delimiter.join(row.values())[:80]))
    return found


# Judging


def _judge(data: DataConfig, form: str, words: Mapping[str, Words], label: str, numeric_label: bool) -> Study:
    findings: list[Finding] = []
    types = number_formats(words, data, findings, "" if numeric_label else label)
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


def _hidden_words(name: str, words: Words, form: str, findings: list[Finding]) -> dict[str, int]:
    """The words that hide numbers, times, or true and false, by count; none where the column is one of text."""
    odd = {word: n for word, n in words.odd.items() if not (form and fits(word, form))}
    if not odd:
        return {}
    others = {word: n for word, n in odd.items() if not is_mark(word)}
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
    marks = {word: n for word, n in odd.items() if is_mark(word)}
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
        own = [word for word in new if form != "csv" or word in shared or not is_mark(word) or name == label]
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
                f"{name}: 'NA' ({taken['NA']:,}) is a code like {', '.join(map(repr, others[:3]))}, not missing",
            ))  # fmt: skip
    return kept


def _label_words(name: str, words: Words, data: DataConfig, findings: list[Finding]) -> tuple[str, ...]:
    """The null words of a label of text: a word beside yes and no is none of them, any other is a class."""
    key = f"data.null_values ({name})"
    taken = {word: n for word, n in words.odd.items() if word in data.csv.null_values and word}
    marks = {word: n for word, n in words.odd.items() if is_mark(word) and word.strip()}
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
             {"pos", "neg"}, {"pass", "fail"}, {"ja", "nein"}, {"oui", "non"}, {"good", "bad"})  # fmt: skip
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
        odd = {word for word in each.odd if not is_mark(word) and word not in each.codes}
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
    if not words.plain or words.whole < words.plain or any(not is_mark(word) for word in words.odd) or words.more:
        return ""
    for unit, (least, greatest) in EPOCHS.items():
        if least <= words.least and words.greatest <= greatest and words.greatest > words.least:
            # Other numbers of 13 and 16 digits are rare; those of 19 digits may well be identifiers.
            return unit if unit != "ns" or TIME_NAME.search(name) else ""
    return ""
